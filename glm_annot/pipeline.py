"""From an annotated genome to predictions, in the order of the paper's abstract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from glm_annot import __version__
from glm_annot.bundle import Model
from glm_annot.context import BATCH_WINDOWS, ContextStates, contextualise
from glm_annot.ec import THRESHOLD, ECResult
from glm_annot.embedding_cache import EmbeddingCache
from glm_annot.errors import ModelError
from glm_annot.glm import ContextFit
from glm_annot.homology import Reference
from glm_annot.operons import LINK_THRESHOLD, call_operons, pair_probabilities
from glm_annot.plm import Encoder, embed, wants_bf16
from glm_annot.records import Contig, GenePrediction, Genome, Predictions, Provenance
from glm_annot.windows import MAX_GENES, windows

PART_GENES = 8192  # genes held at once, 40 kB each; beyond it packs of equal lengths grow no fuller

Progress = Callable[[str, int, int], None]  # (stage: 'proteins' or 'windows', units done, units in all)


def annotate(
    genome: Genome,
    model: Model,
    *,
    min_confidence: float | None = None,
    ec: bool = True,
    operons: bool = True,
    reference: Reference | None = None,
    precision: str = "auto",
    batch_size: int = BATCH_WINDOWS,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Predicts enzyme function, operons and context fit for every coding gene of a genome.

    A genome of many contigs is read in parts of whole contigs, so that memory grows with the predictions, and
    not with what the model makes of each gene on the way to them.

    Args:
        genome: as `read` gives it.
        model: as `load_model` gives it; computing happens on its device.
        min_confidence: least probability of an EC number to be called; None leaves it to the model.
        ec, operons: whether to predict them; a model without that head predicts none either, and one without
            a context fit no fit.
        reference: labelled proteins, whose homology counts as evidence for EC numbers, too.
        precision: of the protein encoder, 'auto', 'fp32' or 'bf16' (auto: bf16 where the hardware has it).
        batch_size: windows per batch; bounds memory.
        cache: of embeddings by the model's encoder in this precision.
        progress: called with (stage, units done, units in all).

    Raises:
        ModelError: the model has nothing to predict with.
    """
    if model.fit is None and model.operons is None and model.ec is None:
        raise ModelError(f"model {model.name} predicts nothing yet: fit heads for it with `glm-train`")
    made_by = provenance(
        model,
        min_confidence=min_confidence,
        ec=ec,
        operons=operons,
        reference=reference,
        precision=precision,
    )
    ec_head = model.ec if ec else None
    operon_head = model.operons if operons else None
    parts = list(_parts(genome))
    genes: dict[int, GenePrediction] = {}
    attention_NA: list[npt.NDArray[np.float32]] = []
    n_windows = 0

    for part, share in zip(parts, _shares(parts, model, progress), strict=True):
        proteins = _proteins(part)
        embeddings_GD = embed_distinct(
            model.encoder, proteins, precision=precision, cache=cache, progress=share
        )
        states = contextualise(
            part,
            embeddings_GD,
            model.glm,
            model.features,
            layers=ec_head.config.layers if ec_head else (),
            attention=operon_head is not None,
            fit=model.fit,
            batch_size=batch_size,
            progress=_of_stage(share, "windows"),
        )
        homologues = reference.homologues(proteins, threads=torch.get_num_threads()) if reference else None
        enzymes = (
            ec_head.predict(
                proteins,
                embeddings_GD,
                states.hidden_GSF,
                homologues,
                min_confidence=made_by.min_confidence,
            )
            if ec_head
            else [None] * len(proteins)
        )
        genes |= _gene_predictions(part, enzymes, states, model.fit)
        attention_NA += states.attention_NA
        n_windows += states.n_windows

    pairs = (
        pair_probabilities(genome.contigs, operon_head.predict(genome.contigs, attention_NA))
        if operon_head
        else {}
    )
    return Predictions(
        genes=genes,
        pairs=pairs,
        operons=call_operons(genome, pairs) if operon_head else None,
        provenance=made_by,
        n_windows=n_windows,
    )


def provenance(
    model: Model,
    *,
    min_confidence: float | None,
    ec: bool,
    operons: bool,
    reference: Reference | None,
    precision: str,
) -> Provenance:
    """What `annotate` with these arguments says of itself in its predictions."""
    bf16 = wants_bf16(precision, next(model.encoder.parameters()).device)
    if min_confidence is None:
        min_confidence = model.ec.config.threshold if model.ec else THRESHOLD
    return Provenance(
        program=f"glm-annot {__version__}",
        model=model.name,
        model_version=model.version,
        model_sha256=model.sha256,
        min_confidence=min_confidence,
        link_threshold=LINK_THRESHOLD,
        ec=ec and model.ec is not None,
        operons=operons and model.operons is not None,
        precision="bf16" if bf16 else "fp32",
        reference=reference.sha256 if reference else "",
        searcher=reference.searched_by if reference else "",
    )


def _parts(genome: Genome) -> Iterator[Genome]:
    """Runs of contigs with at most `PART_GENES` coding genes together, at least one contig each."""
    part: list[Contig] = []
    held = 0
    for contig in genome.contigs:
        n = len(contig.coding)
        if part and held + n > PART_GENES:
            yield Genome(tuple(part))
            part, held = [], 0
        part.append(contig)
        held += n
    if part:
        yield Genome(tuple(part))


def _proteins(genome: Genome) -> list[str]:
    return [gene.protein or "" for contig in genome.contigs for gene in contig.coding]


def embed_distinct(
    encoder: Encoder,
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
    genome: Genome, enzymes: Sequence[ECResult | None], states: ContextStates, fit: ContextFit | None
) -> dict[int, GenePrediction]:
    """Everything that is said of single genes, by their index."""
    percentiles = (
        fit.percentile(torch.from_numpy(states.log_likelihood_G).to(fit.sigma.device)).tolist() if fit else []
    )
    predictions = {}
    coding = ((gene, len(contig.coding)) for contig in genome.contigs for gene in contig.coding)
    for row, ((gene, neighbours), enzyme) in enumerate(zip(coding, enzymes, strict=True)):
        predictions[gene.index] = GenePrediction(
            ec=enzyme.ec if enzyme else (),
            ec_top=enzyme.ec_top if enzyme else (),
            enzyme=enzyme.enzyme if enzyme else None,
            evidence=enzyme.evidence if enzyme else "",
            context_fit=percentiles[row] if fit and neighbours > 1 else None,
            context_confidence=float(states.confidence_G[row]) if fit and neighbours > 1 else None,
        )
    return predictions


def _shares(parts: Sequence[Genome], model: Model, progress: Progress | None) -> Iterator[Progress | None]:
    """For each part what turns its counts into those of the whole genome."""
    size = min(MAX_GENES, model.glm.config.max_distance)
    work = [
        Counter(proteins=sum(map(len, set(_proteins(part)))), windows=len(windows(part, size)))
        for part in parts
    ]
    before, total = Counter[str](), sum(work, Counter[str]())
    for share in work:
        yield None if progress is None else partial(_count, progress, before.copy(), total)
        before += share


def _count(
    progress: Progress, before: Counter[str], total: Counter[str], stage: str, done: int, _: int
) -> None:
    progress(stage, before[stage] + done, total[stage])


def _of_stage(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return None if progress is None else partial(progress, stage)
