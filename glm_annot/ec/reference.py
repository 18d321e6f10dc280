"""Homologues of proteins among a user's own labelled ones: reading the labels, searching.

DIAMOND searches where it is on PATH: from Debian (`apt install diamond-aligner`) or bioconda
(`conda install -c bioconda diamond`). Elsewhere pyhmmer does (`pip install pyhmmer`): HMMER's phmmer, slower,
but with nothing to install beside Python packages. Its hits are put in DIAMOND's terms.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm_annot.ec.evidence import Homologue
from glm_annot.ec_numbers import ancestry, is_number
from glm_annot.ec_transferred import current
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io.sequences import clean_protein, fasta_records, is_nucleotide, write_fasta
from glm_annot.io.source import check_text, read_bytes
from glm_annot.processes import run_tool

MOST_HITS = 10  # homologues that speak for a protein
E_VALUE = 1e-3
IDLE_LIMIT = 60.0  # seconds; DIAMOND (2.1.3 and others) now and then deadlocks and then waits for ever
# DIAMOND's bits from phmmer's for the same pair: offset and slope of the line of least relative squares
# through 2,253 pairs of 300 proteins of E. coli K-12 and 22,144 labelled ones (r = 0.993). Without it faint
# hits would seem half as strong. Identity and coverage differ by a percentage point or less in the median.
PHMMER_BITS = (24.0, 0.87)
# 'EC=1.2.3.4', '[EC:1.2.3.4]', 'EC 1.2.3.-', 'ec_number=1.2.3.4; 5.6.7.8'
_FIELD = re.compile(r"\bEC(?:_number|[ _]?num(?:ber)?)?\s*[=: ]\s*\[?([0-9n.,;/\s-]+)", re.IGNORECASE)
# Prokka's databases: 'ID 1.2.3.4~~~gene~~~product'
_PROKKA = re.compile(r"^\S+\s+([0-9n.,;/-]+)~~~")
_Hit = tuple[int, int, tuple[float, float, float]]  # query, target, (bits, identity, coverage) of `Homologue`
# A protein with such a name may be an enzyme although no number is given, and so may one without a name.
# Ends of words that name enzymes: peptidases often have names without '-ase'.
_ENZYME_ENDS = [
    "ase",
    "zyme",
    "redoxin",
    "pepsin",
    "trypsin",
    "thermopsin",
    "lysin",
    "lisin",
    "thrombin",
    "plasmin",
    "subtilisin",
    "cathepsin",
    "kallikrein",
    "renin",
    "rennin",
    "ficin",
    "ficain",
    "papain",
    "calpain",
    "bromelain",
    "gingipain",
    "picornain",
    "lactocepin",
    "mycolin",
    "napsin",
    "memapsin",
    "furin",
    "ferritin",
    "cyclophilin",
    "kinesin",
    "omptin",
]
# The same of single words and phrases; transporters of class 7 are named by their type.
_ENZYME_NAMES = (
    "enzyme|p-?450|(?:p|abc)-type|atp-binding|primary active|restriction-modification|clamp-loader|argonaute"
    r"|(?:clotting|coagulation) factor|lexa|umud|adam\d+"
)
_PERHAPS = re.compile(
    r"\b(?:hypothetical|uncharacteri[sz]ed|unknown|unnamed|(?:putative|predicted) protein|orf\d*|duf\d+"
    rf"|upf\d+|ec|{_ENZYME_NAMES}|\S*?(?:{'|'.join(_ENZYME_ENDS)})s?)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[1-7](?:\.(?:n?[0-9]+|-)){3}")
_INSTALL = "install DIAMOND (`apt install diamond-aligner` or `conda install -c bioconda diamond`)"


@dataclass(frozen=True, slots=True)
class Reference:
    """Proteins with known EC numbers.

    Attributes:
        proteins: amino acids, as `clean_protein` gives them.
        ec: their numbers; none: known to be no enzyme.
    """

    proteins: tuple[str, ...]
    ec: tuple[tuple[str, ...], ...]

    @property
    def sha256(self) -> str:
        """Identifies proteins and numbers, in this order."""
        lines = (f"{p} {';'.join(ec)}\n" for p, ec in zip(self.proteins, self.ec, strict=True))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def searched_by(self) -> str:
        """Name and version of the program that searches these.

        Raises:
            GlmAnnotError: none is installed.
        """
        return searcher().name

    def homologues(self, proteins: Sequence[str], *, threads: int = 1) -> list[list[Homologue]]:
        """For each protein its homologues among these, the highest score first; [] without any.

        Args:
            proteins: amino acids.
            threads: processor cores to use.

        Raises:
            GlmAnnotError: no program to search with is installed, or it failed.
        """
        found = self.hits(proteins, searcher(), threads=threads)
        return [[homologue for _, homologue in hits] for hits in found]

    def hits(
        self, proteins: Sequence[str], by: Searcher, *, threads: int = 1
    ) -> list[list[tuple[int, Homologue]]]:
        """The same with the position of each homologue among these, searched for by a certain program."""
        nodes = [ancestry(ec) for ec in self.ec]
        distinct = {protein: row for row, protein in enumerate(dict.fromkeys(proteins))}
        found: list[list[tuple[int, Homologue]]] = [[] for _ in distinct]
        if distinct and self.proteins:
            for query, target, figures in by.search(list(distinct), self.proteins, threads):
                found[query].append((target, Homologue(nodes[target], *figures)))
        return [found[distinct[protein]] for protein in proteins]


@dataclass(frozen=True, slots=True)
class Searcher:
    """A program that finds homologues.

    Attributes:
        name: its name and version.
        search: (queries, targets, processor cores) -> at most `MOST_HITS` of each query, best first.
    """

    name: str
    search: Callable[[Sequence[str], Sequence[str], int], Iterator[_Hit]]


def searcher() -> Searcher:
    """The program that searches references here: DIAMOND before pyhmmer.

    Raises:
        GlmAnnotError: neither is installed.
    """
    if shutil.which("diamond"):
        return diamond_searcher()
    if importlib.util.find_spec("pyhmmer"):
        return Searcher(f"pyhmmer {importlib.metadata.version('pyhmmer')}", _by_phmmer)
    raise GlmAnnotError(
        f"nothing here to search a reference with: {_INSTALL}, or pyhmmer (`pip install pyhmmer`; slower)"
    )


def diamond_searcher() -> Searcher:
    """DIAMOND, `--very-sensitive`.

    Raises:
        GlmAnnotError: it is not installed.
    """
    version = run_tool(["diamond", "version"], install=_INSTALL).split()[-1]
    return Searcher(f"DIAMOND {version}", _by_diamond)


def read_reference(path: str | Path) -> Reference:
    """Read labelled proteins: FASTA whose headers hold EC numbers.

    Understood are `EC=1.2.3.4` and its kin anywhere in a header, several numbers separated by commas or
    semicolons, and Prokka's `>ID 1.2.3.4~~~gene~~~product`. An entry without a number is taken for no enzyme
    where its header names the protein, as in Swiss-Prot; without a name, or with one like 'hypothetical
    protein', 'putative kinase' or 'lysozyme', which is or may be an enzyme's, it is left out. A sequence that
    occurs several times has all its numbers.

    Raises:
        InputError: unreadable, no FASTA, nucleotides, or no header with an EC number.
    """
    text = read_bytes(path)
    check_text(text, path)
    records = [(header, clean_protein(sequence)) for header, sequence, _ in fasta_records(text, path)]
    if is_nucleotide(dict(records)):
        raise InputError("this holds nucleotides, but --reference takes proteins", path)
    labelled: dict[str, tuple[str, ...]] = {}
    for header, sequence in records:
        numbers = header_numbers(header)
        if sequence and (numbers or says_no_enzyme(header)):
            labelled[sequence] = tuple(dict.fromkeys((*labelled.get(sequence, ()), *numbers)))
    if not any(labelled.values()):
        raise InputError(
            "no FASTA header holds an EC number; write them as EC=1.2.3.4, or like Prokka's databases", path
        )
    return Reference(tuple(labelled), tuple(labelled.values()))


def says_no_enzyme(header: str) -> bool:
    """Whether a FASTA header without an EC number names a protein that is no enzyme."""
    _, _, name = header.partition(" ")
    return any(map(str.isalpha, name)) and not _PERHAPS.search(name)


def header_numbers(header: str) -> tuple[str, ...]:
    """The EC numbers of a FASTA header, each once, in order."""
    texts = [match[1] for match in (*_PROKKA.finditer(header), *_FIELD.finditer(header))]
    found = (n for text in texts for n in _NUMBER.findall(text) if is_number(n))
    return tuple(dict.fromkeys(map(current, found)))


def _by_diamond(queries: Sequence[str], targets: Sequence[str], threads: int) -> Iterator[_Hit]:
    options = ["--very-sensitive", "-e", str(E_VALUE), "-k", str(MOST_HITS)]
    columns = ("bitscore", "pident", "qcovhsp", "scovhsp")
    for query, target, figures in diamond(queries, targets, options, columns, threads=threads):
        bits, identity, query_cover, target_cover = figures
        yield query, target, (bits, identity / 100, min(query_cover, target_cover) / 100)


def _by_phmmer(queries: Sequence[str], targets: Sequence[str], threads: int) -> Iterator[_Hit]:
    """The best domain of each hit."""
    import pyhmmer
    from pyhmmer.easel import Alphabet, DigitalSequenceBlock, TextSequence

    def block(sequences: Iterable[str]) -> DigitalSequenceBlock:
        amino = Alphabet.amino()
        numbered = (TextSequence(name=str(n).encode(), sequence=s) for n, s in enumerate(sequences))
        return DigitalSequenceBlock(amino, (sequence.digitize(amino) for sequence in numbered))

    offset, slope = PHMMER_BITS
    found = pyhmmer.phmmer(block(queries), block(targets), cpus=threads, E=E_VALUE)
    for query, hits in enumerate(found):
        best = sorted(((hit.best_domain, int(hit.name)) for hit in hits.reported), key=_strongest)
        for domain, target in best[:MOST_HITS]:
            part = domain.alignment
            identical = sum(letter.isalpha() for letter in part.identity_sequence)
            spans = (
                (part.hmm_to - part.hmm_from + 1) / len(queries[query]),
                (part.target_to - part.target_from + 1) / len(targets[target]),
            )
            identity = identical / len(part.identity_sequence)
            yield query, target, (offset + slope * domain.score, identity, min(spans))


def _strongest(hit: tuple[Any, int]) -> tuple[float, int]:
    """Sorts pyhmmer's hits (best domain, position of the target)."""
    domain, target = hit
    return -domain.score, target


def diamond(
    queries: Iterable[str],
    targets: Iterable[str],
    options: Sequence[str],
    columns: Sequence[str],
    *,
    threads: int = 1,
) -> Iterator[tuple[int, int, tuple[float, ...]]]:
    """Search with `diamond blastp`: (position of a query, of its target, columns) of every hit.

    Args:
        queries, targets: proteins.
        options: of the search.
        columns: names of numeric fields of DIAMOND's tabular output.
        threads: processor cores to use.

    Raises:
        GlmAnnotError: DIAMOND is not installed, or it failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_fasta(folder / "queries.faa", queries)
        write_fasta(folder / "targets.faa", targets)
        files = ["-q", str(folder / "queries.faa"), "-d", str(folder / "targets.faa")]
        out = ["-o", str(folder / "hits.tsv"), "-f", "6", "qseqid", "sseqid", *columns]
        command = ["diamond", "blastp", *files, *out, *options, "--threads", str(threads), "--quiet"]
        run_tool(command, install=_INSTALL, idle_limit=IDLE_LIMIT)
        with (folder / "hits.tsv").open(encoding="ascii") as stream:
            for line in stream:
                query, target, *figures = line.split("\t")
                yield int(query), int(target), tuple(map(float, figures))
