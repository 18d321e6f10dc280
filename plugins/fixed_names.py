"""Output folders whose files are called the same for every genome: NCBI datasets and DFAST.

    ncbi_datasets   GCF_000005845.2/  genomic.gff  GCF_000005845.2_ASM584v2_genomic.fna  protein.faa
    dfast           genome.gff  cds.fna  genome.fna  protein.faa

Results are named after the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glm_annot.io.tool_folders import ToolOutput


@dataclass(frozen=True, slots=True)
class FixedNames:
    """Knows the folders of one tool.

    Attributes:
        name: of the tool.
        annotation: its GFF3 file.
        mark: pattern of a file of this tool that lies beside it.
        fasta, faa: patterns of the contigs and of the proteins. A file may be gzipped.
    """

    name: str
    annotation: str
    mark: str
    fasta: str
    faa: str

    def find(self, folder: Path) -> list[ToolOutput]:
        """The annotation, where the folder has it and the mark."""
        annotation = _first(folder, self.annotation)
        if annotation is None or _first(folder, self.mark) is None:
            return []
        fasta, faa = _first(folder, self.fasta), _first(folder, self.faa)
        return [ToolOutput(self.name, annotation, fasta, faa, genome=folder.resolve().name)]


def _first(folder: Path, pattern: str) -> Path | None:
    """The first file by name that fits a pattern, plain before gzipped; None without one."""
    return next((path for end in ("", ".gz") for path in sorted(folder.glob(pattern + end))), None)


_NCBI_CONTIGS = "GC[AF]_*_genomic.fna"  # beside cds_from_genomic.fna
ncbi_datasets = FixedNames("ncbi_datasets", "genomic.gff", _NCBI_CONTIGS, _NCBI_CONTIGS, "protein.faa")
dfast = FixedNames("dfast", "genome.gff", "cds.fna", "genome.fna", "protein.faa")
