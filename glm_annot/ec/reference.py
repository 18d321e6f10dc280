"""Labelled proteins and what resembles them: those of a model, and those that a user brings."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path

from glm_annot.ec.evidence import Homologue
from glm_annot.ec.search import PROGRAM, Hit, ProteinSearch
from glm_annot.ec.together import Together, together
from glm_annot.ec_numbers import Node, ancestry, is_number
from glm_annot.ec_transferred import current
from glm_annot.errors import InputError
from glm_annot.io.sequences import clean_protein, fasta_records, is_nucleotide
from glm_annot.io.source import check_text, read_bytes

MOST_UNPACKED = 2**30  # bytes of a model's labelled proteins
MIN_BITS = (
    28.0  # of a homologue: some ten as good arise by chance among 20,000 proteins; fewer help remote ones
)
CLEAR_BITS = 50.0  # of a homologue that is named; chance has one among 100,000 proteins that are asked for
# 'EC=1.2.3.4', '[EC:1.2.3.4]', 'EC 1.2.3.-', 'ec_number=1.2.3.4; 5.6.7.8'
_FIELD = re.compile(r"\bEC(?:_number|[ _]?num(?:ber)?)?\s*[=: ]\s*\[?([0-9n.,;/\s-]+)", re.IGNORECASE)
# Prokka's databases: 'ID 1.2.3.4~~~gene~~~product'
_PROKKA = re.compile(r"^\S+\s+([0-9n.,;/-]+)~~~")
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
    "pain",
    "virin",
    "venombin",
    "proteasome",
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
    r"enzyme|p-?450\w*|cyp\d+\w*|(?:p|abc)-type|atp-binding|primary active|restriction-modification"
    r"|clamp-loader|argonaute|(?:clotting|coagulation) factor|lexa|umud|adam\d+|\S+-driven|oxygen.evolving"
    "|g protein"
)
_PERHAPS = re.compile(
    r"\b(?:hypothetical|uncharacteri[sz]ed|unknown|unnamed|(?:putative|predicted) protein|orf\d*|duf\d+"
    rf"|upf\d+|ec|{_ENZYME_NAMES}|\S*?(?:{'|'.join(_ENZYME_ENDS)})s?)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[1-7](?:\.(?:n?[0-9]+|-)){3}")
_EC, _NAMELESS = " EC=", "-"  # in a model's own file: between name and numbers; instead of a name


@dataclass(frozen=True)
class Reference:
    """Proteins with known EC numbers.

    Attributes:
        proteins: amino acids, as `clean_protein` gives them.
        ec: their numbers; none: known to be no enzyme.
        names: accessions or the like, one for each protein; empty where nobody gave any.
    """

    proteins: tuple[str, ...] = ()
    ec: tuple[tuple[str, ...], ...] = ()
    names: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Identifies proteins and numbers, in this order."""
        lines = (f"{p} {';'.join(ec)}\n" for p, ec in zip(self.proteins, self.ec, strict=True))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def searched_by(self) -> str:
        """Name and version of the program that searches these."""
        return PROGRAM

    def with_others(self, other: Reference) -> Reference:
        """These proteins and others; one that is in both has the numbers of both."""
        return _joined(self, other)

    def homologues(self, proteins: Sequence[str], *, threads: int = 1) -> list[list[Homologue]]:
        """For each protein its homologues among these, the highest score first; [] without any.

        Identity and coverage, which cost an alignment of their own, are given of the first homologue with an
        EC number, and of the first with each other set of numbers that has `CLEAR_BITS`; else they are 0.

        Args:
            proteins: amino acids.
            threads: processor cores to use.
        """
        distinct = list(dict.fromkeys(proteins))
        hits = self._search.hits(distinct, threads=threads)
        with ThreadPoolExecutor(threads) as pool:
            found = dict(zip(distinct, pool.map(self._described, distinct, hits), strict=True))
        return [found[protein] for protein in proteins]

    @cached_property
    def together(self) -> Together:
        """Which numbers these have together."""
        return together(self.ec)

    @cached_property
    def _search(self) -> ProteinSearch:
        return ProteinSearch(self.proteins)

    @cached_property
    def _nodes(self) -> list[frozenset[Node]]:
        return [ancestry(ec) for ec in self.ec]

    @property
    def _all_names(self) -> Sequence[str]:
        return self.names or [""] * len(self.proteins)

    def _described(self, query: str, hits: Sequence[Hit]) -> list[Homologue]:
        found: list[Homologue] = []
        seen: set[tuple[str, ...]] = set()
        for hit in hits:
            if hit.bits < MIN_BITS:
                break
            ec, shares = self.ec[hit.target], (0.0, 0.0)
            if ec and ec not in seen and (hit.bits >= CLEAR_BITS or not seen):
                seen.add(ec)
                shares = self._search.alignment(query, hit.target)
            found.append(Homologue(self._nodes[hit.target], hit.bits, *shares, self._all_names[hit.target]))
        return found


@lru_cache(maxsize=1)
def _joined(own: Reference, other: Reference) -> Reference:
    """What `Reference.with_others` gives, once for many genomes, which so share its index."""
    ec = dict(zip(own.proteins, own.ec, strict=True))
    name = dict(zip(own.proteins, own._all_names, strict=True))
    for protein, numbers, other_name in zip(other.proteins, other.ec, other._all_names, strict=True):
        ec[protein] = tuple(dict.fromkeys((*ec.get(protein, ()), *numbers)))
        name[protein] = name.get(protein) or other_name
    return Reference(tuple(ec), tuple(ec.values()), tuple(name.values()))


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


def to_bytes(reference: Reference) -> bytes:
    """A model's labelled proteins as compressed FASTA, `>NAME EC=1.2.3.4;5.6.7.8`."""
    rows = zip(reference._all_names, reference.ec, reference.proteins, strict=True)
    lines = (f">{name or _NAMELESS}{_EC}{';'.join(ec)}\n{protein}\n" for name, ec, protein in rows)
    return gzip.compress("".join(lines).encode(), mtime=0)


def from_bytes(packed: bytes, path: Path) -> Reference:
    """What `to_bytes` made; `path` is for messages.

    Raises:
        InputError: it is no such text, or unpacks to more than `MOST_UNPACKED` bytes.
    """
    try:
        with gzip.GzipFile(fileobj=BytesIO(packed)) as file:
            text = file.read(MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be unpacked ({error})", path) from error
    if len(text) > MOST_UNPACKED:
        raise InputError(f"holds more than {MOST_UNPACKED:,} bytes", path)
    rows = [(*header.rpartition(_EC)[::2], protein) for header, protein, _ in fasta_records(text, path)]
    return Reference(
        tuple(protein for _, _, protein in rows),
        tuple(tuple(filter(None, ec.split(";"))) for _, ec, _ in rows),
        tuple("" if name == _NAMELESS else name for name, _, _ in rows),
    )
