"""Output folders of NCBI's PGAP: `annot.gff` beside `annot.faa`, `annot.fna`, `annot.sqn` and others.

With `--prefix NAME` the files are called `NAME.gff`, `NAME.faa`, ... Newer versions also write
`annot_with_genomic_fasta.gff`, which is the same annotation and so not read. Results of files that are called
`annot` are named after the folder.
"""

from __future__ import annotations

from pathlib import Path

from glm_annot.io.tool_folders import ToolOutput, beside

_DEFAULT = "annot"  # PGAP's own prefix
_COPY = "_with_genomic_fasta.gff"


class Pgap:
    """See the module."""

    name = "pgap"

    def find(self, folder: Path) -> list[ToolOutput]:
        """GFF3 files beside their copy with the sequences, or beside PGAP's ASN.1 file `annot.sqn`."""
        candidates = sorted([*folder.glob("*.gff"), *folder.glob("*.gff.gz")])
        return [
            ToolOutput(
                self.name,
                path,
                fasta=beside(path, [".fna"]),
                faa=beside(path, [".faa"]),
                genome=folder.resolve().name if _prefix(path) == _DEFAULT else "",
            )
            for path in candidates
            if beside(path, [_COPY]) or (_prefix(path) == _DEFAULT and beside(path, [".sqn"]))
        ]


def _prefix(annotation: Path) -> str:
    return annotation.name.removesuffix(".gz").removesuffix(".gff")


plugin = Pgap()
