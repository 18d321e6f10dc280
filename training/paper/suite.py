"""The suite 'paper': every experiment of Hwang et al. 2023 for any model, from data to one HTML page.

Each step writes its tables into a folder. When the model, the data, the seed or an earlier step changed, it
is done again if the user asks for it (see `steps`):

    enzymes     labels by search, split at 30 % identity          proteins.tsv, classes.tsv, genomes.tsv
    exclusion   windows near the held-out genome                  genomes.tsv, shares.tsv, total.tsv
    genome      embeddings of the held-out genome                 embeddings.npy
    masked      masked language modelling                         lengths.tsv, reliability.tsv
    operons     attention of every head                           heads, methods, curves, examples (.tsv)
    states      encoder and gLM on the enzymes, masked or not     *.npy
    probes      linear probes                                     repeats, layers, classes, curves, ... (.tsv)
    maps        projections, and families in their contexts       map.tsv, neighbours.tsv, families.tsv, ...
    lstm        masked language modelling with the baseline       lengths.tsv, reliability.tsv; or empty
    page        figures/*.png and *.svg, comparison.tsv, table.md

`index.html` and `provenance.json` are beside these folders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from glm_annot import __version__, io
from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.io.checksums import file_sha256
from glm_annot.model.context import contextualise
from glm_annot.model.esm import fingerprint
from glm_annot.pipeline import embed_distinct
from glm_annot.records import Genome

from ..common.inputs import read_array, read_arrays
from ..common.json_files import write_json
from ..common.steps import Step, run_steps
from ..corpus.heldout import read_sequences
from ..corpus.tables import Tables, read_tables
from ..ec import dataset as ec_dataset
from ..ec.labels import read_labelled, read_updates
from ..ec.sources import read_genome
from ..glm.train import GLMRun, load_baseline
from ..glm.windows import GeneOrder, WindowReader
from ..operons.data import read_all_adjacent
from ..operons.fit import OperonExample
from . import attention as paper_attention
from . import exclusion as paper_exclusion
from . import maps as paper_maps
from . import masked as paper_masked
from . import page as paper_page
from . import probes as paper_probes
from .inputs import (
    Files,
    hidden_states,
    layer_names,
    read,
    surroundings,
    window_reader,
    write,
)
from .probes import Probed, ProbeProteins

ENCODER = "encoder"
PROVENANCE = "provenance.json"  # what the page was made from, and by which command
AROUND = 7  # genes on either side that count as a gene's surroundings
# Files that each step may write into its folder.
_NAMES = {
    "enzymes": (ec_dataset.GENOMES, ec_dataset.PROTEINS, ec_dataset.CLASSES, ec_dataset.RECORD),
    "exclusion": ("genomes.tsv", "shares.tsv", "total.tsv"),
    "genome": ("embeddings.npy",),
    "masked": ("lengths.tsv", "reliability.tsv"),
    "operons": ("heads.tsv", "methods.tsv", "curves.tsv", "examples.tsv"),
    "states": (
        *(f"{name}.npy" for name in ("encoder", "around", "hidden", "masked")),
        "genome-*.npz",
        "draft.npz",
    ),
    "probes": tuple(
        f"{name}.tsv" for name in ("repeats", "layers", "classes", "curves", "averages", "counts")
    ),
    "maps": tuple(f"{name}.tsv" for name in ("map", "neighbours", "families", "contexts", "family")),
    "lstm": ("lengths.tsv", "reliability.tsv"),
    "page": (
        f"{paper_page.FIGURES}/*.png",
        f"{paper_page.FIGURES}/*.svg",
        paper_page.COMPARISON,
        paper_page.TABLE,
    ),
}


@dataclass(frozen=True)
class PaperOptions:
    """What is asked of the suite.

    Attributes:
        seed: of all that is drawn.
        genomes: of the corpus that the enzymes are taken from; None takes all.
        exclude: genomes of the corpus to leave out, with the reason.
        lstm: finished run of the baseline, beside which to set masked language modelling.
    """

    seed: int = 0
    genomes: int | None = 24
    exclude: dict[int, str] = field(default_factory=dict)
    lstm: Path | None = None


@dataclass(frozen=True)
class Suite:
    """One run of the suite.

    Attributes:
        model: what is measured.
        files: what is read.
        folder: where everything is written.
        options: what is asked for.
        command: what was typed, for the record.
        report: called with a line of text for the user.
        restart: do steps again that are done but whose settings changed, instead of stopping.
    """

    model: Model
    files: Files
    folder: Path
    options: PaperOptions
    command: str
    report: Callable[[str], None]
    restart: bool = False

    def __call__(self) -> Path:
        """Do every step that is not done yet; returns the page."""
        run_steps(self._steps, self.folder, self.report, restart=self.restart)
        return self.folder / paper_page.PAGE

    @property
    def _steps(self) -> list[Step]:
        made_last = (paper_page.PAGE, PROVENANCE)
        steps = (
            Step("enzymes", {**self._data, **self._sample}, self._enzymes),
            Step("exclusion", {}, self._exclusion),
            Step("genome", {"parts": self._parts}, self._genome_embeddings),
            Step("masked", {}, self._masked),
            Step("operons", {"version": paper_attention.VERSION}, self._operons),
            Step("states", {}, self._states),
            Step("probes", {"version": paper_probes.VERSION}, self._probes),
            Step("maps", {}, self._maps),
            Step("lstm", {"run": self._lstm_record}, self._lstm),
            Step("page", {"page": paper_page.VERSION, "model": self._identity}, self._page, made_last),
        )
        return [
            replace(step, names=(*(f"{step.name}/{name}" for name in _NAMES[step.name]), *step.results))
            for step in steps
        ]

    @property
    def _data(self) -> dict[str, Any]:
        return {"program": __version__, "files": self.files.contents(), "seed": self.options.seed}

    @property
    def _sample(self) -> dict[str, Any]:
        excluded = {str(genome): reason for genome, reason in self.options.exclude.items()}
        return {"genomes": self.options.genomes, "exclude": excluded}

    @property
    def _identity(self) -> dict[str, str]:
        return {"name": self.model.name, "version": self.model.version, "sha256": self.model.sha256}

    @property
    def _parts(self) -> dict[str, str]:
        """Fingerprints of the parts that are measured; EC and operon heads are not."""
        model = self.model
        read: dict[str, torch.nn.Module] = {
            "encoder": model.encoder,
            "features": model.features,
            "glm": model.glm,
        }
        return {name: fingerprint(part) for name, part in read.items()}

    @cached_property
    def _lstm_record(self) -> dict[str, str]:
        """Contents of the baseline's run, which is read to say at once what is wrong with it; {} for none."""
        if self._baseline is None or self.options.lstm is None:
            return {}
        return {path.name: file_sha256(path) for path in sorted(self.options.lstm.glob("*.safetensors"))}

    @cached_property
    def _baseline(self) -> GLMRun | None:
        return None if self.options.lstm is None else load_baseline(self.options.lstm, self.model)

    @cached_property
    def _source(self) -> Tables:
        return read_tables(self.files.corpus)

    @cached_property
    def _held_out(self) -> Genome:
        return io.read(self.files.genome)

    @property
    def _held_out_embeddings(self) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = read_array(self.folder / "genome" / "embeddings.npy")
        return found

    def _enzymes(self, folder: Path) -> None:
        updates = read_updates(self.files.ec_names)
        labelled = read_labelled(
            self.files.labelled, held_out=(), updates=updates, max_trust=ec_dataset.MAX_TRUST
        )
        options = ec_dataset.DatasetOptions(self.options.genomes, self.options.seed, self.options.exclude)
        threads = torch.get_num_threads()
        found = ec_dataset.build(self._source, labelled, folder, options=options, threads=threads)
        self.report(f"{found['proteins']:,} enzymes of {found['classes']:,} EC numbers")

    def _exclusion(self, folder: Path) -> None:
        sample = read(self.folder / "enzymes" / ec_dataset.GENOMES)["genome"].tolist()
        held_out = read_sequences(self.files.genome)
        near_N, genomes = paper_exclusion.near_proteins(self._source, sample, held_out)
        table, shares = paper_exclusion.measure(self._source, genomes, near_N)
        write(table, folder / "genomes.tsv")
        write(shares, folder / "shares.tsv")
        write(pd.DataFrame([paper_exclusion.total(table)]), folder / "total.tsv")

    def _genome_embeddings(self, folder: Path) -> None:
        embeddings_GD = embed_distinct(self.model.encoder, self._held_out.proteins)
        np.save(folder / "embeddings.npy", embeddings_GD)

    def _masked(self, folder: Path) -> None:
        reader = window_reader(self._held_out, self._held_out_embeddings, self.model)
        self._masked_tables(self.model.predictor, reader, self.model.glm.config.max_distance, folder)

    def _masked_tables(self, network: torch.nn.Module, reader: WindowReader, most: int, folder: Path) -> None:
        lengths = paper_masked.by_length(network, reader, most=most, seed=self.options.seed)
        if not len(lengths):
            raise InputError("the held-out genome has no contig long enough for a window", self.files.genome)
        spans = paper_masked.windows_of(reader.order, int(lengths["length"].max()))
        found = paper_masked.outcomes(network, reader, spans, seed=self.options.seed)
        write(lengths, folder / "lengths.tsv")
        write(paper_masked.accuracy_by_likelihood(found), folder / "reliability.tsv")

    def _lstm(self, folder: Path) -> None:
        run = self._baseline
        if run is None:
            self.report("no baseline was given (--lstm), so the model is compared with none")
            return
        order = GeneOrder.of_genome(self._held_out)
        reader = WindowReader(order, self._held_out_embeddings, run.features)
        self._masked_tables(run.network, reader, self.model.glm.config.max_distance, folder)

    def _operons(self, folder: Path) -> None:
        labelled = read_all_adjacent(self.files.genome, self.files.operons)
        glm, seed = self.model.glm, self.options.seed
        states = contextualise(
            labelled.genome, self._held_out_embeddings, glm, self.model.features, attention=True
        )
        example = OperonExample(labelled, states.attention_NA)
        pairs = paper_attention.Pairs.of(example)
        heads = paper_attention.correlations(pairs, glm.config.heads)
        best = paper_attention.best_head(heads)
        scores = paper_attention.cross_validate(pairs, seed=seed)
        chosen = paper_attention.example_windows(example, seed=seed)
        write(heads, folder / "heads.tsv")
        write(paper_attention.figures(scores, pairs.label_N), folder / "methods.tsv")
        write(paper_attention.curves(scores, pairs.label_N), folder / "curves.tsv")
        by_region = next(s for s in scores if s.folds == paper_attention.BY_REGION)
        write(paper_attention.example_table(example, pairs, by_region, best, chosen), folder / "examples.tsv")

    def _states(self, folder: Path) -> None:
        """States of all enzymes, genome by genome; those of an interrupted run are kept."""
        groups = list(self._enzyme_table().groupby("genome", sort=False))
        for done, (number, mine) in enumerate(groups, 1):
            path = folder / f"genome-{number}.npz"
            if not path.exists():
                draft = folder / "draft.npz"
                np.savez(draft, **self._states_of(int(number), mine))
                draft.replace(path)
            self.report(f"states of {len(mine):,} enzymes of genome {number} ({done}/{len(groups)})")
        order = np.argsort(np.concatenate([mine.index for _, mine in groups]), kind="stable")
        paths = [folder / f"genome-{number}.npz" for number, _ in groups]
        parts = [read_arrays(path) for path in paths]
        for name in ("encoder", "around", "hidden", "masked"):
            np.save(folder / f"{name}.npy", np.concatenate([part.pop(name) for part in parts])[order])
        for path in paths:
            path.unlink()

    def _states_of(self, number: int, mine: pd.DataFrame) -> dict[str, Any]:
        """What is said of some enzymes of one genome, each array one row an enzyme."""
        genome = read_genome(self._source, number, updates={}).genome
        embeddings_GD = embed_distinct(self.model.encoder, genome.proteins)
        reader = window_reader(genome, embeddings_GD, self.model)
        rows_N = self._rows_of(number, mine)
        glm = self.model.glm
        return {
            "encoder": embeddings_GD[rows_N],
            "around": surroundings(reader.order, embeddings_GD, rows_N, AROUND),
            "hidden": np.moveaxis(hidden_states(glm, reader, rows_N, masked=False), 0, 1),
            "masked": np.moveaxis(hidden_states(glm, reader, rows_N, masked=True), 0, 1),
        }

    def _enzyme_table(self) -> pd.DataFrame:
        return read(self.folder / "enzymes" / ec_dataset.PROTEINS, ec=str, sequence=str)

    def _rows_of(self, number: int, mine: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Places of some enzymes among the coding genes of their genome, as `read_genome` gives them."""
        contigs = self._source.contigs
        own = contigs.filter(np.asarray(contigs["genome"].to_numpy() == number))["contig"].to_pylist()
        genes = self._source.genes
        contig_G, index_G = genes["contig"].to_numpy(), genes["index"].to_numpy()
        places: dict[tuple[int, int], int] = {}
        for contig in own:
            for index in index_G[contig_G == contig].tolist():
                places[contig, index] = len(places)
        keys = zip(mine["contig"].tolist(), mine["index"].tolist(), strict=True)
        return np.array([places[key] for key in keys], np.int64)

    def _features(self) -> dict[tuple[str, bool], npt.NDArray[np.floating]]:
        """What is probed: (name, queried protein masked) -> (N, F)."""
        states = self.folder / "states"
        names = layer_names(self.model.glm.config.layers)
        found: dict[tuple[str, bool], npt.NDArray[np.floating]] = {
            (ENCODER, False): read_array(states / "encoder.npy")
        }
        for file, masked in (("hidden", False), ("masked", True)):
            hidden_NSF = read_array(states / f"{file}.npy")
            found |= {
                (name, masked): hidden_NSF[:, layer]
                for layer, name in enumerate(names)
                if layer or not masked  # a masked input is the same for every gene
            }
        return found

    def _probes(self, folder: Path) -> None:
        enzymes = self._enzyme_table()
        is_test_N, group_N = (enzymes["split"] == "test").to_numpy(), enzymes["group"].to_numpy()
        proteins = ProbeProteins.of(enzymes["ec"].tolist(), is_test_N, group_N)
        if len(proteins.classes) < 2:
            raise InputError(
                "too few EC classes have proteins to train on and to test with; take more genomes",
                self.folder / "enzymes" / ec_dataset.CLASSES,
            )
        seed, probed, validation = self.options.seed, [], {}
        for (name, masked), x_NF in self._features().items():
            x_NF = x_NF[proteins.rows_N]
            probed.append(Probed(name, masked, paper_probes.probe(x_NF, proteins, seed=seed)))
            validation[name, masked] = paper_probes.validate(x_NF, proteins, seed=seed)
        repeats = paper_probes.accuracies(probed, proteins)
        layers = paper_probes.summary(repeats, validation)
        by_name = {(item.name, item.masked): item for item in probed}
        after = by_name[paper_probes.best(layers, masked=False), False]
        context = by_name[paper_probes.best(layers, masked=True), True]
        chosen = [by_name[ENCODER, False], after, context]
        lines, averages = paper_probes.curves(chosen, proteins)
        counts = {
            "classes": len(proteins.classes),
            "train": int((~proteins.is_test_N).sum()),
            "test": int(proteins.is_test_N.sum()),
            "compared_with_encoder": after.name,
        }
        write(repeats, folder / "repeats.tsv")
        write(layers, folder / "layers.tsv")
        write(paper_probes.compare_classes(chosen[0], after, proteins), folder / "classes.tsv")
        write(lines, folder / "curves.tsv")
        write(averages, folder / "averages.tsv")
        write(pd.DataFrame([counts]), folder / "counts.tsv")

    def _maps(self, folder: Path) -> None:
        seed, glm = self.options.seed, self.model.glm
        genes = paper_maps.genes_table(self._held_out)
        embeddings_GD = self._held_out_embeddings
        reader = window_reader(self._held_out, embeddings_GD, self.model)
        hidden = hidden_states(glm, reader, np.arange(len(genes)), masked=False)
        whole = {ENCODER: embeddings_GD, **dict(zip(layer_names(glm.config.layers), hidden, strict=True))}
        shown = {name: whole[name] for name in (ENCODER, *_first_and_last(glm.config.layers))}
        write(paper_maps.project(shown, genes, seed=seed), folder / "map.tsv")
        write(paper_maps.neighbour_agreement(whole, genes, seed=seed), folder / "neighbours.tsv")
        self._families(folder)

    def _families(self, folder: Path) -> None:
        enzymes, seed = self._enzyme_table(), self.options.seed
        around_ND = read_array(self.folder / "states" / "around.npy")
        features = {name: x_NF for (name, masked), x_NF in self._features().items() if not masked}
        members = paper_maps.families(enzymes)
        table = paper_maps.context_follows(features, around_ND, members)
        write(table, folder / "families.tsv")
        if not members:
            self.report("no gene family has enough members in enough genomes to compare its contexts")
            return
        write(paper_maps.context_summary(table, ENCODER), folder / "contexts.tsv")
        largest = max(members, key=len)
        names = (ENCODER, *_first_and_last(self.model.glm.config.layers))
        shown = {name: features[name] for name in names}
        write(paper_maps.family_map(shown, around_ND, largest, enzymes, seed=seed), folder / "family.tsv")

    def _page(self, folder: Path) -> None:
        model = f"{self.model.name} {self.model.version} ({self.model.sha256[:8] or 'unsaved'})"
        stamp = paper_page.Stamp(
            model, self.files.genome.name, self.files.corpus.name, self.options.seed, self.command
        )
        paper_page.write(self.folder, folder, stamp)
        lstm = self.options.lstm
        record = {**self._data, **self._sample, "model": self._identity, "lstm": lstm and str(lstm)}
        write_json(self.folder / PROVENANCE, {**record, "command": self.command})


def _first_and_last(layers: int) -> tuple[str, ...]:
    names = layer_names(layers)
    return tuple(dict.fromkeys((names[1], names[-1])))
