"""The whole way from a genome to predictions, with a tiny model and with heads whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import glm_annot
from glm_annot import pipeline
from glm_annot.bundle import Model
from glm_annot.cli.app import cli
from glm_annot.errors import ModelError
from glm_annot.io.qualifiers import provenance_comment
from glm_annot.model import windows
from glm_annot.model.context import BATCH_WINDOWS
from glm_annot.model.esm import Encoder
from glm_annot.model.glm import GLMOutput
from glm_annot.model.neighbours.memory import Memory, MemoryConfig
from glm_annot.operons.head import OperonHead, OperonHeadConfig
from glm_annot.overview import Overview
from glm_annot.pipeline import Settings, annotate_sections, embed_distinct
from glm_annot.records import Contig, Gene, Genome, Skip
from tests.support.tiny import made_gff3, made_metagenome, tiny


@pytest.fixture
def genome(small_gff3: Path) -> Genome:
    return glm_annot.read(small_gff3)


def test_every_coding_gene_is_predicted(genome: Genome, tiny_model: Model) -> None:
    predictions = glm_annot.annotate(genome, tiny_model).predictions
    indices = [gene.index for gene in genome.genes]
    assert list(predictions.genes) == indices
    assert list(predictions.pairs) == list(pairwise(indices))
    assert predictions.n_windows == 2
    for gene in predictions.genes.values():
        assert gene.enzyme is not None and 0 <= gene.enzyme <= 1
        assert gene.context_fit is not None and 0 <= gene.context_fit <= 100
        assert gene.context_confidence is not None and 0.25 <= gene.context_confidence <= 1


def too_large(values: torch.Tensor) -> None:
    """Numbers that are finite and whose products are not."""
    with torch.no_grad():
        sign = 1 - 2 * (torch.arange(values.numel()) % 2).reshape(values.shape)
        values.copy_(sign * torch.finfo(values.dtype).max)


@pytest.mark.parametrize(
    ("part", "tensor", "what"),
    [
        ("encoder", "layers.0.self_attn.out_proj.weight", "embeddings"),
        ("glm", "layers.0.attention.output.weight", "context"),
        ("ec", "ranking.weight_SF", "EC numbers"),
        ("operons", "attention.weight_F", "operons"),
        ("neighbours", "mixture.rest.0.bias", "context fits"),
    ],
)
def test_a_model_that_gives_no_numbers_is_refused(genome: Genome, part: str, tensor: str, what: str) -> None:
    model = tiny(neighbours=True)
    too_large(getattr(model, part).state_dict()[tensor])
    with pytest.raises(ModelError, match=f"model tiny gives {what} that are no numbers"):
        glm_annot.annotate(genome, model)


def test_pairs_across_strands_are_never_linked(genome: Genome, tiny_model: Model) -> None:
    strand = {gene.index: gene.strand for gene in genome.genes}
    pairs = glm_annot.annotate(genome, tiny_model).predictions.pairs
    across = [p for (left, right), p in pairs.items() if strand[left] != strand[right]]
    assert across and set(across) == {0.0}


def test_operons_are_told_by_the_memory(genome: Genome) -> None:
    """A head that links whatever stands side by side in three groups of genomes; the memory has four."""
    head = OperonHead(OperonHeadConfig(trees=1, nodes=3, conserved=True))
    head.layout.feature_TN[0, 0] = head.config.features.index("beside")
    head.layout.threshold_TN[0, 0] = 2.5
    head.layout.children_TN2[0] = torch.tensor([[1, 2], [1, 1], [2, 2]])
    head.layout.value_TN[0] = torch.tensor([0.0, -9.0, 9.0])
    model = replace(tiny(ec=False, neighbours=True), operons=head)
    said = glm_annot.annotate(genome, model).predictions
    assert said.operons == ()  # two genomes of other families
    assert model.neighbours is not None
    embeddings = torch.from_numpy(embed_distinct(model.encoder, genome.proteins))
    family_G, _ = model.neighbours.table.assign(embeddings)
    n = len(family_G)
    memory = Memory(MemoryConfig(4 * n, 4, 4, 12, gaps=True))
    memory.family_N.copy_(family_G.repeat(4))
    memory.strand_N.copy_(torch.tensor([gene.strand for gene in genome.genes]).repeat(4))
    memory.first_C.copy_(torch.arange(5) * n)
    memory.genome_C.copy_(torch.arange(4))
    memory.group_M.copy_(torch.arange(4))
    model.neighbours.memory = memory
    model.neighbours.config = replace(model.neighbours.config, places=4 * n, contigs=4, genomes=4)
    operons = glm_annot.annotate(genome, model).predictions.operons
    assert operons and {gene for operon in operons for gene in operon.genes} == set(range(n // 3 * 3))
    assert all("conserved:4" in operon.evidence for operon in operons)


def test_provenance_says_how_to_make_it_again(genome: Genome, tiny_model: Model) -> None:
    provenance = glm_annot.annotate(genome, tiny_model, min_confidence=0.7).predictions.provenance
    assert provenance.program == f"glm-annot {glm_annot.__version__}"
    assert (provenance.model, provenance.model_version) == ("tiny", "1.0.0")
    assert provenance.model_sha256 == tiny_model.sha256
    assert (provenance.min_confidence, provenance.link_threshold) == (0.7, 0.5)
    assert tiny_model.ec is not None
    assert (
        glm_annot.annotate(genome, tiny_model).predictions.provenance.min_confidence
        == tiny_model.ec.config.threshold
    )


def test_equal_runs_give_equal_predictions(genome: Genome, tiny_model: Model) -> None:
    first, again = (glm_annot.annotate(genome, tiny_model, precision="fp32").predictions for _ in range(2))
    assert first == again


def test_what_is_not_asked_for_is_not_predicted(genome: Genome, tiny_model: Model) -> None:
    predictions = glm_annot.annotate(genome, tiny_model, ec=False, operons=False).predictions
    assert predictions.operons is None and not predictions.pairs
    assert all(gene.enzyme is None and not gene.ec for gene in predictions.genes.values())
    assert all(gene.context_fit is not None for gene in predictions.genes.values())


def test_a_model_without_heads_still_tells_the_context_fit(genome: Genome) -> None:
    predictions = glm_annot.annotate(genome, tiny(operons=False, ec=False)).predictions
    assert predictions.operons is None
    assert all(gene.context_fit is not None for gene in predictions.genes.values())


def test_a_memory_tells_the_context_fit(genome: Genome) -> None:
    told = glm_annot.annotate(
        genome, tiny(ec=False, operons=False, neighbours=True)
    ).predictions.genes.values()
    by_glm = glm_annot.annotate(genome, tiny(ec=False, operons=False)).predictions.genes.values()
    assert all(gene.context_fit is not None and 0 <= gene.context_fit <= 100 for gene in told)
    assert all(gene.context_confidence is not None and 0 <= gene.context_confidence <= 1 for gene in told)
    assert [gene.context_fit for gene in told] != [gene.context_fit for gene in by_glm]


def test_a_gene_without_a_family_has_no_context_fit(genome: Genome) -> None:
    model = tiny(ec=False, operons=False, neighbours=True)
    assert model.neighbours is not None
    model.neighbours.table.nearest.fill_(2.0)  # a cosine that nothing reaches
    genes = glm_annot.annotate(genome, model).predictions.genes.values()
    assert all(gene.context_fit is None and gene.context_confidence is not None for gene in genes)


def test_a_lone_gene_has_no_context(tmp_path: Path, tiny_model: Model) -> None:
    (tmp_path / "lone.gff3").write_text(made_gff3(1))
    predictions = glm_annot.annotate(glm_annot.read(tmp_path / "lone.gff3"), tiny_model).predictions
    (gene,) = predictions.genes.values()
    assert gene.context_fit is None and gene.context_confidence is None and gene.enzyme is not None
    assert predictions.operons == () and not predictions.pairs


def test_a_genome_of_pseudogenes_gives_nothing(tiny_model: Model) -> None:
    dead = Gene(0, "a", "c", 1, 90, 1, skip=Skip.PSEUDOGENE)
    predictions = glm_annot.annotate(Genome((Contig("c", 100, False, (dead,)),)), tiny_model).predictions
    assert not predictions.genes and predictions.operons == () and predictions.n_windows == 0


def test_a_circular_contig_links_its_ends(genome: Genome, tiny_model: Model) -> None:
    ring = Genome((replace(genome.contigs[0], circular=True),))
    indices = [gene.index for gene in ring.genes]
    assert (indices[-1], indices[0]) in glm_annot.annotate(ring, tiny_model).predictions.pairs


def test_progress_counts_up_to_all_work(genome: Genome, tiny_model: Model) -> None:
    calls: list[tuple[str, int, int]] = []
    glm_annot.annotate(genome, tiny_model, batch_size=1, progress=lambda *at: calls.append(at))
    order = ("proteins", "windows", "heads")
    assert [stage for stage, _, _ in calls] == sorted((at[0] for at in calls), key=order.index)
    assert {at[0] for at in calls} == {*order}
    residues = sum(len(gene.protein or "") for gene in genome.genes)
    assert [at for at in calls if at[0] == "proteins"][-1] == ("proteins", residues, residues)
    assert [at for at in calls if at[0] == "windows"][-2:] == [("windows", 1, 2), ("windows", 2, 2)]
    n_coding = len(genome.proteins)
    assert calls[-2:] == [("heads", 0, n_coding), ("heads", n_coding, n_coding)]


def test_batches_are_halved_and_the_cpu_takes_over_where_a_gpu_is_too_small(
    genome: Genome, tiny_model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = glm_annot.annotate(genome, tiny_model, precision="fp32").predictions
    forward, sizes, moves = tiny_model.glm.forward, [], []

    def on_a_small_gpu(x_BTE: torch.Tensor, *args: Any, **options: Any) -> GLMOutput:
        sizes.append(len(x_BTE))
        if len(x_BTE) > 1 or (len(sizes) == 3 and not moves):
            raise torch.cuda.OutOfMemoryError
        return forward(x_BTE, *args, **options)

    monkeypatch.setattr(tiny_model.glm, "forward", on_a_small_gpu)
    monkeypatch.setattr(Model, "to", lambda self, device: moves.append(device))
    found = glm_annot.annotate(genome, tiny_model, precision="fp32").predictions
    assert sizes[:3] == [2, 1, 1] and moves == ["cpu"]
    assert [record.getMessage() for record in caplog.records] == [
        f"out of GPU memory for model {tiny_model.name}; continuing on the CPU, which is slower"
    ]
    assert found.n_windows == expected.n_windows and list(found.genes) == list(expected.genes)
    for index, gene in expected.genes.items():
        assert found.genes[index].context_fit == pytest.approx(gene.context_fit, abs=1e-3)


def test_a_metagenome_is_read_in_parts(
    tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "many.gff3").write_text(made_metagenome(9))
    genome = glm_annot.read(tmp_path / "many.gff3")
    whole = glm_annot.annotate(genome, tiny_model, precision="fp32").predictions
    held: list[int] = []
    calls: list[tuple[str, int, int]] = []

    def counted(encoder: Encoder, proteins: list[str], **options: Any) -> npt.NDArray[np.float32]:
        held.append(len(proteins))
        return embed_distinct(encoder, proteins, **options)

    monkeypatch.setattr(windows, "PART_GENES", 5)
    monkeypatch.setattr(pipeline, "embed_distinct", counted)
    parts = glm_annot.annotate(
        genome, tiny_model, precision="fp32", progress=lambda *at: calls.append(at)
    ).predictions
    assert held == [5, 5, 5, 5, 2]  # contigs of two and three genes in turn
    assert list(parts.genes) == list(whole.genes) and list(parts.pairs) == list(whole.pairs)
    assert list(parts.pairs.values()) == pytest.approx(list(whole.pairs.values()))
    assert (parts.operons, parts.n_windows) == (whole.operons, whole.n_windows)
    for index, gene in whole.genes.items():
        assert parts.genes[index].context_fit == pytest.approx(gene.context_fit, abs=1e-3)
        assert [call.number for call in parts.genes[index].ec] == [call.number for call in gene.ec]
    residues = sum(len(gene.protein or "") for gene in genome.genes)
    for stage, total in (("proteins", residues), ("windows", 9)):
        done = [at[1] for at in calls if at[0] == stage]
        assert done == sorted(done) and done[-1] == total
        assert {at[2] for at in calls if at[0] == stage} == {total}


def test_a_contig_is_never_cut(genome: Genome, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "PART_GENES", 5)
    assert glm_annot.annotate(genome, tiny_model).predictions.n_windows == 2


@pytest.mark.parametrize(("ec", "operons"), [(True, True), (True, False), (False, True)])
def test_provenance_says_what_was_predicted(
    ec: bool, operons: bool, genome: Genome, tiny_model: Model
) -> None:
    made = glm_annot.annotate(
        genome, tiny_model, ec=ec, operons=operons, precision="bf16"
    ).predictions.provenance
    assert (made.ec, made.operons, made.precision) == (ec, operons, "bf16")
    comment = provenance_comment(made)
    assert ("ec_eco=" in comment, "operon_eco=" in comment) == (ec, operons)
    assert comment.endswith("; precision=bf16")


def test_the_command_line_has_the_same_default_batch() -> None:
    (option,) = (p for p in cli.commands["annotate"].params if p.name == "batch_size")
    assert option.default == BATCH_WINDOWS


def test_equal_proteins_are_embedded_once(tiny_model: Model) -> None:
    counted: list[tuple[str, int, int]] = []
    proteins = ["MKV", "MKVLA", "MKV", "MKV"]
    embeddings = embed_distinct(tiny_model.encoder, proteins, progress=lambda *at: counted.append(at))
    assert counted[-1] == ("proteins", 8, 8)
    assert np.array_equal(embeddings[0], embeddings[3])
    assert not np.array_equal(embeddings[0], embeddings[1])
    assert embeddings.shape == (4, 16)


def test_only_hypothetical_proteins_are_annotated_as_among_all_genes(
    genome: Genome, tiny_model: Model
) -> None:
    contigs = tuple(
        replace(
            contig,
            genes=tuple(
                replace(gene, product="Glucokinase" if gene.index % 3 else "hypothetical protein")
                for gene in contig.genes
            ),
        )
        for contig in genome.contigs
    )
    mixed = Genome(contigs)
    overview = Overview.of([mixed])
    ((_, everything),) = annotate_sections([mixed], overview, tiny_model, Settings())
    ((_, found),) = annotate_sections([mixed], overview, tiny_model, Settings(only_hypothetical=True))
    assert found.genes == {i: gene for i, gene in everything.genes.items() if i % 3 == 0}
    assert found.provenance.only_hypothetical and found.operons is not None
    assert all(any(i % 3 == 0 for i in operon.genes) for operon in found.operons)
