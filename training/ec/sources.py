"""What an EC head is fitted on, gathered from the shared data or from a user's own corpus.

Genomes whose annotation knows enzymes calibrate: their genes without an EC count as no enzymes. They are told
by the share of their genes that carry an EC, and they fit nothing else: none of their labels reaches a family
or a linear head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glm_annot.io.sequences import clean_protein
from glm_annot.records import Contig, Gene, Genome

from ..common.console import Report
from ..corpus import diamond
from ..corpus.heldout import HeldOut
from ..corpus.shared_data import SharedData
from ..corpus.tables import Tables, read_tables, relatives
from .adjacency import GeneRuns, gene_runs
from .labels import Labelled, annotated, numbers, read_labelled, read_non_enzymes, read_updates

MIN_SHARE = 0.2  # of genes with an EC in a genome whose annotation knows enzymes; the best have a third
MIN_LABELLED = 100  # genes with an EC in such a genome
CLOSE_IDENTITY, CLOSE_COVERAGE = 0.95, 0.8  # of a protein that nearly is a held-out genome's own
EVERY = 4  # of a user's genomes one in so many calibrates; of a single genome's genes likewise


@dataclass(frozen=True)
class AnnotatedGenome:
    """A genome and the EC numbers of its coding genes, () for none, in the order of the genome."""

    number: int
    genome: Genome
    ec: tuple[tuple[str, ...], ...]

    @property
    def proteins(self) -> list[str]:
        """The proteins of its coding genes."""
        return self.genome.proteins


@dataclass(frozen=True)
class Sources:
    """All that an EC head is fitted on.

    Attributes:
        labelled: proteins with EC numbers; families are made of them.
        non_enzymes: proteins that are stated to be none.
        rivals: proteins without a number, as references of users hold them beside the labelled ones.
        calibration: genomes that only calibrate.
        context: others whose annotation knows enzymes; they teach the linear heads genes among neighbours.
        relatives: sequences that may get a homologue's label.
        runs: genes of all genomes but those that calibrate and relatives of held-out ones; a gene's protein
            is the place of its sequence among the relatives, or -1.
        held_out: sequences that have no part in any of this.
        close: proteins that nearly are held-out ones. They take no part in the fit, but a user searches them.
    """

    labelled: tuple[Labelled, ...]
    non_enzymes: tuple[Labelled, ...]
    rivals: tuple[Labelled, ...]
    calibration: tuple[AnnotatedGenome, ...]
    context: tuple[AnnotatedGenome, ...]
    relatives: tuple[str, ...]
    runs: GeneRuns
    held_out: frozenset[str]
    close: frozenset[str] = frozenset()


def from_shared(data: Path, held_out: HeldOut, *, threads: int = 1) -> Sources:
    """Gather from the shared data: `ec` labels and non-enzymes, `corpus` genomes and homologues.

    Of the well annotated genomes, ordered by their share of enzymes, every other one calibrates. DIAMOND, on
    `threads` cores, finds what nearly is a protein of a held-out genome.
    """
    shared = SharedData(data)
    updates = read_updates(shared.ec_names)
    tables = read_tables(shared.corpus)
    chosen = well_annotated(tables, held_out)
    found = _sources(
        tables,
        read_labelled(shared.labelled, held_out=held_out.all, updates=updates),
        read_non_enzymes(shared.unnumbered, held_out=held_out.all),
        read_non_enzymes(shared.unnumbered, held_out=held_out.all, stated=False),
        [read_genome(tables, number, updates=updates) for number in chosen[::2]],
        [read_genome(tables, number, updates=updates) for number in chosen[1::2]],
        held_out,
    )
    own = (clean_protein(protein) for genome in found.calibration for protein in genome.proteins)
    known = list(dict.fromkeys([*(p.sequence for p in (*found.labelled, *found.rivals)), *own]))
    close = diamond.alike(
        known,
        sorted(held_out.genomes),
        min_identity=CLOSE_IDENTITY,
        min_coverage=CLOSE_COVERAGE,
        threads=threads,
    )
    return replace(found, close=frozenset(known[place] for place in close))


def from_corpus(tables: Tables, held_out: HeldOut, report: Report = lambda line: None) -> Sources:
    """Gather from a corpus alone: the EC numbers of its own genes (annotation or ec.tsv).

    In genomes of which at least `MIN_SHARE` of the genes carry an EC, the others count as no enzymes. One in
    four of these genomes calibrates, or one of two or three; of a single one every fourth protein, read
    without its neighbours. Of other genomes nothing is taken but the labelled proteins: a gene without an EC
    may be one that nobody looked at. Genomes set aside for testing have no part, unless no other has an EC.

    Args:
        tables: the corpus.
        held_out: sequences that have no part.
        report: called with a line of text for the user on what is not taken.
    """
    tables = _without_test(tables, report)
    counts = _with_ec(tables)
    known = sorted(genome for genome, (with_ec, genes) in counts.items() if with_ec >= MIN_SHARE * genes)
    sparse = sorted(set(counts) - set(known))
    if sparse:
        report(
            f"EC: {len(sparse)} of {len(counts)} genomes give EC numbers to less than {MIN_SHARE:.0%} of "
            "their genes; their genes without one count as unknown, not as no enzymes"
        )
    if sparse and not known:
        report(
            "EC: so nothing says what is no enzyme: enzyme_confidence stays at 0.5, and no EC number is "
            "surer than that"
        )
    chosen = known[EVERY - 1 :: EVERY] or known[1:2]
    others = [number for number in known if number not in chosen]
    calibration = [read_genome(tables, number, updates={}) for number in chosen]
    context = [read_genome(tables, number, updates={}) for number in others]
    labelled = annotated(tables, others, held_out=held_out.all, updates={})
    if not chosen and labelled:
        calibration, context = [_as_genome(known[0], labelled[EVERY - 1 :: EVERY])], []
        labelled = [protein for place, protein in enumerate(labelled) if place % EVERY != EVERY - 1]
    enzymes = [protein for protein in labelled if protein.ec]
    numbered = {protein.sequence for protein in enzymes}
    more = annotated(tables, sparse, held_out=held_out.all, updates={})
    enzymes += [protein for protein in more if protein.ec and protein.sequence not in numbered]
    numbered.update(protein.sequence for protein in enzymes)
    rest = [protein for protein in labelled if protein.sequence not in numbered and not context]
    return _sources(tables, enzymes, rest, rest, calibration, context, held_out)


def _without_test(tables: Tables, report: Report) -> Tables:
    """A corpus without the genomes set aside for testing; as it is where no other genome has an EC number."""
    if "split" not in tables.genomes.column_names:
        return tables
    genomes = tables.genomes.filter(pc.not_equal(tables.genomes["split"], "test"))
    contigs = tables.contigs.filter(pc.is_in(tables.contigs["genome"], genomes["genome"].combine_chunks()))
    genes = tables.genes.filter(pc.is_in(tables.genes["contig"], contigs["contig"].combine_chunks()))
    if genomes.num_rows == tables.genomes.num_rows:
        return tables
    if tables.genes["ec"].is_valid().to_numpy().any() and not genes["ec"].is_valid().to_numpy().any():
        report("EC: only genomes set aside for testing have EC numbers, so that these train the EC head")
        return tables
    kept, renumbered = np.unique(genes["protein"].to_numpy(), return_inverse=True)
    genes = genes.set_column(genes.column_names.index("protein"), "protein", pa.array(renumbered, pa.int32()))
    proteins = tables.proteins.take(pa.array(kept))
    column = proteins.column_names.index("protein")
    proteins = proteins.set_column(column, "protein", pa.array(np.arange(len(kept)), pa.int32()))
    return Tables(genomes, contigs, genes, proteins)


def _sources(
    tables: Tables,
    labelled: Sequence[Labelled],
    non_enzymes: Sequence[Labelled],
    rivals: Sequence[Labelled],
    calibration: Sequence[AnnotatedGenome],
    context: Sequence[AnnotatedGenome],
    held_out: HeldOut,
) -> Sources:
    """All parts; a calibrating genome's proteins get no homologue's label and are nobody's rivals."""
    calibrating = {clean_protein(protein) for genome in calibration for protein in genome.proteins}
    sequences = list(map(clean_protein, tables.proteins["sequence"].to_pylist()))
    left_out = calibrating | held_out.all
    place = {s: n for n, s in enumerate(dict.fromkeys(s for s in sequences if s not in left_out))}
    known = calibrating.union(protein.sequence for protein in labelled)
    others = tuple(protein for protein in rivals if protein.sequence not in known)
    runs = gene_runs(tables, {genome.number for genome in calibration} | set(_near(tables, held_out)))
    place_N = np.array([place.get(s, -1) for s in sequences], np.int64)
    return Sources(
        tuple(labelled),
        tuple(non_enzymes),
        others,
        tuple(calibration),
        tuple(context),
        tuple(place),
        replace(runs, protein_G=place_N[runs.protein_G]),
        held_out.all,
    )


def well_annotated(tables: Tables, held_out: HeldOut) -> list[int]:
    """Genomes of which many genes have an EC, the highest share first; without relatives of held-out ones."""
    near = _near(tables, held_out)
    share = {
        genome: with_ec / genes
        for genome, (with_ec, genes) in _with_ec(tables).items()
        if genome not in near and with_ec >= max(MIN_LABELLED, MIN_SHARE * genes)
    }
    return sorted(share, key=lambda genome: (-share[genome], genome))


def _near(tables: Tables, held_out: HeldOut) -> dict[int, str]:
    """Genomes that are relatives of held-out ones."""
    wanted = pa.array(sorted(held_out.genomes), tables.proteins["sequence"].type)
    identical = pc.is_in(tables.proteins["sequence"], value_set=wanted).to_numpy()
    return relatives(tables, np.asarray(identical))


def read_genome(tables: Tables, number: int, *, updates: Mapping[str, str]) -> AnnotatedGenome:
    """One genome of a corpus as records, with the EC numbers of its genes."""
    own = tables.contigs.filter(pc.equal(tables.contigs["genome"], number)).to_pylist()
    mine = pc.is_in(tables.genes["contig"], value_set=pa.array([c["contig"] for c in own], pa.int32()))
    rows = tables.genes.filter(mine)
    sequences = tables.proteins["sequence"].take(rows["protein"].combine_chunks()).to_pylist()
    names = {contig["contig"]: contig["name"] for contig in own}
    genes: dict[int, list[Gene]] = {contig: [] for contig in names}
    ec: dict[int, list[tuple[str, ...]]] = {contig: [] for contig in names}
    for index, (row, protein) in enumerate(zip(rows.to_pylist(), sequences, strict=True)):
        contig, extent = row["contig"], (row["start"], row["end"], row["strand"])
        gene = Gene(index, f"{number}_{index}", names[contig], *extent, protein=protein)
        genes[contig].append(gene)
        ec[contig].append(numbers(row["ec"] or "", updates))
    contigs = tuple(Contig(c["name"], c["length"], False, tuple(genes[c["contig"]])) for c in own)
    return AnnotatedGenome(number, Genome(contigs), tuple(of for contig in names for of in ec[contig]))


def lone_genes(proteins: Sequence[str]) -> Genome:
    """Proteins without neighbours, each on a separate contig."""
    return Genome(
        tuple(
            Contig(str(n), None, False, (Gene(n, str(n), str(n), 1, 3 * len(protein), 1, protein=protein),))
            for n, protein in enumerate(proteins)
        )
    )


def _as_genome(number: int, proteins: Sequence[Labelled]) -> AnnotatedGenome:
    genome = lone_genes([protein.sequence for protein in proteins])
    return AnnotatedGenome(number, genome, tuple(protein.ec for protein in proteins))


def _with_ec(tables: Tables) -> dict[int, tuple[int, int]]:
    """Genomes with EC numbers -> (genes with one, genes)."""
    contigs = zip(tables.contigs["contig"].to_pylist(), tables.contigs["genome"].to_pylist(), strict=True)
    genome_of = dict(contigs)
    counts: dict[int, tuple[int, int]] = {}
    given = pc.is_valid(tables.genes["ec"]).to_pylist()
    for contig, has_ec in zip(tables.genes["contig"].to_pylist(), given, strict=True):
        with_ec, genes = counts.get(genome_of[contig], (0, 0))
        counts[genome_of[contig]] = with_ec + has_ec, genes + 1
    return {genome: count for genome, count in counts.items() if count[0]}
