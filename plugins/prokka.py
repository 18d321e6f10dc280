"""Prokka's output folder: `<prefix>.gff` beside `.faa`, `.ffn`, `.tbl`, `.txt` and others of the same prefix.

Prokka's GFF3 always carries its sequences; proteins come from `.faa`, because the genetic code that
Prokka was run with (`--gcode`) stands nowhere in its GFF3.
"""

from __future__ import annotations

from pathlib import Path

from glm_annot.io.tool_folders import ToolOutput, beside


class Prokka:
    """See the module."""

    name = "prokka"

    def find(self, folder: Path) -> list[ToolOutput]:
        """GFF files with Prokka's feature table or log of the same prefix."""
        candidates = sorted([*folder.glob("*.gff"), *folder.glob("*.gff.gz")])
        return [
            ToolOutput(self.name, path, faa=beside(path, [".faa"]))
            for path in candidates
            if ".glm." not in path.name and beside(path, [".tbl", ".ffn"])
        ]


plugin = Prokka()
