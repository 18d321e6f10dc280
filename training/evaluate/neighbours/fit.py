"""How well the context fit tells genes that stand where they do not belong from those in their own place.

Five kinds of misplaced genes, each against the genes of the same genome in their places:

- *shuffled*: all genes of each contig in another order;
- *related*, *unrelated*: each place in turn holds a gene of another genome, drawn at random from those that
  share `rings.RINGS['genus']` of the genome's families or more, or less than `rings.RINGS['far']`;
- *phage*: each place in turn holds a phage gene of another genome, of a family that the genome lacks;
- *prophages*: whole prophages of another genome are put between genes.

A gene that takes a place takes its strand, too, and is never of the family that belongs there. Only genes
that are surely of their family have a fit, and only such are put elsewhere. Genes of the genome's own
prophages are no genes in their places where phage genes are told. A genome has no vote on itself, nor on the
prophages that it gives.

Axes: G coding genes, Q genes asked for, M genomes of the memory, F families.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from glm_annot.bundle import Model
from glm_annot.model.neighbours.judge import Neighbours
from glm_annot.model.neighbours.memory import MemoryIndex
from glm_annot.records import Genome

from ...common.console import Report
from ...corpus.rings import RINGS
from ...glm.windows import Embeddings, GeneOrder
from ...memory.asked import Asker, shuffled
from ...memory.build import CorpusMemory
from . import places as read_places
from .places import Places, asker_of, embed_families, neighbours_of
from .prophages import prophage_genes, runs

SHUFFLED, RELATED, UNRELATED, PHAGE, PROPHAGES = "shuffled", "related", "unrelated", "phage", "prophages"
_TITLES = {
    SHUFFLED: "shuffled genes",
    RELATED: "genes of related genomes",
    UNRELATED: "genes of unrelated genomes",
    PHAGE: "single phage genes",
    PROPHAGES: "genes of whole prophages",
}
LEAST_PROPHAGE = 10  # genes of a prophage that is put between others
Ratios = dict[str, tuple[Tensor, Tensor]]  # of a kind: log-ratios in place, and misplaced


def of_genome(
    model: Model, genome: Genome, corpus: Path, others: Sequence[Genome] = ()
) -> dict[str, dict[str, float]]:
    """Measure the context fit on one genome.

    Args:
        model: with a memory.
        genome: whose places are judged.
        corpus: that the memory was built from; gives the genes of other genomes.
        others: annotated genomes whose phage genes are put into it.

    Returns:
        for each kind of misplaced genes that there are: auroc, and how many with a fit were in_place and
        misplaced.

    Raises:
        InputError: the model has no memory, or another one than the corpus.
    """
    memory, of_memory = read_places.of_corpus(corpus, model)
    pool_N = _sure(memory, of_memory, model)
    neighbours, embeddings_ND = neighbours_of(model), embed_families(model, genome)
    asker, order = asker_of(model, embeddings_ND), GeneOrder.of_genome(genome)
    genes = asker.alone(order).genes
    index = neighbours.memory.index(neighbours.places_of_others(genes))
    shares_M = neighbours.memory.shares_with(genes.family_G)
    shares_M[neighbours.same_genomes(genes)] = torch.nan
    own_G = torch.from_numpy(prophage_genes(genome))
    found, places = _ratios(asker, order, index, neighbours, shares_M, pool_N)
    for other in others:
        for kind, pair in _phage_ratios(model, places, order, own_G, embeddings_ND, other).items():
            before = found[kind][1] if kind in found else pair[1][:0]
            found[kind] = pair[0], torch.cat([before, pair[1]])
    return _figures([found])


def of_corpus(
    corpus: Path, model: Model, *, split: str = "test", report: Report
) -> dict[str, dict[str, float]]:
    """Measure the context fit on the genomes of a corpus's split; as `of_genome`, without phages.

    Raises:
        InputError: the model has no memory, or another one than the corpus.
    """
    memory, asker = read_places.of_corpus(corpus, model)
    pool_N, every = _sure(memory, asker, model), []
    for row in [row for row, of in enumerate(memory.split) if of == split]:
        order, shares_M = memory.order_of(row), torch.from_numpy(memory.shares_MM[row]).clone()
        shares_M[row] = torch.nan
        index = memory.memory.index(memory.seen_by(row, "near"))
        found, _ = _ratios(asker, order, index, neighbours_of(model), shares_M, pool_N)
        every.append(found)
        report(f"context fit: genome {memory.genomes[row]}")
    return _figures(every)


def lines(found: dict[str, dict[str, float]]) -> list[str]:
    """The figures as text."""
    return [
        f"told from {_TITLES[kind]}, AUROC {of['auroc']:.3f} ({of['misplaced']:,.0f} of them)"
        for kind, of in found.items()
    ]


def _sure(memory: CorpusMemory, asker: Asker, model: Model) -> Tensor:
    """The families of the memory's genes; the number of families for none that they are surely of, (N,)."""
    config, cosine_N = neighbours_of(model).config, asker.families.cosine_N[memory.protein_N]
    unsure_N = torch.from_numpy(cosine_N < config.fit_from)
    return memory.memory.family_N.long().masked_fill(unsure_N, config.families)


def _ratios(
    asker: Asker,
    order: GeneOrder,
    index: MemoryIndex,
    neighbours: Neighbours,
    shares_M: Tensor,
    pool_N: Tensor,
) -> tuple[Ratios, Places]:
    """Log-ratios of genes in place and shuffled, and of genes of other genomes, as far as there are any.

    Args:
        asker, order, index, neighbours: that ask, and of what.
        shares_M: share of the smaller genome's families that the other has; NaN for the genome itself.
        pool_N: families of the memory's places, whose genomes give genes.
    """
    places, none = Places.of(asker, order, index, neighbours), neighbours.config.families
    found = {SHUFFLED: (places.own, Places.of(asker, shuffled(order), index, neighbours).own)}
    by_kind = {RELATED: shares_M >= RINGS["genus"], UNRELATED: shares_M < RINGS["far"]}
    for kind, chosen_M in by_kind.items():
        pool = pool_N[~neighbours.memory.places_without(chosen_M)]
        pool = pool[pool < none]
        if len(pool):
            found[kind] = places.own, places.ratios(_drawn(pool, places.asked.family_Q, none))
    return found, places


def _drawn(pool: Tensor, own_Q: Tensor, none: int) -> Tensor:
    """Families drawn from some genes' for each place; none where the place's own was drawn."""
    generator = torch.Generator().manual_seed(0)
    family_Q = pool[torch.randint(len(pool), (len(own_Q),), generator=generator)]
    return family_Q.masked_fill(family_Q == own_Q, none)


def _phage_ratios(
    model: Model,
    places: Places,
    order: GeneOrder,
    phage_G: Tensor,
    embeddings_ND: Embeddings,
    other: Genome,
) -> Ratios:
    """Log-ratios of the genes of a genome that are of no phage, and of another genome's phage genes in it.

    Args:
        model: that judges.
        places: of the genome.
        order, embeddings_ND: of the same.
        phage_G: which of its genes are of phages.
        other: whose phage genes are put into it.
    """
    neighbours = neighbours_of(model)
    given_G, none = prophage_genes(other), neighbours.config.families
    theirs_ND = embed_families(model, other)
    family_G, cosine_G = neighbours.table.assign(torch.from_numpy(theirs_ND))
    strange_G = ~torch.isin(family_G, places.asked.genes.family_G) & (family_G < none)
    strange_G &= cosine_G >= neighbours.config.fit_from
    pool = family_G[torch.from_numpy(given_G) & strange_G]
    if not len(pool):
        return {}
    at_Q = places.asked.at_Q
    single = places.own[~phage_G[at_Q]], places.ratios(_drawn(pool, places.asked.family_Q, none))

    theirs = GeneOrder.of_genome(other)
    given = runs(given_G, LEAST_PROPHAGE)
    both, from_other_G, prophage_G = _with_runs(order, phage_G.numpy(), theirs, given)
    asker = asker_of(model, np.concatenate([embeddings_ND, theirs_ND]))
    hidden_M = neighbours.same_genomes(places.asked.genes)
    hidden_M = hidden_M | neighbours.same_genomes(asker.alone(_moved(theirs, len(embeddings_ND))).genes)
    index = neighbours.memory.index(neighbours.memory.places_without(hidden_M))
    found = Places.of(asker, both, index, neighbours)
    at_Q, put_Q = found.asked.at_Q, torch.from_numpy(from_other_G)[found.asked.at_Q]
    lacked_Q = ~torch.isin(found.asked.family_Q, places.asked.genes.family_G)
    host_Q = ~put_Q & ~torch.from_numpy(prophage_G)[at_Q]
    return {PHAGE: single, PROPHAGES: (found.own[host_Q], found.own[put_Q & lacked_Q])}


def _moved(order: GeneOrder, rows: int) -> GeneOrder:
    """The same genes where their proteins' rows come after so many others."""
    return replace(order, protein_G=order.protein_G + rows)


def _with_runs(
    order: GeneOrder, phage_G: npt.NDArray[np.bool_], other: GeneOrder, given: Sequence[tuple[int, int]]
) -> tuple[GeneOrder, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """A genome with runs of another one's genes put before genes of its own that are of no phage.

    Returns:
        its genes, the other's proteins behind its own; which genes are the other's; which of its own genes
        are of phages.
    """
    host = np.flatnonzero(~phage_G)
    before = np.sort(np.random.default_rng(0).choice(host, size=min(len(given), len(host)), replace=False))
    gene_G, first = [], 0
    for at, (low, high) in zip(before.tolist(), given, strict=False):
        gene_G += [np.arange(first, at), -1 - np.arange(low, high)]  # negative: of the other genome
        first = at
    joined = np.concatenate([*gene_G, np.arange(first, len(order.protein_G))])
    put_G, own_G = joined < 0, joined.clip(0)
    theirs_G = (-1 - joined).clip(0)
    protein_G = np.where(put_G, len(order.protein_G) + other.protein_G[theirs_G], order.protein_G[own_G])
    strand_G = np.where(put_G, other.strand_G[theirs_G], order.strand_G[own_G])
    added = np.zeros(len(order.first_C), np.int64)
    for at, (low, high) in zip(before.tolist(), given, strict=False):
        added[order.first_C > at] += high - low
    both = GeneOrder(protein_G, strand_G, np.zeros(len(protein_G), np.bool_), order.first_C + added)
    return both, put_G, ~put_G & phage_G[own_G]


def _figures(every: Iterable[Ratios]) -> dict[str, dict[str, float]]:
    """The area under the ROC curve for each kind of which there are genes, over those of all genomes."""
    pairs: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for found in every:
        for kind, pair in found.items():
            pairs.setdefault(kind, []).append(pair)
    figures = {}
    for kind, those in pairs.items():
        in_place, misplaced = (torch.cat(of) for of in zip(*those, strict=True))
        ratios = [values[~values.isnan()] for values in (misplaced, in_place)]
        if not all(map(len, ratios)):
            continue
        true = np.repeat([0, 1], [len(values) for values in ratios])
        figures[kind] = {
            "auroc": float(roc_auc_score(true, torch.cat(ratios).numpy())),
            "in_place": len(ratios[1]),
            "misplaced": len(ratios[0]),
        }
    return figures
