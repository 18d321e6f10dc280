"""A memory of gene order for a finished model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import glm_annot
from glm_annot.bundle import load, read_texts, save
from glm_annot.errors import InputError
from glm_annot.model.esm import fingerprint
from glm_annot.model.family_encoder import FamilyEncoder
from glm_annot.model.neighbours.judge import Neighbours, NeighboursConfig
from glm_annot.model.sizes import FamilyEncoderConfig
from glm_annot.pipeline import embed_distinct
from glm_annot.training import recipe
from glm_annot.training.bundle.memory import add_genomes, add_memory
from glm_annot.training.encoder.exports import export_encoder
from glm_annot.training.memory.neighbours import save_neighbours
from tests.support.tiny import made_gff3, tiny

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


@pytest.fixture
def with_memory(tmp_path: Path) -> Path:
    """A model with a memory of two genomes of twenty genes."""
    save(
        tiny(neighbours=True),
        tmp_path / "with_memory",
        metrics={},
        card="# tiny 1.0.0\n\n## Parts\n\nold\n",
        bf16=(),
    )
    return tmp_path / "with_memory"


@pytest.fixture
def strains(tmp_path: Path) -> Path:
    """A folder of two genomes."""
    folder = tmp_path / "strains"
    folder.mkdir()
    for name, seed in (("a", 1), ("b", 2)):
        (folder / f"{name}.gff3").write_text(made_gff3(400, seed=seed))
    return folder


def test_genomes_are_added_to_a_memory(with_memory: Path, strains: Path, tmp_path: Path) -> None:
    said: list[str] = []
    command = "glm-train memory strains --model with_memory -o more"
    add_genomes(str(with_memory), strains, tmp_path / "more", command=command, report=said.append)
    assert said == ["a.gff3: 400 genes", "b.gff3: 400 genes"]
    before, after = load(with_memory), load(tmp_path / "more")
    assert before.neighbours is not None and after.neighbours is not None
    assert after.version == "1.0.0+2"
    memory = after.neighbours.memory
    assert (memory.config.genomes, memory.config.contigs, memory.config.places) == (4, 4, 840)
    assert memory.first_C.tolist() == [0, 20, 40, 440, 840] and memory.genome_C.tolist() == [0, 1, 2, 3]
    assert torch.equal(memory.family_N[:40], before.neighbours.memory.family_N)
    genome = glm_annot.read(strains / "b.gff3")
    embeddings_GD = embed_distinct(after.encoder, genome.proteins)
    family_G, _ = after.neighbours.table.assign(torch.from_numpy(embeddings_GD))
    assert memory.family_N[440:].tolist() == family_G.tolist()
    assert memory.strand_N[440:].tolist() == [gene.strand for gene in genome.coding]
    _, card = read_texts(tmp_path / "more")
    assert card.startswith("# tiny 1.0.0+2\n") and "\nold\n" not in card
    assert card.endswith(f"2 genomes with 800 genes, added by `{command}`: a.gff3, b.gff3.\n")
    parts = after.parts
    for name, part in before.parts.items():
        for key, tensor in part.state_dict().items():
            if not key.startswith("memory."):
                assert torch.equal(tensor, parts[name].state_dict()[key]), (name, key)
    glm_annot.annotate(genome, after)


def test_more_genomes_can_follow(with_memory: Path, strains: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for model, folder, name in (("with_memory", "one", "a"), ("one", "two", "b")):
        (tmp_path / name).mkdir()
        (strains / f"{name}.gff3").rename(tmp_path / name / f"{name}.gff3")
        add_genomes(
            str(tmp_path / model), tmp_path / name, tmp_path / folder, command=folder, report=said.append
        )
    assert said == ["a.gff3: 400 genes", "b.gff3: 400 genes"]
    assert load(tmp_path / "two").version == "1.0.0+2"
    _, card = read_texts(tmp_path / "two")
    assert card.count("## Genomes added") == 1 and "added by `one`" in card and "added by `two`" in card


def test_genomes_that_the_memory_holds_are_left_out(
    with_memory: Path, strains: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm_annot.training.memory.strains.is_known", lambda *_: True)
    said: list[str] = []
    with pytest.raises(InputError, match="no genome that is new"):
        add_genomes(str(with_memory), strains, tmp_path / "more", command="", report=said.append)
    assert (
        said[0] == "a.gff3: 400 genes; the memory holds this genome already, or nearly the same one: left out"
    )


def test_a_model_without_a_memory_takes_no_genomes(tiny_bundle: Path, strains: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no memory of gene order"):
        add_genomes(str(tiny_bundle), strains, tmp_path / "more", command="", report=[].append)
