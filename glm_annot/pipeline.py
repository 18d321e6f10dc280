"""From an annotated genome to predictions, in the order of the paper's abstract."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch

from glm_annot import __version__
from glm_annot.bundle import Model
from glm_annot.ec.adjacency import runs
from glm_annot.ec.head import THRESHOLD, ECResult
from glm_annot.ec.reference import Reference
from glm_annot.errors import ModelError
from glm_annot.hypothetical import is_hypothetical
from glm_annot.model.context import BATCH_WINDOWS, ContextStates, contextualise
from glm_annot.model.devices import or_on_cpu
from glm_annot.model.embedding_cache import EmbeddingCache
from glm_annot.model.encoder import ProteinEncoder, embed, precision_of
from glm_annot.model.neighbours.adjacent import conserved_pairs
from glm_annot.model.neighbours.judge import ContextOfGenes, Neighbours
from glm_annot.model.neighbours.told import context_names
from glm_annot.model.windows import MAX_GENES, parts
from glm_annot.operons.features import Floats, Track
from glm_annot.operons.head import LINK_THRESHOLD, call_operons, pair_probabilities
from glm_annot.operons.promoters import Promoters
from glm_annot.overview import Overview
from glm_annot.records import ContextNames, GenePrediction, Genome, Predictions, Provenance

log = logging.getLogger(__name__)
IN_MEMORY = (
    "this genome, or one that is nearly the same, is in the model's memory; it has no vote on its own genes"
)
LEAST_FAMILIES = 200  # of a genome; the nearest one to a smaller piece says little
Progress = Callable[[str, int, int], None]  # (stage: 'proteins', 'windows' or 'heads', units done, in all)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a genome is annotated.

    Attributes:
        min_confidence: least probability of an EC number to be called; None leaves it to the model.
        ec, operons: whether to predict them; a model without that head predicts none either, and one without
            a context fit no fit.
        reference: labelled proteins, whose homology counts as evidence for EC numbers, too.
        precision: of the protein encoder, one of `glm_annot.model.esm.PRECISIONS`; see there.
        batch_size: windows per batch; bounds memory.
        cache: of embeddings by the model's encoder in this precision.
        only_hypothetical: whether only hypothetical proteins get predictions; the others are their context.
    """

    min_confidence: float | None = None
    ec: bool = True
    operons: bool = True
    reference: Reference | None = None
    precision: str = "auto"
    batch_size: int = BATCH_WINDOWS
    cache: EmbeddingCache | None = None
    only_hypothetical: bool = False


@dataclass(frozen=True, slots=True)
class ContextFits:
    """What neighbours say of the genes of some contigs; NaN where they say nothing.

    Attributes:
        percentile_G: how well each gene fits, 0 to 100.
        confidence_G: probability of what they expect most.
        names: what each gene may be called; empty of a model whose families have no names.
        families: of the genes, each once.
        same_M: genomes of the memory that are this one, and did not vote, on the CPU; None without a memory.
        conserved: what the memory says of each contig's pairs; empty of one without gaps.
    """

    percentile_G: npt.NDArray[np.float32]
    confidence_G: npt.NDArray[np.float32]
    names: Sequence[ContextNames] = ()
    families: frozenset[int] = frozenset()
    same_M: torch.Tensor | None = None
    conserved: Sequence[Floats] = ()


def annotate_sections(
    sections: Iterable[Genome],
    overview: Overview,
    model: Model,
    settings: Settings,
    progress: Progress | None = None,
) -> Iterator[tuple[Genome, Predictions]]:
    """Predicts enzyme function, operons and context fit for every coding gene of a genome in sections.

    Nothing is kept of one section when the next comes. A section of many contigs is read in parts of whole
    contigs, so that memory grows with the predictions, and not with what the model makes of each gene on the
    way to them.

    Args:
        sections: of whole contigs, in order of the file.
        overview: of all of them.
        model: computing happens on its device.
        settings: how to annotate.
        progress: called with (stage, units done, units in all).

    Yields:
        each section and its predictions; operons are numbered on from section to section.

    Raises:
        ModelError: the model has nothing to predict with, or weights that give no numbers.
    """
    if all(part is None for part in (model.fit, model.neighbours, model.operons, model.ec)):
        raise ModelError(f"model {model.name} predicts nothing yet: fit heads for it with `glm-train`")
    made_by = provenance(model, settings)
    settings = replace(settings, min_confidence=made_by.min_confidence, precision=made_by.precision)
    if model.ec and settings.ec and settings.reference:
        settings = replace(settings, reference=model.ec.base.with_others(settings.reference))
    operon_head = model.operons if settings.operons else None
    has_gaps = model.neighbours is not None and model.neighbours.config.gaps
    n_windows = overview.windows(window_size(model))
    counted = _Counted(
        progress, Counter(proteins=overview.residues, windows=n_windows, heads=overview.coding)
    )
    promoters = Promoters.of(overview.promoters_2KS)
    n_operons = 0
    nearness = _Nearness(model)

    for section in sections:
        genes: dict[int, GenePrediction] = {}
        attention_NA: list[npt.NDArray[np.float32]] = []
        conserved: list[Floats] = []
        n_windows = 0
        for part in parts(section):
            read = partial(_read_part, part, model, settings, counted)
            states, enzymes, fits = or_on_cpu(read, model, f"model {model.name}", log.warning)
            nearness.add(fits)
            genes |= _gene_predictions(part, enzymes, fits)
            attention_NA += states.attention_NA
            conserved += fits.conserved
            n_windows += states.n_windows
        if operon_head:
            of_genome = overview.gaps_3K, promoters, conserved if has_gaps else None
            probabilities = operon_head.predict(section.contigs, attention_NA, *of_genome)
            _require_numbers(model, "operons", *probabilities)
            pairs = pair_probabilities(section.contigs, probabilities)
            evidence = operon_head.evidence(section.contigs, *of_genome)
            operons = call_operons(section, pairs, first=n_operons + 1, evidence=evidence)
            n_operons += len(operons)
            predictions = Predictions(genes, pairs, operons, made_by, n_windows, model.ec_names)
        else:
            predictions = Predictions(genes, {}, None, made_by, n_windows, model.ec_names)
        yield section, _of_hypothetical(section, predictions) if settings.only_hypothetical else predictions
    nearness.tell()


class _Nearness:
    """How near the genomes of a model's memory are to the one that is read, part by part; says it once.

    Args:
        model: whose memory is asked; without one there is nothing to say.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._families: set[int] = set()
        self._same_M: torch.Tensor | None = None

    def add(self, fits: ContextFits) -> None:
        """Take what was found in one part; the first part of a genome in the memory is told at once."""
        if fits.same_M is None:
            return
        if self._same_M is None:
            self._same_M = torch.zeros_like(fits.same_M)
        if bool(fits.same_M.any()) and not bool(self._same_M.any()):
            log.info(IN_MEMORY)
        self._same_M = self._same_M | fits.same_M
        self._families |= fits.families

    def tell(self) -> None:
        """Say how near the nearest genome that voted is, and how right neighbours are at such a distance."""
        neighbours, same_M = self._model.neighbours, self._same_M
        if neighbours is None or same_M is None or len(self._families) < LEAST_FAMILIES:
            return
        families = torch.tensor(sorted(self._families), device=neighbours.memory.family_N.device)
        nearest = float(neighbours.memory.shares_with(families).cpu().masked_fill(same_M, 0.0).max())
        right = next((step.right for step in self._model.by_nearness if nearest < step.high), None)
        text = f"the nearest genome in the model's memory shares {nearest:.0%} of this one's gene families"
        if right is not None:
            text += (
                f"; at such a distance the neighbours' first guess was right for {right:.0%} of hidden genes"
            )
        log.info(text)


def _of_hypothetical(section: Genome, predictions: Predictions) -> Predictions:
    """The predictions of hypothetical proteins alone, and the operons that hold one."""
    wanted = {gene.index for gene in section.genes if is_hypothetical(gene.product)}
    operons = predictions.operons
    return replace(
        predictions,
        genes={index: gene for index, gene in predictions.genes.items() if index in wanted},
        operons=operons and tuple(operon for operon in operons if wanted.intersection(operon.genes)),
    )


def window_size(model: Model) -> int:
    """How many genes a model's windows hold at most."""
    return min(MAX_GENES, model.glm.config.max_distance)


def provenance(model: Model, settings: Settings) -> Provenance:
    """What predictions by this model with these settings say of themselves."""
    min_confidence, reference = settings.min_confidence, settings.reference
    if min_confidence is None:
        min_confidence = model.ec.config.threshold if model.ec else THRESHOLD
    return Provenance(
        program=f"glm-annot {__version__}",
        model=model.name,
        model_version=model.version,
        model_sha256=model.sha256,
        min_confidence=min_confidence,
        link_threshold=LINK_THRESHOLD,
        ec=settings.ec and model.ec is not None,
        operons=settings.operons and model.operons is not None,
        only_hypothetical=settings.only_hypothetical,
        precision=precision_of(model.encoder, settings.precision),
        reference=reference.sha256 if reference else "",
        searcher=reference.searched_by if reference else "",
    )


def _read_part(
    part: Genome, model: Model, settings: Settings, counted: _Counted
) -> tuple[ContextStates, Sequence[ECResult | None], ContextFits]:
    """What the model makes of the coding genes of some whole contigs; all settings are stated."""
    proteins, reference = part.proteins, settings.reference
    ec_head, neighbours = model.ec if settings.ec else None, model.neighbours
    embeddings_GD = embed_distinct(
        model.encoder, proteins, precision=settings.precision, cache=settings.cache, progress=counted
    )
    states = contextualise(
        part,
        embeddings_GD,
        model.glm,
        model.features,
        layers=ec_head.config.layers if ec_head else (),
        attention=settings.operons and model.operons is not None and model.operons.config.attention > 0,
        fit=model.fit if neighbours is None else None,
        masked=neighbours is not None and neighbours.head is not None,
        batch_size=settings.batch_size,
        progress=partial(counted, "windows"),
    )
    _require_numbers(model, "embeddings", embeddings_GD)
    _require_numbers(model, "context", states.hidden_GSF, states.masked_GF, *states.attention_NA)
    counted("heads", 0, len(proteins))
    enzymes: Sequence[ECResult | None] = [None] * len(proteins)
    if ec_head:
        assert settings.min_confidence is not None
        homologues = reference.homologues(proteins, threads=torch.get_num_threads()) if reference else None
        enzymes = ec_head.predict(
            proteins,
            embeddings_GD,
            states.hidden_GSF,
            homologues,
            run_G=runs(part),
            min_confidence=settings.min_confidence,
        )
        found = [enzyme for enzyme in enzymes if enzyme]
        _require_numbers(model, "EC numbers", [enzyme.enzyme for enzyme in found])
        _require_numbers(model, "EC numbers", [call.confidence for one in found for call in one.ec_top])
    fits = _context_fits(part, embeddings_GD, states, model, operons=settings.operons)
    if model.fit is not None or neighbours is not None:
        _require_numbers(model, "context fits", fits.confidence_G)
    counted("heads", len(proteins), len(proteins))
    counted.end_part(proteins=sum(map(len, set(proteins))), windows=states.n_windows, heads=len(proteins))
    return states, enzymes, fits


def _require_numbers(model: Model, what: str, *found: npt.ArrayLike) -> None:
    """Raise ModelError where the model gives infinity or NaN, as weights do that are far too large."""
    if not all(np.isfinite(numbers).all() for numbers in found):
        raise ModelError(
            f"model {model.name} gives {what} that are no numbers, as its weights are damaged: get it again"
        )


def _context_fits(
    part: Genome,
    embeddings_GD: npt.NDArray[np.float32],
    states: ContextStates,
    model: Model,
    *,
    operons: bool,
) -> ContextFits:
    """How well genes fit their neighbours, how sure these are of what stands there, conserved pairs."""
    if model.neighbours is not None:
        if model.family_encoder is not None:
            embeddings_GD = embed_distinct(model.family_encoder, part.proteins)
        masked_GF = states.masked_GF if model.neighbours.head is not None else None
        context = _judged(part, embeddings_GD, masked_GF, model.neighbours)
        percentile_G = model.neighbours.percentile(context.log_ratio_G)
        names = context_names(context, model.neighbours, model.ec_names) if model.neighbours.names else ()
        conserved: list[Floats] = []
        if operons and model.neighbours.config.gaps:
            tracks = [Track.of(contig) for contig in part.contigs]
            conserved = conserved_pairs(tracks, context.family_G, model.neighbours.memory, context.same_M)
        return ContextFits(
            percentile_G.cpu().numpy(),
            context.confidence_G.cpu().numpy(),
            names,
            frozenset(context.family_G[context.family_G < model.neighbours.config.families].tolist()),
            context.same_M.cpu(),
            conserved,
        )
    if model.fit is not None:
        percentile_G = model.fit.percentile(torch.from_numpy(states.log_ratio_G).to(model.fit.sigma.device))
        return ContextFits(percentile_G.cpu().numpy(), states.confidence_G)
    nothing = np.full(len(embeddings_GD), np.nan, np.float32)
    return ContextFits(nothing, nothing)


def ask_neighbours(genome: Genome, model: Model, *, own_named: bool = True) -> ContextOfGenes:
    """What the neighbours say of every coding gene of a genome that is read as a whole.

    Args:
        genome: read as a whole.
        model: with a memory of gene order.
        own_named: False names each gene as if nobody had named its own family.

    Raises:
        ModelError: the model has no memory of gene order.
    """
    if model.neighbours is None:
        raise ModelError(f"model {model.name} has no memory of gene order")
    embeddings_GD = embed_distinct(model.family_encoder or model.encoder, genome.proteins)
    masked_GF = None
    if model.neighbours.head is not None:  # a gLM that tells families reads the same embeddings
        states = contextualise(genome, embeddings_GD, model.glm, model.features, masked=True)
        masked_GF = states.masked_GF
    return _judged(genome, embeddings_GD, masked_GF, model.neighbours, own_named=own_named)


def _judged(
    part: Genome,
    embeddings_GD: npt.NDArray[np.float32],
    masked_GF: npt.NDArray[np.float32] | None,
    neighbours: Neighbours,
    *,
    own_named: bool = True,
) -> ContextOfGenes:
    device = neighbours.quantiles_Q.device
    lengths = [len(contig.coding) for contig in part.contigs]
    strands = [gene.strand for gene in part.coding]
    return neighbours.judge(
        torch.from_numpy(embeddings_GD).to(device),
        torch.tensor(strands, dtype=torch.long, device=device),
        torch.tensor([0, *accumulate(lengths)], device=device),
        None if masked_GF is None else torch.from_numpy(masked_GF).to(device),
        own_named=own_named,
    )


def embed_distinct(
    encoder: ProteinEncoder,
    proteins: Sequence[str],
    *,
    precision: str = "auto",
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """One embedding per protein, (G, D); each distinct one is computed once, unless the cache knows it."""
    known = cache.find(list(dict.fromkeys(proteins))) if cache else {}
    distinct = {protein: row for row, protein in enumerate(dict.fromkeys([*known, *proteins]))}
    new = list(distinct)[len(known) :]
    total = sum(map(len, distinct))
    done = sum(map(len, known))

    def count(residues: int) -> None:
        nonlocal done
        done += residues
        if progress:
            progress("proteins", min(done, total), total)

    computed = embed(encoder, new, precision=precision, progress=count)
    if cache:
        cache.keep(dict(zip(new, computed, strict=True)))
    embeddings = np.concatenate([*(row[None] for row in known.values()), computed])
    return embeddings[[distinct[protein] for protein in proteins]]


def _gene_predictions(
    genome: Genome, enzymes: Sequence[ECResult | None], fits: ContextFits
) -> dict[int, GenePrediction]:
    """Everything that is said of single genes, by their index."""
    predictions = {}
    coding = ((gene, len(contig.coding)) for contig in genome.contigs for gene in contig.coding)
    for row, ((gene, neighbours), enzyme) in enumerate(zip(coding, enzymes, strict=True)):
        alone = neighbours < 2
        predictions[gene.index] = GenePrediction(
            ec=enzyme.ec if enzyme else (),
            ec_top=enzyme.ec_top if enzyme else (),
            enzyme=enzyme.enzyme if enzyme else None,
            evidence=enzyme.evidence if enzyme else "",
            context_fit=None if alone else _or_none(fits.percentile_G[row]),
            context_confidence=None if alone else _or_none(fits.confidence_G[row]),
            context=fits.names[row] if fits.names and not alone else None,
        )
    return predictions


def _or_none(value: np.floating) -> float | None:
    return None if np.isnan(value) else float(value)


class _Counted:
    """Turns the counts of single parts into those of the whole genome."""

    def __init__(self, progress: Progress | None, total: Counter[str]) -> None:
        self._progress, self._total = progress, total
        self._before = Counter[str]()

    def __call__(self, stage: str, done: int, _: int) -> None:
        """Called with the counts of the part that is being read."""
        if self._progress:
            self._progress(stage, self._before[stage] + done, self._total[stage])

    def end_part(self, **done: int) -> None:
        """What comes is of the next part; `done` of each stage were of this one."""
        self._before.update(done)
