"""Fits the EC head: families, linear heads, then the calibration on what neither of them has seen.

    labelled proteins --- 7/8 of their clusters --> families, homologues, linear heads --> evidence for
                     \\-- 1/8, and whole genomes ------------------------------------------> calibration
    all labelled proteins ------------------------> the families and homologues that ship

The calibration sees genomes through families and homologues without their own sequences, as a user's new
genome is seen. Homologues are searched for among the labelled proteins that a model may hold, and those
without a number beside them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from glm_annot.bundle import Model
from glm_annot.ec.adjacency import LabelPairs, runs
from glm_annot.ec.head import ECHead, ECHeadConfig
from glm_annot.io.sequences import clean_protein
from glm_annot.model.context import contextualise
from glm_annot.pipeline import embed_distinct
from glm_annot.records import Genome

from ..common.console import Report
from ..corpus import similarity
from ..corpus.heldout import HeldOut, refuse_leaks
from . import profiles
from .adjacency import count
from .calibrate import CalibrationExample, calibrate
from .families import all_labels, families, head_of
from .labels import Labelled, as_reference, collections, transfer
from .linear import fit_linear
from .sources import AnnotatedGenome, Sources, lone_genes

HELD_SHARE = 1 / 8  # of the labelled clusters that only calibrate
HELD_IDENTITY = 0.3  # clusters of labelled proteins that share no more than about this much
BACKGROUND = 40_000  # proteins that patterns' rarity is counted on
HELD_PROTEINS = 3000  # labelled proteins that are enough to calibrate on

States = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]  # embeddings (G, D), hidden states (G, L, D)


@dataclass(frozen=True)
class Reader:
    """Reads genes as the finished model will: their embeddings, and gLM's hidden states in their context.

    Attributes:
        model: whose encoder, features and gLM to read with; None reads nothing.
        layers: gLM hidden layers for the context's evidence.
    """

    model: Model | None = None
    layers: tuple[int, ...] = ()

    def __call__(self, genome: Genome) -> States:
        """States of all coding genes."""
        proteins = genome.proteins
        if self.model is None:
            return np.zeros((len(proteins), 0), np.float32), np.zeros((len(proteins), 0, 0), np.float32)
        embeddings_GD = embed_distinct(self.model.encoder, proteins)
        if not self.layers:
            return embeddings_GD, np.zeros((len(proteins), 0, 0), np.float32)
        states = contextualise(genome, embeddings_GD, self.model.glm, self.model.features, layers=self.layers)
        return embeddings_GD, states.hidden_GSF

    @property
    def inputs(self) -> ECHeadConfig:
        """What is read, and of what size; without labels."""
        if self.model is None:
            return ECHeadConfig(())
        hidden_dim = self.model.glm.config.dim if self.layers else 0
        return ECHeadConfig((), self.layers, hidden_dim, self.model.encoder.config.dim)


def fit_ec_head(
    sources: Sources,
    *,
    reader: Reader | None = None,
    seed: int = 0,
    threads: int = 1,
    report: Report = lambda line: None,
) -> ECHead:
    """Fit an EC head.

    Args:
        sources: what it is fitted on.
        reader: for the evidence of encoder and context; without one there are only families.
        seed: of all that is drawn.
        threads: processor cores for DIAMOND.
        report: called with a line of text for the user at each stage.

    Raises:
        GlmAnnotError: MMseqs2 or DIAMOND is not installed, or a held-out protein has a label.
    """
    reader = reader or Reader()
    homologues, pairs = _transferred(sources, threads)
    known = [protein.sequence for protein in (*sources.labelled, *sources.non_enzymes, *sources.rivals)]
    refuse_leaks(chain(known, *homologues.values()), HeldOut(genomes=sources.held_out))
    maker = _Maker(sources, homologues, pairs, seed, reader)
    report(f"EC: {len(sources.labelled):,} labelled proteins, {len(maker.labels):,} numbers")
    held = _held(sources.labelled, seed)
    own = {clean_protein(protein) for genome in sources.calibration for protein in genome.proteins}
    unseen = own | sources.close | {sources.labelled[place].sequence for place in held}
    seen = [place for place, protein in enumerate(sources.labelled) if protein.sequence not in unseen]
    learner = maker.head(seen)
    base = [protein for protein in (*sources.labelled, *sources.rivals) if protein.ships]
    learner.base = as_reference([protein for protein in base if protein.sequence not in unseen])
    maker.fit_linear(learner, [sources.labelled[place] for place in seen])
    report(f"EC: {learner.config.profiles:,} families of {len(seen):,} proteins; gathering evidence")
    examples = _examples(learner, sources, held, reader)
    whole = maker.head(range(len(sources.labelled)))
    whole.base = as_reference(base)
    whole.config = replace(whole.config, collections=collections(base))
    _take_linear(whole, learner)
    calibrate(whole, examples, seed=seed)
    report(
        f"EC: calibrated on {len(examples):,} proteins; {whole.config.profiles:,} families and "
        f"{len(base):,} proteins to search in all"
    )
    return whole.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Maker:
    """Makes heads of one shape from different parts of the labelled proteins.

    Attributes:
        sources, seed, reader: as in `fit_ec_head`.
        homologues: position of a labelled protein -> sequences that have its label.
        pairs: how often labels are neighbours.
    """

    sources: Sources
    homologues: Mapping[int, Sequence[str]]
    pairs: LabelPairs
    seed: int
    reader: Reader

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return all_labels(self.sources.labelled)

    @cached_property
    def rarity_K(self) -> npt.NDArray[np.uint8]:
        proteins = [*self.sources.relatives, *(p.sequence for p in self.sources.labelled)]
        chosen = random.Random(self.seed).sample(proteins, min(len(proteins), BACKGROUND))
        return profiles.rarity(chosen)

    def head(self, places: Sequence[int]) -> ECHead:
        """A head that knows the families of some labelled proteins, its linear heads not yet fitted."""
        found = families(
            [self.sources.labelled[place] for place in places],
            {row: self.homologues.get(place, ()) for row, place in enumerate(places)},
        )
        return head_of(found, self.labels, self.rarity_K, self.pairs, self.reader.inputs)

    def fit_linear(self, head: ECHead, labelled: Sequence[Labelled]) -> None:
        """Fit the linear heads that there are, on labelled proteins and on the genes of annotated genomes."""
        if head.encoder is None:
            return
        alone = [*labelled, *self.sources.non_enzymes]
        read = [self.reader(lone_genes([protein.sequence for protein in alone]))]
        ec = [protein.ec for protein in alone]
        for genome in self.sources.context:
            kept = _usable(genome, self.sources.held_out)
            embeddings_GD, hidden_GLD = self.reader(genome.genome)
            read.append((embeddings_GD[kept], hidden_GLD[kept]))
            ec += [genome.ec[row] for row in kept]
        numbered = {label: place for place, label in enumerate(self.labels)}
        known = [row for row, own in enumerate(ec) if not own or any(n in numbered for n in own)]
        places = [[numbered[n] for n in ec[row] if n in numbered] for row in known]
        embeddings, hidden = (np.concatenate(parts)[known] for parts in zip(*read, strict=True))
        fit_linear(head.encoder, embeddings, places, seed=self.seed)
        if head.context is not None:
            fit_linear(head.context, hidden.reshape(len(hidden), -1), places, seed=self.seed)


def _transferred(sources: Sources, threads: int) -> tuple[dict[int, list[str]], LabelPairs]:
    """What labels that are carried over to homologues teach.

    Returns:
        sequences that get a labelled protein's label, by its position; its own copies are none.
        how often labels are neighbours in all genomes.
    """
    known = {protein.sequence for protein in sources.labelled}
    found: dict[int, list[str]] = {}
    labels = transfer(sources.labelled, sources.relatives, held_out=sources.held_out, threads=threads)
    for relative, place in sorted(labels.items()):
        if sources.relatives[relative] not in known:
            found.setdefault(place, []).append(sources.relatives[relative])
    numbered = {label: place for place, label in enumerate(all_labels(sources.labelled))}
    places = {
        relative: [numbered[number] for number in sources.labelled[place].ec]
        for relative, place in labels.items()
    }
    return found, count(sources.runs, places, len(numbered))


def _held(labelled: Sequence[Labelled], seed: int) -> frozenset[int]:
    """Positions of the labelled proteins in a share of all clusters, drawn at random."""
    if not labelled:
        return frozenset()
    clusters = similarity.cluster(
        (protein.sequence for protein in labelled), min_identity=HELD_IDENTITY, sensitive=True
    )
    distinct = sorted(set(clusters.tolist()))
    chosen = set(random.Random(seed).sample(distinct, int(len(distinct) * HELD_SHARE)))
    return frozenset(place for place, cluster in enumerate(clusters.tolist()) if cluster in chosen)


def _examples(
    head: ECHead, sources: Sources, held: frozenset[int], reader: Reader
) -> list[CalibrationExample]:
    """Evidence for the calibrating genomes' proteins and for held labelled ones, with their true numbers."""
    examples = []
    for genome in sources.calibration:
        embeddings_GD, hidden_GLD = reader(genome.genome)
        kept, run_G = _usable(genome, sources.held_out | sources.close), runs(genome.genome)
        proteins = [genome.proteins[row] for row in kept]
        evidences = head.gather(proteins, embeddings_GD[kept], hidden_GLD[kept])
        examples += [
            CalibrationExample(evidence, genome.ec[row], genome.number, run_G[row])
            for evidence, row in zip(evidences, kept, strict=True)
        ]
    some = [sources.labelled[p] for p in sorted(held) if sources.labelled[p].sequence not in sources.close]
    some = some[:: -(-len(some) // HELD_PROTEINS) or 1]
    sequences = [protein.sequence for protein in some]
    evidences = head.gather(sequences, *reader(lone_genes(sequences)))
    return examples + [
        CalibrationExample(e, protein.ec, None) for e, protein in zip(evidences, some, strict=True)
    ]


def _usable(genome: AnnotatedGenome, held_out: frozenset[str]) -> list[int]:
    """Rows of the genes whose proteins are not held out; held-out ones serve only as neighbours."""
    return [row for row, protein in enumerate(genome.proteins) if clean_protein(protein) not in held_out]


def _take_linear(head: ECHead, other: ECHead) -> None:
    """Copy the fitted linear heads; they have not seen what calibrates, and ship like that."""
    for mine, fitted in ((head.encoder, other.encoder), (head.context, other.context)):
        if mine is not None and fitted is not None:
            mine.load_state_dict(fitted.state_dict())
