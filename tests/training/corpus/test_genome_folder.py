"""A folder of genomes: which of its files are read."""

from __future__ import annotations

from pathlib import Path

from glm_annot.training.corpus.genome_folder import annotation_files
from tests.support.tiny import made_gff3


def test_results_beside_a_genome_are_no_genomes(tmp_path: Path) -> None:
    for name in ("a.gff3", "a.glm.gff3", "a.glm.gff", "a.glm.gbk.gz", "a.glm.tsv", "b.v2.gff"):
        (tmp_path / name).write_text(made_gff3(3))
    assert sorted(path.name for path in annotation_files(tmp_path)) == ["a.gff3", "b.v2.gff"]
