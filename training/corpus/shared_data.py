"""Where things are in the folder of shared data: the one place that knows its layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ECOLI = "escherichia_coli_k12"
EC_BENCHMARKS = ("CARE-30", "CARE-30-50", "CARE-promiscuous", "New-392")


@dataclass(frozen=True)
class SharedData:
    """A folder of shared data; nothing here says whether its files are there."""

    folder: Path

    @property
    def corpus(self) -> Path:
        """Corpus tables of many genomes."""
        return self.folder / "corpus"

    @property
    def labelled(self) -> Path:
        """Proteins with EC numbers."""
        return self.folder / "ec" / "labelled.parquet"

    @property
    def unnumbered(self) -> Path:
        """Proteins without an EC number, stated non-enzymes among them."""
        return self.folder / "ec" / "unlabelled_or_non_enzyme.tsv"

    @property
    def ec_names(self) -> Path:
        """All EC numbers, and where those went that have moved."""
        return self.folder / "ec" / "ec_names.tsv"

    def ec_benchmark(self, name: str) -> Path:
        """Proteins and true EC numbers of one of `EC_BENCHMARKS`."""
        return self.folder / "ec" / f"{name}.tsv"

    @property
    def k12(self) -> Path:
        """E. coli K-12, as annotated; it trains nothing and measures."""
        return self.folder / "annotated" / "ncbi" / "ecoli_k12.gbff.gz"

    @property
    def k12_prodigal(self) -> Path:
        """K-12's proteins by Prodigal, some of which start elsewhere."""
        return self.operons / ECOLI / "GCF_000005845.2.faa.gz"

    @property
    def k12_operons(self) -> Path:
        """K-12's operons by RegulonDB."""
        return self.operons / ECOLI / "operons.tsv"

    @property
    def k12_confirmed(self) -> Path:
        """Pairs of K-12's genes whose operon has strong or confirmed evidence."""
        return self.operons / ECOLI / "pairs_strong_confirmed.tsv"

    @property
    def operons(self) -> Path:
        """The operon collection, a folder for each organism."""
        return self.folder / "operons"

    @property
    def held_out(self) -> tuple[Path, Path]:
        """Files of K-12's proteins, which must not leak into what K-12 measures."""
        return self.k12, self.k12_prodigal

    @property
    def ec_benchmarks(self) -> tuple[Path, ...]:
        """Files of all EC benchmarks."""
        return tuple(map(self.ec_benchmark, EC_BENCHMARKS))
