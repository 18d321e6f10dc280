"""`glm-annot embed`: the vectors are those that the heads see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import glm_annot
from glm_annot.bundle import Model
from glm_annot.cli.app import cli
from glm_annot.errors import UsageError
from glm_annot.model.context import contextualise
from glm_annot.pipeline import embed_distinct
from tests.support.tiny import made_metagenome

parquet = pytest.importorskip("pyarrow.parquet", reason="the extra 'table' is not installed")


def embed(*words: object) -> None:
    result = CliRunner().invoke(cli, ["embed", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_a_row_for_each_gene_with_its_vectors(
    small_gff3: Path, tiny_bundle: Path, tiny_model: Model, tmp_path: Path
) -> None:
    embed(small_gff3, "-o", tmp_path / "genes.parquet", "--model", tiny_bundle, "--precision", "fp32")
    table = parquet.read_table(tmp_path / "genes.parquet")
    genome = glm_annot.read(small_gff3)
    genes = [gene for contig in genome.contigs for gene in contig.coding]
    assert table["locus_tag"].to_pylist() == [gene.locus_tag for gene in genes]
    assert table["start"].to_pylist() == [gene.start for gene in genes]
    assert table["strand"].to_pylist() == ["+" if gene.strand == 1 else "-" for gene in genes]
    embeddings_GD = embed_distinct(tiny_model.encoder, genome.proteins, precision="fp32")
    states = contextualise(genome, embeddings_GD, tiny_model.glm, tiny_model.features, layers=(0, 1, 2))
    np.testing.assert_array_equal(np.array(table["protein"].to_pylist(), np.float32), embeddings_GD)
    for layer in range(3):
        found = np.array(table[f"context_{layer}"].to_pylist(), np.float32)
        np.testing.assert_array_equal(found, states.hidden_GSF[:, layer])
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata["model"] == "tiny 1.0.0" and metadata["model_sha256"] == tiny_model.sha256
    assert metadata["precision"] == "fp32" and metadata["program"] == f"glm-annot {glm_annot.__version__}"


def test_layers_are_chosen_and_the_same_bytes_come_again(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "x.gff3").write_text(made_metagenome(5))
    for name in ("a", "b"):
        output = tmp_path / f"{name}.parquet"
        chosen = ("--layer", 2, "--layer", 2, "--context-only")
        embed(tmp_path / "x.gff3", "-o", output, "--model", tiny_bundle, *chosen)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = parquet.read_table(tmp_path / "a.parquet")
    contexts = [name for name in table.column_names if name.startswith("context")]
    assert contexts == ["context_2", "context_only"]
    only, with_gene = (np.array(table[name].to_pylist()) for name in ("context_only", "context_2"))
    assert only.shape == with_gene.shape and np.isfinite(only).all() and not np.allclose(only, with_gene)
    assert set(table["contig"].to_pylist()) == {f"contig_{n}" for n in range(5)}


def test_what_cannot_be_is_said_and_nothing_overwritten(small_gff3: Path, tiny_bundle: Path) -> None:
    place = small_gff3.with_name("genes.parquet")
    common = (small_gff3, "--model", tiny_bundle)
    with pytest.raises(UsageError, match="has layers 0 to 2, and no layer 3"):
        embed(*common, "-o", place, "--layer", 3)
    with pytest.raises(UsageError, match=r"written as \.parquet or \.h5ad"):
        embed(*common, "-o", "genes.csv")
    place.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        embed(*common, "-o", place)
    assert place.read_text() == "precious"
    embed(*common, "-o", place, "--force")
    assert len(parquet.read_table(place)) == 34


def test_anndata_has_the_same_vectors(tmp_path: Path, tiny_bundle: Path) -> None:
    anndata = pytest.importorskip("anndata", reason="anndata (extra 'table') is not installed")
    (tmp_path / "x.gff3").write_text(made_metagenome(3).replace("ID=gene_1;", "ID=gene_0;"))
    for ending in ("parquet", "h5ad"):
        words = ("-o", tmp_path / f"x.{ending}", "--model", tiny_bundle, "--layer", 2, "--context-only")
        embed(tmp_path / "x.gff3", *words)
    table, data = parquet.read_table(tmp_path / "x.parquet"), anndata.read_h5ad(tmp_path / "x.h5ad")
    assert set(data.obsm) == {"context_2", "context_only"} and data.obs_names.is_unique
    np.testing.assert_array_equal(data.X, np.array(table["protein"].to_pylist(), np.float32))
    for name, matrix in data.obsm.items():
        np.testing.assert_array_equal(matrix, np.array(table[name].to_pylist(), np.float32))
    for name in ("contig", "start", "end", "strand", "locus_tag", "id", "product"):
        assert list(data.obs[name]) == table[name].to_pylist()
    assert data.uns["glm_annot"] == {key.decode(): v.decode() for key, v in table.schema.metadata.items()
                                     if key != b"ARROW:schema"}  # fmt: skip
