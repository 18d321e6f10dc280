"""A memory of gene order for a finished model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import glm_annot
from glm_annot.bundle import load, read_texts
from glm_annot.errors import InputError
from glm_annot.model.esm import fingerprint
from glm_annot.model.family_encoder import FamilyEncoder
from glm_annot.model.neighbours.judge import Neighbours, NeighboursConfig
from glm_annot.model.sizes import FamilyEncoderConfig
from glm_annot.training import recipe
from glm_annot.training.bundle.memory import add_memory
from glm_annot.training.encoder.exports import export_encoder
from glm_annot.training.memory.neighbours import save_neighbours

SIZES = FamilyEncoderConfig(dim=8, kmer_dim=4, hidden=8, hash_bits=8)
COUNTS = {"genomes_train": 3, "genomes_valid": 1, "genes": 40}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Folders: a corpus, the encoder that embedded it, and neighbours."""
    torch.manual_seed(0)
    encoder = FamilyEncoder(SIZES)
    encoder.round_table()
    export_encoder(encoder, tmp_path / "plm")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "corpus.json").write_text(json.dumps({"counts": COUNTS}))
    (tmp_path / "corpus" / "embeddings.json").write_text(json.dumps({"encoder": fingerprint(encoder)}))
    neighbours = Neighbours(NeighboursConfig(5, 8, places=20, contigs=1, genomes=1, mixture=4))
    neighbours.table.centroids_FD.copy_(torch.randn(5, 8))
    neighbours.table.nearest.fill_(-1000.0)  # every gene has a family
    neighbours.memory.family_N.copy_(torch.randint(5, (20,)))
    neighbours.memory.first_C.copy_(torch.tensor([0, 20]))
    save_neighbours(neighbours, tmp_path / "neighbours")
    return tmp_path


def add(made: Path, tiny_bundle: Path, plm: str = "plm") -> None:
    add_memory(
        str(tiny_bundle),
        made / "model",
        recipe=recipe.read("mini"),
        corpus=made / "corpus",
        encoder=made / plm,
        neighbours=made / "neighbours",
        command="glm-train add-memory ...",
    )


def test_the_memory_reads_proteins_by_an_encoder_of_its_own(
    made: Path, tiny_bundle: Path, small_gff3: Path
) -> None:
    add(made, tiny_bundle)
    model, before = load(made / "model"), load(tiny_bundle)
    assert model.family_encoder is not None and model.neighbours is not None
    assert model.version == recipe.read("mini").version
    assert model.encoder.config == before.encoder.config
    genome = glm_annot.read(small_gff3)
    with_memory, without = (
        glm_annot.annotate(genome, model).predictions,
        glm_annot.annotate(genome, before).predictions,
    )
    assert [gene.ec for gene in with_memory.genes.values()] == [gene.ec for gene in without.genes.values()]
    assert with_memory.pairs == without.pairs
    fits = [gene.context_fit for gene in with_memory.genes.values()]
    assert fits != [gene.context_fit for gene in without.genes.values()]
    assert all(fit is not None and 0 <= fit <= 100 for fit in fits)
    _, card = read_texts(made / "model")
    assert card.endswith("Added by `glm-train add-memory ...`.\n") and "4 genomes, 40 genes" in card


def test_another_encoder_than_that_of_the_corpus_is_refused(made: Path, tiny_bundle: Path) -> None:
    export_encoder(
        FamilyEncoder(FamilyEncoderConfig(dim=8, kmer_dim=4, hidden=8, hash_bits=8)), made / "other"
    )
    with pytest.raises(InputError, match="is not the family encoder that embedded the corpus"):
        add(made, tiny_bundle, plm="other")
