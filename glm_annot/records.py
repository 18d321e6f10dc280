"""The records that travel through glm-annot. All are frozen; coordinates are stated once, here.

Coordinates are 1-based and inclusive, as in GFF3 and GenBank, and `start <= end` always. A gene that runs
over the origin of a circular contig has `end > contig.length` (end = last base + length), as Bakta writes it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from html import escape

_MOST_SHOWN = 40  # characters of a fact that a record shows of itself


class Shown(ABC):
    """A record that shows a few facts of itself: in one line, and in a notebook as a small table."""

    __slots__ = ()

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """What it shows of itself, by what it is."""

    def __repr__(self) -> str:
        facts = "; ".join(f"{what}: {_clipped(value)}" for what, value in self.facts().items())
        return f"<{type(self).__name__} {facts}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(what)}</th><td>{escape(_clipped(value))}</td></tr>"
            for what, value in self.facts().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


def _clipped(text: str) -> str:
    """The text, or its end: that of a path says most."""
    return text if len(text) <= _MOST_SHOWN else f"...{text[3 - _MOST_SHOWN :]}"


class Skip(str, Enum):
    """Why a CDS gets no prediction. The value is what the table of results prints."""

    PSEUDOGENE = "pseudogene"
    NO_SEQUENCE = "no_sequence"
    TOO_SHORT = "too_short"
    NO_STRAND = "no_strand"
    DUPLICATE = "duplicate"  # another CDS has the same place
    OUTSIDE = "outside_contig"
    NAMED = "named"  # only hypothetical proteins were asked for; it is context for the others
    MALFORMED = "malformed"  # it cannot be read


@dataclass(frozen=True, slots=True)
class Gene:
    """One CDS feature.

    Attributes:
        index: position among all CDS that were read together, in order of the file: of a genome, or of a
            section of one, which then numbers its own. The key of its predictions.
        id: what the file calls it (GFF3 ID, else locus_tag, else contig_start_end_strand); for people.
        contig: name of its contig.
        start, end: 1-based inclusive extent over all of its parts; of a malformed CDS 0 where the file does
            not say, of one outside its contig as stated.
        strand: 1 or -1, of a trans-spliced gene that of its first part along the contig; 0 where the file
            gives none, and then the gene is skipped.
        locus_tag, name, product: as annotated, '' where absent. `name` is the gene symbol.
        ec: EC numbers that the file already carries, without prefix, in order, no duplicates.
        protein: amino acids, no terminal stop; None when `skip` says why there is none to embed.
        skip: why it gets no prediction; None for a gene that is predicted.
        parts: (start, end) of each part along the contig, where there are several.
    """

    index: int
    id: str
    contig: str
    start: int
    end: int
    strand: int
    locus_tag: str = ""
    name: str = ""
    product: str = ""
    ec: tuple[str, ...] = ()
    protein: str | None = field(default=None, repr=False)
    skip: Skip | None = None
    parts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Contig:
    """One sequence of the assembly with its CDS, ordered by (start, end).

    `length` is None where unknown, `sequence` its nucleotides in upper case, '' where the input has none.
    """

    name: str
    length: int | None
    circular: bool
    genes: tuple[Gene, ...] = field(repr=False)
    sequence: str = field(default="", repr=False)

    @cached_property
    def coding(self) -> tuple[Gene, ...]:
        """The genes that a model can read, in order along the contig."""
        return tuple(gene for gene in self.genes if gene.skip is None)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Neighbouring coding genes: positions (left, right) in `coding`, in order along the contig.

        A circular contig of two or more genes has one pair more: the last gene with the first.
        """
        n = len(self.coding)
        along = tuple((i, i + 1) for i in range(n - 1))
        return (*along, (n - 1, 0)) if self.circular and n > 1 else along


@dataclass(frozen=True, slots=True)
class Source:
    """The input as it was read: what write-back patches.

    Attributes:
        path: the file, `-` for standard input.
        format: 'gff3', 'genbank', 'embl' or 'bakta' (Bakta's JSON).
        text: the whole decompressed file, or the lines of a section of it; bytes, so that write-back can be
            byte-exact.
        anchors: for each gene index the 0-based line numbers of `text` that its CDS feature starts on
            (GFF3: every line of the CDS; GenBank and EMBL: the feature's key line, then its last line); in
            Bakta's JSON its place in the list of features.
        newline: the line end of the whole file (GFF3).
        ec_place: the (attribute, prefix) in which the whole file keeps EC numbers (GFF3).
        opens_file: whether `text` begins the file.
        genetic_code: NCBI's number of the code of all CDS, where the user chose one.
    """

    path: str
    format: str
    text: bytes = field(repr=False)
    anchors: Mapping[int, tuple[int, ...]] = field(default_factory=dict, repr=False)
    newline: bytes = b"\n"
    ec_place: tuple[str, str] = ("", "")
    opens_file: bool = True
    genetic_code: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Genome(Shown):
    """One annotated file: its contigs in order of the file."""

    contigs: tuple[Contig, ...]
    source: Source | None = None

    @property
    def genes(self) -> Iterator[Gene]:
        """All CDS, contig by contig."""
        return (gene for contig in self.contigs for gene in contig.genes)

    @property
    def coding(self) -> Iterator[Gene]:
        """The genes that a model can read, contig by contig in order along it."""
        return (gene for contig in self.contigs for gene in contig.coding)

    @property
    def proteins(self) -> list[str]:
        """The proteins of all coding genes, in the order of `coding`."""
        return [gene.protein or "" for gene in self.coding]

    def facts(self) -> dict[str, str]:
        """Its file, and what there is in it."""
        read = {"file": self.source.path, "format": self.source.format} if self.source else {}
        coding = sum(len(contig.coding) for contig in self.contigs)
        counts = {"contigs": len(self.contigs), "genes": sum(1 for _ in self.genes), "with a protein": coding}
        return read | {what: f"{count:,}" for what, count in counts.items()}


@dataclass(frozen=True, slots=True)
class Window:
    """Up to 30 consecutive coding genes of one contig, by position in `Contig.coding`.

    `genes` lists positions in order along the contig; on a circular one they may wrap (..., n-1, 0, 1, ...).
    """

    contig: int
    genes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ECCall:
    """One EC number, complete ('2.7.1.2') or a class prefix ('2.7.1.-'), with its calibrated probability."""

    number: str
    confidence: float


@dataclass(frozen=True, slots=True)
class ContextNames:
    """What a gene may be called by its neighbours, and by neighbours and protein together.

    Attributes:
        family: number of the gene's own family in the model; None without one.
        expected_family, expected, expected_ec: number, name and EC number of the family that the neighbours
            alone expect, None and '' where there is none; their probability is
            `GenePrediction.context_confidence`.
        name, confidence: the name by neighbours and protein together, and its calibrated probability; '' and
            None where none is sure enough.
        ec, ec_confidence: the same of the EC number.
        genera, of: genera, told by their genes, with the named family at this place, of all in which two
            neighbours or more stand alike.
        beside: names that stand beside the gene's family elsewhere, each with the genera where it does, of
            those that have the family.
        unexpected: whether the neighbours are sure of another family than the gene's own.
    """

    family: int | None = None
    expected_family: int | None = None
    expected: str = ""
    expected_ec: str = ""
    name: str = ""
    confidence: float | None = None
    ec: str = ""
    ec_confidence: float | None = None
    genera: int = 0
    of: int = 0
    beside: tuple[tuple[str, int, int], ...] = ()
    unexpected: bool = False


@dataclass(frozen=True, slots=True)
class GenePrediction:
    """What the model says of one gene.

    Attributes:
        ec: the calls that passed the threshold, most confident first; empty when none did.
        ec_top: the three most likely complete EC numbers whatever their confidence, for the table.
        enzyme: calibrated probability that the protein is an enzyme at all; None when EC was not asked for.
        context_fit: percentile (0-100, of held-out genes) of how much likelier the gene is beside its
            neighbours than anywhere; low means that the place speaks against it. None for a contig of one
            gene, and for a gene of no known family.
        context_confidence: calibrated probability of what the neighbours make likeliest here; of a model
            without a memory the likelihood that gLM gives its own favoured prediction.
        context: what it may be called; None of a model whose families have no names.
        evidence: which of 'homology', 'kmer', 'encoder', 'context', 'neighbours' carried the first call; ''
            without one.
    """

    ec: tuple[ECCall, ...] = ()
    ec_top: tuple[ECCall, ...] = ()
    enzyme: float | None = None
    context_fit: float | None = None
    context_confidence: float | None = None
    evidence: str = ""
    context: ContextNames | None = None


@dataclass(frozen=True, slots=True)
class OperonCall:
    """A run of two or more linked neighbours on one strand.

    Attributes:
        id: 'glm_operon_0001', numbered along the file.
        contig: name of the contig.
        genes: gene indices in order along the contig.
        start, end, strand: extent of the genes, coordinates as in Gene.
        confidence: its lowest link.
        start_confidence, end_confidence: 1 - p across the border before the first (after the last) gene in
            coordinate order; None at a contig's edge.
        evidence: what speaks for all its links: 'gap', 'promoter', 'conserved:12'.
    """

    id: str
    contig: str
    genes: tuple[int, ...]
    start: int
    end: int
    strand: int
    confidence: float
    start_confidence: float | None = None
    end_confidence: float | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made the predictions: enough to make them again.

    Attributes:
        program: name and version.
        model, model_version, model_sha256: the model.
        min_confidence: least probability of a called EC number.
        link_threshold: least probability of a link between genes of one operon.
        ec, operons: whether these were predicted at all.
        only_hypothetical: whether only hypothetical proteins were annotated.
        precision: of the protein encoder, 'fp32', 'bf16' or 'fp16'.
        reference: sha256 of the labelled proteins that counted as evidence; '' without any.
        searcher: name and version of the program that searched them; '' likewise.
    """

    program: str
    model: str
    model_version: str
    model_sha256: str
    min_confidence: float
    link_threshold: float = 0.5
    ec: bool = True
    operons: bool = True
    only_hypothetical: bool = False
    precision: str = "fp32"
    reference: str = ""
    searcher: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Predictions(Shown):
    """All predictions of one genome, apart from it, keyed by `Gene.index`.

    Attributes:
        genes: one entry for each predicted gene.
        pairs: probability of sharing an operon for each pair (left, right) of neighbouring coding genes, in
            order along the contig; 0.0 for neighbours on different strands. Empty when not asked for.
        operons: in order of the file; None when operons were not asked for.
        n_windows: how many windows were run.
        ec_names: names of EC numbers and classes, of all that the model has names for.
    """

    genes: Mapping[int, GenePrediction]
    pairs: Mapping[tuple[int, int], float]
    operons: tuple[OperonCall, ...] | None
    provenance: Provenance
    n_windows: int = 0
    ec_names: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        """The model, and how much it predicted."""
        made_by = self.provenance
        facts = {
            "model": f"{made_by.model} {made_by.model_version}",
            "genes predicted": f"{len(self.genes):,}",
            "least confidence": f"{made_by.min_confidence:g}",
        }
        if made_by.ec:
            facts["with EC numbers"] = f"{sum(bool(gene.ec) for gene in self.genes.values()):,}"
        if self.operons is not None:
            facts["operons"] = f"{len(self.operons):,}"
        return facts
