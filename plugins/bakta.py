"""Output folders of Bakta and Baktfold: `<prefix>.gff3` beside `.json`, `.faa`, `.fna` and others.

The GFF3 is the file to annotate: it carries the sequences (unless `--compliant`) and is what most tools
read next. Proteins come from `.faa`, which holds them as Bakta translated them, genetic code and all. With
`--compliant` the GFF3 keeps only the last EC number of a gene; the `.json` has all. Baktfold writes the same
files and a `.summary.txt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glm_annot.io.source import recognise_file
from glm_annot.io.tool_folders import ToolOutput, beside


@dataclass(frozen=True, slots=True)
class BaktaFiles:
    """Knows the folders of one of the two tools, which is called `name`.

    `has_summary`: whether the tool writes a `.summary.txt`.
    """

    name: str
    has_summary: bool

    def find(self, folder: Path) -> list[ToolOutput]:
        """GFF3 files with the tool's JSON or GenBank file of the same prefix."""
        candidates = sorted([*folder.glob("*.gff3"), *folder.glob("*.gff3.gz")])
        return [
            ToolOutput(
                self.name,
                path,
                fasta=beside(path, [".fna"]),
                faa=beside(path, [".faa"]),
                details=_json(path),
            )
            for path in candidates
            if ".glm." not in path.name and beside(path, [".json", ".gbff"]) and self._wrote(path)
        ]

    def _wrote(self, annotation: Path) -> bool:
        return (beside(annotation, [".summary.txt"]) is not None) == self.has_summary


def _json(annotation: Path) -> Path | None:
    """The tool's own JSON of the same prefix; other programs write such files, too."""
    found = beside(annotation, [".json"])
    return found if found is not None and recognise_file(found) == "bakta" else None


plugin = BaktaFiles("bakta", has_summary=False)
baktfold = BaktaFiles("baktfold", has_summary=True)
