"""Fits how far names can be trusted, to genomes whose annotators named the genes themselves.

Which family a gene is of says less than it seems: members of one family may be called differently, and a
name that a single genome gave may be wrong for the family. So each annotated genome is read as if it had said
nothing, nor any genome that is nearly the same; its own names then tell which of the given ones are right:
those with the same symbol, product or EC number. Names that mean the same in other words count as wrong, so
that the probabilities err on the low side. Of EC numbers, those given to genes without any count as wrong in
genomes that state EC numbers. Each genome is read a second time as if nobody had named the own family of any
gene: so genes are met whose family has no name, and more of their names are wrong.

Axes: Q genes that have a name to be judged; Z features of `Hints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.model.neighbours.hints import TRUST_FEATURES, Hint
from glm_annot.model.neighbours.judge import ContextOfGenes
from glm_annot.model.neighbours.names import Fact, FamilyName, usable
from glm_annot.pipeline import ask_neighbours
from glm_annot.records import Gene

from ..common.console import Report
from ..corpus.genome_folder import read_genome

PRECISION = 0.7  # of the names that are shown
NEARLY = 0.8  # of the smaller source's families that another one names, too: nearly the same genome
_LEAST = np.arange(0.5, 0.96, 0.01)  # a name that is rather wrong than right is never shown
_PENALTY = 1.0  # of squared weights


@dataclass(frozen=True)
class Judged:
    """Names (or EC numbers) that genes were given, and whether they are right.

    Attributes:
        source: of the genome.
        features_QZ, probability_Q: as in `Hint`.
        right_Q: whether each is right.
        own_Q: whether the family of the name is the gene's own.
        gene_Q: which of the genome's coding genes each is.
    """

    source: str
    features_QZ: Tensor
    probability_Q: Tensor
    right_Q: Tensor
    own_Q: Tensor
    gene_Q: Tensor

    @classmethod
    def joined(cls, parts: Sequence[Judged]) -> Judged:
        """Those of one genome that was read in several ways."""
        names = ("features_QZ", "probability_Q", "right_Q", "own_Q", "gene_Q")
        return cls(parts[0].source, *(torch.cat([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Stranger:
    """An annotated genome that was read as if it had named nothing, nor any that is nearly the same.

    Attributes:
        path: its file.
        genes: its coding genes, with the names that it gives them.
        context: what the model says of them.
        names: of families, by the other sources.
        without: the sources that were not believed.
    """

    path: Path
    genes: Sequence[Gene]
    context: ContextOfGenes
    names: Mapping[int, FamilyName]
    without: frozenset[str]

    def judged(self) -> tuple[Judged, Judged]:
        """The names and the EC numbers that its genes get, and which are right."""
        hint, own_G = self.context.hint, self.context.family_G
        assert hint is not None, "`as_stranger` has looked"
        right, right_ec = _names(self.genes, hint, self.names), _numbers(self.genes, hint, self.names)
        of_names = hint.family_Q, hint.features_QZ, hint.probability_Q
        of_ec = hint.ec_family_Q, hint.ec_features_QZ, hint.ec_probability_Q
        return (
            _judged(self.path.name, right, own_G, *of_names),
            _judged(self.path.name, right_ec, own_G, *of_ec),
        )


def fit_trust(model: Model, genomes: Sequence[Path], *, report: Report) -> None:
    """Fit the trust in names of a model's memory in place, and from which probability on names are shown.

    Args:
        model: whose families have names.
        genomes: annotated ones, of which nothing was learned but names.
        report: called with a line for names and one for EC numbers.

    Raises:
        InputError: the model's families have no names.
    """
    neighbours = model.neighbours
    if neighbours is None or neighbours.hints is None:
        raise InputError("the families of the model have no names")
    hints = neighbours.hints
    strangers = [as_stranger(model, path) for path in genomes]
    for of in strangers:
        if of.without < like(of.path.name, neighbours.facts):
            report(f"names: only genomes that are nearly the same as {of.path.name} name what judges them")
    unnamed = [as_stranger(model, path, own_named=False) for path in genomes]
    judged = [(known.judged(), hidden.judged()) for known, hidden in zip(strangers, unnamed, strict=True)]
    for place, what in enumerate(("names", "EC numbers")):
        layer = (hints.trust_name, hints.trust_ec)[place]
        pairs = [(known[place], hidden[place]) for known, hidden in judged if known[place].right_Q.any()]
        if not pairs:
            continue
        everything = [Judged.joined(pair) for pair in pairs]
        known, hidden = (_measured([pair[way] for pair in pairs], everything) for way in (0, 1))
        least = _least(*known)
        report(f"{what}: {said(*known, least)}")
        report(f"{what} where the own family's name is hidden: {said(*hidden, least)}")
        hints.least_K[place] = least
        _fit(layer, everything)


def as_stranger(model: Model, path: Path, *, own_named: bool = True) -> Stranger:
    """Read an annotated genome with a model that believes neither it nor a genome that is nearly the same.

    Args:
        model: whose families have names.
        path: of the genome.
        own_named: False reads it as if nobody had named the own family of any gene.

    Raises:
        InputError: the model gives no names, or the genome cannot be read.
    """
    neighbours = model.neighbours
    if neighbours is None or neighbours.hints is None:
        raise InputError("the model gives no names")
    genome, facts = read_genome(path), neighbours.facts
    without = frozenset(not_believed(path.name, facts))
    try:
        neighbours.call(facts, without=without)
        context, names = ask_neighbours(genome, model, own_named=own_named), neighbours.names
    finally:
        neighbours.call(facts)
    return Stranger(path, list(genome.coding), context, names, without)


def like(source: str, facts: Iterable[Fact]) -> set[str]:
    """The source, and others that name nearly the same families: genomes of one species."""
    families: dict[str, set[int]] = {}
    for fact in facts:
        families.setdefault(fact.source, set()).add(fact.family)
    own = families.get(source, set())
    near = {
        name
        for name, those in families.items()
        if own and len(own & those) >= NEARLY * min(len(own), len(those))
    }
    return {source} | {name for name in near if len(families[name]) <= 2 * len(own)}


def not_believed(source: str, facts: Iterable[Fact]) -> set[str]:
    """The sources that may not name what judges them: those of `like`.

    Where these are all there are, as in a folder of strains of one species, the source alone.
    """
    facts = list(facts)
    near = like(source, facts)
    return near if any(fact.source not in near for fact in facts) else {source}


def said(probability_Q: Tensor, right_Q: Tensor, least: float) -> str:
    """How many names are shown, how many of them are right, and how sure they are."""
    shown_Q = probability_Q >= least
    if not shown_Q.any():
        return f"none of {len(shown_Q):,} is sure enough"
    right, sure = float(right_Q[shown_Q].float().mean()), float(probability_Q[shown_Q].mean())
    return (
        f"{int(shown_Q.sum()):,} of {len(shown_Q):,} at {least:.2f} and above; {right:.3f} of them are "
        f"right, at a mean probability of {sure:.3f}"
    )


def _names(genes: Sequence[Gene], hint: Hint, names: Mapping[int, FamilyName]) -> list[bool | None]:
    """Whether each gene's name is right; None for a gene that its annotators gave none."""
    found: list[bool | None] = []
    for gene, family in zip(genes, hint.family_Q.tolist(), strict=True):
        known = usable(gene.name, gene.product)
        judged = family >= 0 and (any(known) or gene.ec)
        found.append(names[family].says(*known, gene.ec) if judged else None)
    return found


def _numbers(genes: Sequence[Gene], hint: Hint, names: Mapping[int, FamilyName]) -> list[bool | None]:
    """The same of EC numbers; all of them None in a genome that states none."""
    if not any(gene.ec for gene in genes):
        return [None] * len(genes)
    families = zip(genes, hint.ec_family_Q.tolist(), strict=True)
    return [None if family < 0 else names[family].ec in gene.ec for gene, family in families]


def _judged(
    source: str,
    right: Sequence[bool | None],
    own_G: Tensor,
    family_Q: Tensor,
    features_QZ: Tensor,
    probability_Q: Tensor,
) -> Judged:
    """Those of some genes that can be judged."""
    rows = torch.tensor([row for row, known in enumerate(right) if known is not None], dtype=torch.long)
    right_Q = torch.tensor([known for known in right if known is not None], dtype=torch.bool)
    own_Q = (family_Q == own_G)[rows]
    return Judged(source, features_QZ[rows], probability_Q[rows], right_Q, own_Q, rows)


def _fit(layer: nn.Linear, parts: Sequence[Judged]) -> None:
    """Fit one logistic regression; features are brought to one scale, and the weights take the scale up.

    One right and one wrong name at the mean of all are added, so that it can be fitted where all are right.
    """
    x_QZ = torch.cat([of.features_QZ for of in parts]).double().numpy()
    right_Q = torch.cat([of.right_Q for of in parts]).numpy()
    mean_Z, std_Z = x_QZ.mean(0), x_QZ.std(0).clip(1e-3)
    scaled_QZ = np.concatenate([(x_QZ - mean_Z) / std_Z, np.zeros((2, len(mean_Z)))])
    right_Q = np.append(right_Q, [True, False])
    fitted = LogisticRegression(C=1 / _PENALTY, max_iter=1000).fit(scaled_QZ, right_Q)
    weight_Z = fitted.coef_[0] / std_Z
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight_Z[None]))
        layer.bias.copy_(torch.tensor([float(fitted.intercept_[0]) - float(weight_Z @ mean_Z)]))


def _measured(parts: Sequence[Judged], fitted: Sequence[Judged]) -> tuple[Tensor, Tensor]:
    """Probabilities by a fit to the other genomes, and which are right, of the names of some."""
    return torch.cat([_elsewhere(of, fitted) for of in parts]), torch.cat([of.right_Q for of in parts])


def _elsewhere(of: Judged, parts: Sequence[Judged]) -> Tensor:
    """Probabilities of one genome's names by a fit to the other genomes; to itself where it is alone."""
    others = [part for part in parts if part.source != of.source] or parts
    layer = nn.Linear(TRUST_FEATURES, 1)
    _fit(layer, others)
    with torch.inference_mode():
        found: Tensor = layer(of.features_QZ)[:, 0].sigmoid()
        return found


def _least(probability_Q: Tensor, right_Q: Tensor) -> float:
    """The lowest probability from which on enough names are right."""
    for least in _LEAST.tolist():
        shown_Q = probability_Q >= least
        if shown_Q.any() and float(right_Q[shown_Q].float().mean()) >= PRECISION:
            return float(least)
    return float(_LEAST[-1])
