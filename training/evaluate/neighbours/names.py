"""How good the names are that genes get by their neighbours and their proteins.

An annotated genome is read as if it had named nothing, nor any genome that is nearly the same. A name is
right where it has the symbol, the product or the EC number that the annotators gave the gene, in the same
letters; other words for the same thing count as wrong.

Axes: Q genes, K candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glm_annot import io
from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.hypothetical import is_hypothetical
from glm_annot.model.neighbours.names import EC, FamilyName, labels
from glm_annot.records import Gene

from ...corpus import diamond
from ...corpus.genome_folder import read_genome
from ...corpus.shared_data import SharedData
from ...ec.labels import read_labelled, read_updates
from ...glm.windows import GeneOrder
from ...memory.trust import Judged, Stranger
from .places import Places, asker_of, embed_families, neighbours_of

NAMES, OTHERS, NUMBERS, HYPOTHETICAL = "names", "names_of_others", "ec", "hypothetical"
ALONE, ALONE_ALL, FAR = "neighbours_alone", "neighbours_alone_all_names", "far"
HINTED = 0.5  # probability of an EC number from which on the neighbours alone give a hint
GUESSES = 3
SAMPLE = ("genome", "locus_tag", "gene", "product", "ec", "symbol", "name", "name_ec", "probability")
FAR_IDENTITY = 0.4  # identity to the nearest labelled or named protein below which a gene is far from all
COVERAGE, PRECISION = 0.25, 0.85  # that are asked of names of such genes
Figures = dict[str, dict[str, float]]
_SHOWN = {
    NAMES: "names",
    OTHERS: "names of another family than the gene's own",
    NUMBERS: "EC numbers",
}


def evaluate_names(model: Model, stranger: Stranger, data: Path | None = None) -> Figures:
    """Measure the names and the EC numbers that the genes of an annotated genome get.

    Args:
        model: whose families have names.
        stranger: the genome as it was read.
        data: the folder of shared data; with it also genes without a near labelled or named relative.

    Returns:
        for names, names by another family than the gene's own, and EC numbers: how many genes could be
        judged, how many are shown a name, their share of all, the share of them that is right, and their
        mean probability. For hypothetical proteins how many are shown a name. For the neighbours alone, with
        the genome's own names left out and with all names, see `_alone`; for far genes `_far`.
    """
    names, ec = stranger.judged()
    neighbours = neighbours_of(model)
    assert neighbours.hints is not None and stranger.context.hint is not None, "as_stranger has looked"
    least, least_ec = neighbours.hints.least_K.tolist()
    hypothetical_G = torch.tensor([is_hypothetical(gene.product) for gene in stranger.genes])
    shown_G = stranger.context.hint.probability_Q >= least
    found: Figures = {
        NAMES: _figures(names, least, torch.ones_like(names.own_Q)),
        OTHERS: _figures(names, least, ~names.own_Q),
        NUMBERS: _figures(ec, least_ec, torch.ones_like(ec.own_Q)),
        HYPOTHETICAL: {
            "genes": int(hypothetical_G.sum()),
            "shown": int((hypothetical_G & shown_G).sum()),
        },
    }
    if any(gene.ec for gene in stranger.genes):
        places, genes = _places(model, stranger.path), stranger.genes
        found[ALONE] = _alone(places, genes, stranger.names, neighbours.config.families)
        found[ALONE_ALL] = _alone(places, genes, neighbours.names, neighbours.config.families)
    if data is not None:
        found[FAR] = _far(names, least, _identities(model, stranger, SharedData(data)))
    return found


def of_genomes(found: Mapping[str, Figures]) -> dict[str, Any]:
    """The figures of several genomes by their files as a group of metrics.json: the first stands for all."""
    first = next(iter(found))
    return {"of": first, **found[first], "genomes": dict(found)}


def lines(found: Figures) -> list[str]:
    """The figures as text."""
    text = [
        f"{title}: {found[what]['shown']:,.0f} of {found[what]['genes']:,.0f} genes; "
        f"{found[what]['right']:.3f} of them right, at a mean probability of {found[what]['probability']:.3f}"
        for what, title in _SHOWN.items()
    ]
    unknown = found[HYPOTHETICAL]
    text.append(f"hypothetical proteins: {unknown['shown']:,.0f} of {unknown['genes']:,.0f} get a name")
    for what, which in ((ALONE, "own names left out"), (ALONE_ALL, "all names")):
        if of := found.get(what):
            text.append(
                f"EC numbers by the neighbours alone ({which}): right for {of['first']:.3f} of "
                f"{of['enzymes']:,.0f} enzymes, {of['three']:.3f} in {GUESSES} guesses; of "
                f"{of['hinted']:,.0f} genes hinted at >= {HINTED} {of['precision']:.3f} right, of "
                f"{of['hinted_own']:,.0f} where that is the gene's own family {of['precision_own']:.3f}"
            )
    if of := found.get(FAR):
        text.append(
            f"genes less than {FAR_IDENTITY:.0%} identical to any labelled or named protein: "
            f"{of['shown']:,.0f} of {of['genes']:,.0f} named, {of['right']:.3f} of them right; "
            f"{of['precision']:.3f} at coverage {COVERAGE}; "
            f"coverage {of['coverage']:.3f} at precision {PRECISION}"
        )
    return text


def sample(model: Model, strangers: Sequence[Stranger], *, most: int, seed: int) -> list[tuple[str, ...]]:
    """Names that genes are shown, drawn at random, for a person to judge: the columns of `SAMPLE`.

    Args:
        model: that gave them.
        strangers: the genomes, as they were read.
        most: names of all together.
        seed: of the draw.
    """
    hints = neighbours_of(model).hints
    assert hints is not None, "as_stranger has looked"
    least, rows = float(hints.least_K[0]), []
    for of in strangers:
        hint = of.context.hint
        assert hint is not None, "as_stranger has looked"
        columns = zip(of.genes, hint.family_Q.tolist(), hint.probability_Q.tolist(), strict=True)
        for gene, family, probability in columns:
            if probability >= least:
                name = of.names[family]
                annotated = gene.locus_tag, gene.name, gene.product, ";".join(gene.ec)
                said = name.symbol, name.product, name.ec, f"{probability:.2f}"
                rows.append((of.path.name, *annotated, *said))
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:most]
    return [rows[row] for row in drawn.sort().values.tolist()]


def _figures(judged: Judged, least: float, rows_Q: Tensor) -> dict[str, float]:
    """Of those judged in some rows."""
    shown_Q = rows_Q & (judged.probability_Q >= least)
    some = bool(shown_Q.any())
    return {
        "genes": int(rows_Q.sum()),
        "shown": int(shown_Q.sum()),
        "share": float(shown_Q.sum()) / max(int(rows_Q.sum()), 1),
        "right": float(judged.right_Q[shown_Q].float().mean()) if some else 0.0,
        "probability": float(judged.probability_Q[shown_Q].mean()) if some else 0.0,
    }


def _places(model: Model, path: Path) -> Places:
    """What memory and gLM expect at the places of a genome that is read as a whole."""
    genome, neighbours = read_genome(path), neighbours_of(model)
    asker, order = asker_of(model, embed_families(model, genome)), GeneOrder.of_genome(genome)
    allowed_N = neighbours.places_of_others(asker.alone(order).genes)
    return Places.of(asker, order, neighbours.memory.index(allowed_N), neighbours)


def _alone(
    places: Places, genes: Sequence[Gene], names: Mapping[int, FamilyName], families: int
) -> dict[str, float]:
    """EC numbers that the neighbours alone expect of genes whose protein is hidden and whose strand is known.

    Families of one number share it.

    Returns:
        enzymes, and the shares of them whose number is the first guess, and one of three; genes hinted at
        `HINTED` or more, and the share that is right, where every number on a gene without one is wrong; the
        same of those where the likeliest family of that number is the gene's own.
    """
    label_F = torch.tensor([*labels(names, families)[EC], -1])
    family_QK = places.candidates.family_QK
    label_QK = label_F[family_QK]
    p_QK = places.log_p_QR[:, :-2].exp().masked_fill(label_QK < 0, 0.0)
    same_QKK = (label_QK[:, :, None] == label_QK[:, None, :]) & (label_QK >= 0)[:, :, None]
    p_ec_QK = (same_QKK * p_QK[:, None, :]).sum(-1)
    earlier_QK = (same_QKK & torch.ones_like(same_QKK[0]).tril(-1)).any(-1)  # a number counts once
    best = p_ec_QK.masked_fill(earlier_QK, -1.0).topk(min(GUESSES, family_QK.shape[1]), dim=1)
    number_of = _numbers(names, label_F)
    guessed_Q3 = label_QK.gather(1, best.indices)
    right_Q3 = torch.zeros_like(guessed_Q3, dtype=torch.bool)
    enzyme_Q = torch.zeros(len(family_QK), dtype=torch.bool)
    for row, (gene, guessed) in enumerate(zip(places.asked.at_Q.tolist(), guessed_Q3.tolist(), strict=True)):
        true = genes[gene].ec
        enzyme_Q[row] = bool(true)
        right_Q3[row] = torch.tensor([label >= 0 and number_of[label] in true for label in guessed])
    likeliest_QK = p_QK.masked_fill(label_QK != guessed_Q3[:, :1], -1.0)
    own_Q = family_QK.gather(1, likeliest_QK.argmax(1, keepdim=True))[:, 0] == places.asked.family_Q
    hinted_Q = best.values[:, 0] >= HINTED
    first_Q = right_Q3[:, 0]
    return {
        "enzymes": int(enzyme_Q.sum()),
        "first": _mean(first_Q[enzyme_Q]),
        "three": _mean(right_Q3[enzyme_Q].any(1)),
        "hinted": int(hinted_Q.sum()),
        "precision": _mean(first_Q[hinted_Q]),
        "hinted_own": int((hinted_Q & own_Q).sum()),
        "precision_own": _mean(first_Q[hinted_Q & own_Q]),
    }


def _numbers(names: Mapping[int, FamilyName], label_F: Tensor) -> dict[int, str]:
    """The EC number that each label stands for."""
    return {int(label_F[family]): name.ec for family, name in names.items() if label_F[family] >= 0}


def _identities(model: Model, stranger: Stranger, data: SharedData) -> Tensor:
    """Identity of each gene to the nearest labelled protein, or protein of a believed source, by DIAMOND.

    0 without any. Proteins identical to one of the genome's are no labelled ones.
    """
    proteins = [gene.protein or "" for gene in stranger.genes]
    updates = read_updates(data.ec_names)
    known = read_labelled(data.labelled, held_out=set(proteins), updates=updates, max_trust=2)
    targets = [protein.sequence for protein in known]
    for source in sorted({fact.source for fact in neighbours_of(model).facts} - stranger.without):
        for path in data.folder.glob(f"annotated/*/{source}"):
            named = io.read(path).coding
            targets += [gene.protein for gene in named if gene.protein and not is_hypothetical(gene.product)]
    identity_G = torch.zeros(len(proteins))
    for row, (_, identity) in diamond.best_hits(proteins, targets, threads=torch.get_num_threads()).items():
        identity_G[row] = identity
    return identity_G


def _far(judged: Judged, least: float, identity_G: Tensor) -> dict[str, float]:
    """Figures of genes far from labelled and named ones; see `FAR_IDENTITY`.

    Returns:
        those of `_figures`; precision of the surest names that cover `COVERAGE` of the genes, and the
        coverage of the surest names of which `PRECISION` are right.
    """
    far_Q = identity_G[judged.gene_Q] < FAR_IDENTITY
    if not far_Q.any():
        raise InputError("every gene has a near labelled or named relative")
    order = judged.probability_Q[far_Q].argsort(descending=True, stable=True)
    right_Q = judged.right_Q[far_Q][order].double()
    precision_Q = right_Q.cumsum(0) / torch.arange(1, len(right_Q) + 1)
    enough = torch.nonzero(precision_Q >= PRECISION)
    return {
        **_figures(judged, least, far_Q),
        "precision": float(precision_Q[max(round(COVERAGE * len(right_Q)), 1) - 1]),
        "coverage": float(enough[-1] + 1) / len(right_Q) if len(enough) else 0.0,
    }


def _mean(values: Tensor) -> float:
    return float(values.float().mean()) if len(values) else 0.0
