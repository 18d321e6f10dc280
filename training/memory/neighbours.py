"""From a corpus to all that tells what stands beside what, ready for a bundle."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from glm_annot.bundle import FAMILY_NAMES
from glm_annot.errors import InputError
from glm_annot.model.neighbours.judge import Neighbours, NeighboursConfig
from glm_annot.model.neighbours.names import Fact, from_text, names_of, to_text

from ..common.console import Report
from ..common.inputs import read_record, read_text
from ..common.json_files import write_json
from ..common.weights import fill
from ..glm.families import by_cluster, read_families
from ..glm.train import family_glm, read_embeddings
from .asked import Asker
from .build import build_memory
from .hints import fit_hints
from .mixture import fit_mixture, log_prior, log_ratios, sure_from

NEIGHBOURS = "neighbours"  # name of the files


def fit_neighbours(
    corpus: Path,
    *,
    glm: Path | None = None,
    facts: Sequence[Fact] = (),
    judges: Collection[str] = (),
    seed: int = 0,
    report: Report,
) -> Neighbours | None:
    """Build the memory of a corpus, fit its mixture with gLM, and the names that both give with the protein.

    Args:
        corpus: the corpus folder, with embeddings and families.
        glm: a finished gLM run on it that was trained on families; None for the memory alone.
        facts: what the families are called; without any, genes get no names.
        judges: sources of facts that are not believed while the names are fitted: calibrating genomes.
        seed: of the genes that are asked for, and of the fit.
        report: called with a line for each calibrating genome.

    Returns:
        None where nothing can calibrate it: no gene of the calibrating genomes is surely of a family.

    Raises:
        InputError: no genome calibrates, there are no families, or the run tells none.
    """
    families = read_families(corpus)
    found = build_memory(corpus, families)
    model = None if glm is None else family_glm(glm, families.table)
    prior_F = log_prior(found.memory.index())
    asker = Asker(families, read_embeddings(corpus), prior_F, model)
    mixture, typical, moved = fit_mixture(found, asker, seed=seed, report=report)
    fit_from = sure_from(mixture, typical, moved, float(families.table.nearest), report=report)
    ratio_Q = log_ratios(mixture, typical, fit_from)
    if not len(ratio_Q):
        report("memory: no gene of the calibrating genomes is of a family, so the model gets no memory")
        return None
    hints = None
    if facts:
        names, true_N = names_of(facts, without=judges), by_cluster(corpus, families)
        hints = fit_hints(found, asker, mixture, names, true_N, seed=seed, report=report)
    table, memory = families.table.config, found.memory.config
    config = NeighboursConfig(
        families=table.families,
        dim=table.dim,
        places=memory.places,
        contigs=memory.contigs,
        genomes=memory.genomes,
        mixture=mixture.config.hidden,
        glm=0 if model is None else model.head.config.hidden,
        own=0 if model is None else model.head.config.own,
        named=hints is not None,
        gaps=memory.gaps,
        lineages=memory.lineages,
        fit_from=fit_from,
    )
    report(f"context fit: of genes whose cosine to their family is {config.fit_from:.2f} or more")
    neighbours = Neighbours(config)
    neighbours.table.load_state_dict(families.table.state_dict())
    neighbours.memory.load_state_dict(found.memory.state_dict())
    neighbours.mixture.load_state_dict(mixture.state_dict())
    if neighbours.head is not None and model is not None:
        neighbours.head.load_state_dict(model.head.state_dict())
    if neighbours.hints is not None and hints is not None:
        neighbours.hints.load_state_dict(hints.state_dict())
        neighbours.call(facts)
    shares_Q = torch.linspace(0.0, 1.0, len(neighbours.quantiles_Q), dtype=torch.float64)
    neighbours.quantiles_Q.copy_(ratio_Q.double().quantile(shares_Q))
    return neighbours.eval().requires_grad_(False)


def save_neighbours(neighbours: Neighbours, folder: Path) -> None:
    """Export what was fitted."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(neighbours.state_dict(), folder / f"{NEIGHBOURS}.safetensors")
    write_json(folder / f"{NEIGHBOURS}.json", asdict(neighbours.config))
    if neighbours.hints is not None:
        (folder / FAMILY_NAMES).write_text(to_text(neighbours.facts), encoding="utf-8")


def has_neighbours(folder: Path) -> bool:
    """Whether `save_neighbours` wrote to a folder."""
    return (folder / f"{NEIGHBOURS}.json").exists()


def read_neighbours(folder: Path) -> Neighbours:
    """Read what was exported.

    Raises:
        InputError: the folder holds none.
    """
    if not has_neighbours(folder):
        raise InputError("holds no neighbours; make them with `glm-train neighbours`", folder)
    neighbours = Neighbours(NeighboursConfig(**read_record(folder / f"{NEIGHBOURS}.json")))
    fill(neighbours, folder / f"{NEIGHBOURS}.safetensors")
    if neighbours.hints is not None:
        neighbours.call(from_text(read_text(folder / FAMILY_NAMES), folder / FAMILY_NAMES))
    return neighbours.eval().requires_grad_(False)
