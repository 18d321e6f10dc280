"""Sequences: reading FASTA, cutting a CDS out of its contig and translating it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from Bio.Data import CodonTable, IUPACData

from glm_annot.errors import InputError
from glm_annot.io import source
from glm_annot.io.source import BOM, SEQUENCE_LINE, check_text, decode, read_bytes
from glm_annot.records import Skip

DEFAULT_CODE = 11  # NCBI genetic code of bacteria, archaea and plant plastids
UNKNOWN_CODE = "genetic codes that NCBI does not define, which were ignored"
MIN_RESIDUES = 10  # shorter proteins carry no signal: annotation tools call none below about 30 amino acids
EDGE = 2  # a CDS that begins within this many bases of a linear contig's end may have lost its start codon
_UNKNOWN_RESIDUES = re.compile(r"[^ACDEFGHIKLMNPQRSTVWYUOBZX]")
_BLANKS = b" \t\r\n\v\f"
# The first of these may follow a sequence that ends without a line end.
_GFF3_AGAIN = re.compile(rb"##(?:gff-version|sequence-region|FASTA)\b|^(?:[^\t\r\n]*\t){8}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences given beside the annotation, and what else another file of the same tool says.

    Attributes:
        contigs: nucleotides, upper case, by name (`--fasta`).
        proteins: amino acids, upper case, by name (`--faa`, or those of a tool's output folder).
        chosen: whether the proteins are the user's choice, so that they win over the bases.
        ec: EC numbers by the name of their CDS, where the annotation may have only some of them.
        full_names: the name of a protein by what follows the last `|` in it, if only one protein has that.
        code: genetic code of the CDS that state none.
        chosen_code: genetic code of all CDS, as the user chose it; None for the one that each CDS has.
    """

    contigs: Mapping[str, str] = field(default_factory=dict)
    proteins: Mapping[str, str] = field(default_factory=dict)
    chosen: bool = True
    ec: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    full_names: Mapping[str, str] = field(default_factory=dict)
    code: int = DEFAULT_CODE
    chosen_code: int | None = None

    def all_ec(self, names: Iterable[str], stated: tuple[str, ...]) -> tuple[str, ...]:
        """The EC numbers that the annotation states for a CDS, and those known beside, without duplicates."""
        known = next((self.ec[name] for name in names if name in self.ec), ())
        return tuple(dict.fromkeys((*stated, *known)))

    def protein(self, names: Iterable[str]) -> str | None:
        """The protein that goes by the first of `names` that is known; empty names are passed over.

        A name in the FASTA file may have another before it: PGAP's `gnl|extdb|TAG`, DFAST's `MGA_1|TAG`.
        """
        known = (name if name in self.proteins else self.full_names.get(name) for name in names if name)
        return next((self.proteins[name] for name in known if name is not None), None)

    def no_contig_fits(self, contig: str, path: str) -> InputError:
        """The error for a `--fasta` file none of whose names is that of a contig, such as `contig`."""
        return InputError(
            f"no sequence of the --fasta file ({next(iter(self.contigs))!r}, ...) has the name of a contig "
            f"({contig!r}); make the names equal, or give the contigs of this annotation",
            path,
        )


def load(
    fasta: Path | None = None, faa: Path | None = None, *, chosen: bool = True, code: int | None = None
) -> Sequences:
    """Read the nucleotide and the protein FASTA given beside an annotation; `chosen` as in `Sequences`.

    Raises:
        InputError: unreadable, empty or not FASTA; nucleotides given as proteins, or the other way round.
    """
    contigs = _read_file(fasta) if fasta is not None else {}
    proteins = _read_file(faa) if faa is not None else {}
    if fasta is not None and not is_nucleotide(contigs):
        raise InputError("this holds proteins; give it as --faa, and the contigs as --fasta", fasta)
    if faa is not None and is_nucleotide(proteins):
        raise InputError("this holds nucleotides, but --faa takes proteins; give contigs as --fasta", faa)
    return Sequences(contigs, proteins, chosen, full_names=_full_names(proteins), chosen_code=code)


def _full_names(proteins: Iterable[str]) -> dict[str, str]:
    names = [(name.rpartition("|")[2], name) for name in proteins if "|" in name]
    counts = Counter(short for short, _ in names)
    return {short: name for short, name in names if short and counts[short] == 1}


def _read_file(path: Path) -> Fasta:
    text = read_bytes(path)
    check_text(text, path)
    records = read_fasta(text, path)
    if not any(records.values()):
        raise InputError("this FASTA file holds no sequence", path)
    return records


def is_nucleotide(records: Mapping[str, str]) -> bool:
    """Whether sequences are nucleotides rather than proteins."""
    sample = "".join(sequence[:1000] for sequence in itertools.islice(records.values(), 100))
    return source.is_nucleotide(sample)


class Fasta(Mapping[str, str]):
    """Sequences of a FASTA file by name (the header's first word), upper case, in order.

    Each is read when it is asked for; only their places are kept.

    Args:
        file: FASTA records from its current position on; blank lines are allowed before the first.
        path, first_line: as for `fasta_records`.

    Raises:
        InputError: as for `fasta_records`, and one name on two sequences.
    """

    def __init__(self, file: BinaryIO, path: str | Path, first_line: int = 1) -> None:
        self._file = file
        self._places: dict[str, _Place] = {}
        repeated = []
        for header, place in _places(file, path, first_line):
            name = header.split(maxsplit=1)[0]
            if self._places.setdefault(name, place) is not place:
                repeated.append((name, place))
        for name, place in repeated:
            if self[name] != place.sequence(file):
                raise InputError(
                    f"two different sequences are both called {name!r}; rename one", path, place.line
                )

    def __getitem__(self, name: str) -> str:
        return self._places[name].sequence(self._file)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def last(self) -> str | None:
        """The name of the last sequence; None without any."""
        return next(reversed(self._places), None)


def read_fasta(text: bytes, path: str | Path, first_line: int = 1) -> Fasta:
    """The sequences of a FASTA text. Arguments and errors as for `fasta_records` and `Fasta`."""
    return Fasta(BytesIO(text), path, first_line)


def fasta_records(text: bytes, path: str | Path, first_line: int = 1) -> Iterator[tuple[str, str, int]]:
    """Yield (header without '>', sequence in upper case, the header's 1-based line) of a FASTA text.

    Args:
        text: FASTA records, blank lines allowed before the first.
        path: the file, for messages.
        first_line: the line of the file that `text` begins on, for messages.

    Raises:
        InputError: text before the first header, or a header without a name.
    """
    file = BytesIO(text)
    for header, place in list(_places(BytesIO(text), path, first_line)):
        yield header, place.sequence(file), place.line


def write_fasta(path: Path, sequences: Iterable[str]) -> None:
    """Write sequences under their positions 0, 1, 2, ... as names."""
    with path.open("w", encoding="ascii") as stream:
        stream.writelines(f">{number}\n{sequence}\n" for number, sequence in enumerate(sequences))


class _Place(NamedTuple):
    """Where a sequence stands: bytes of its file from `start` to before `stop`, and its header's line."""

    start: int
    stop: int
    line: int

    def sequence(self, file: BinaryIO) -> str:
        file.seek(self.start)
        return file.read(self.stop - self.start).translate(None, _BLANKS).decode("latin-1").upper()


def _places(file: BinaryIO, path: str | Path, first_line: int) -> Iterator[tuple[str, _Place]]:
    """Headers of a FASTA file from its current position on, and the places of their sequences."""
    end = file.tell()
    end += len(BOM) if file.read(len(BOM)) == BOM else 0
    file.seek(end)
    header, start, header_line = b"", end, first_line
    for number, line in enumerate(file, first_line):
        begin, end = end, end + len(line)
        if line.startswith(b">"):
            if header:
                yield decode(header).strip(), _Place(start, begin, header_line)
            header, start, header_line = line[1:], end, number
            if not decode(header).strip():
                raise InputError("a FASTA header without a name; write one after '>'", path, number)
        elif not header and line.strip():
            raise InputError("expected FASTA: a line that begins with '>'", path, first_line)
        elif not SEQUENCE_LINE.fullmatch(line):
            raise _no_sequence(line, path, number)
    if header:
        yield decode(header).strip(), _Place(start, end, header_line)


def _no_sequence(line: bytes, path: str | Path, number: int) -> InputError:
    """The error for a line of a FASTA file, or of the FASTA part of a GFF3, that holds something else."""
    if _GFF3_AGAIN.search(line):
        return InputError(
            "a GFF3 file begins here, after the sequences of another: these are several files joined; "
            "give them one by one",
            path,
            number,
        )
    return InputError("this line of the FASTA part is not a sequence; correct or remove it", path, number)


def is_genetic_code(value: str) -> bool:
    """Whether this is the number of an NCBI genetic code."""
    return value.isdecimal() and len(value) < 10 and int(value) in CodonTable.unambiguous_dna_by_id


def genetic_code(value: str, path: str | Path, line: int | None = None) -> int:
    """The number of an NCBI genetic code; InputError for anything Biopython does not know."""
    if is_genetic_code(value):
        return int(value)
    raise InputError(f"transl_table={value} is not an NCBI genetic code; bacteria use 11 or 4", path, line)


def as_dna(sequence: str) -> str:
    """Upper-case nucleotides with T for the U of RNA."""
    return sequence.replace("U", "T")


def splice(contig: str, parts: Sequence[tuple[int, int]], strand: int) -> str:
    """The coding strand of a CDS, 5' to 3'.

    Args:
        contig: the whole contig, upper case.
        parts: (start, end), ascending, 1-based inclusive; past len(contig) they go on from its origin.
        strand: 1 or -1.
    """
    length = len(contig)
    pieces = []
    for start, end in parts:
        begin = (start - 1) % length
        stop = begin + end - start + 1
        pieces.append(contig[begin:stop] if stop <= length else contig[begin:] + contig[: stop - length])
    joined = "".join(pieces)
    return joined if strand == 1 else joined.translate(_COMPLEMENT)[::-1]


_COMPLEMENT = str.maketrans(
    "".join(IUPACData.ambiguous_dna_complement), "".join(IUPACData.ambiguous_dna_complement.values())
)


class _Codons(dict[str, str]):
    """Codon -> residue of one genetic code; '*' is a stop, 'X' an ambiguous codon of several meanings."""

    def __init__(self, table: int) -> None:
        code = CodonTable.unambiguous_dna_by_id[table]
        super().__init__(dict.fromkeys(code.stop_codons, "*") | code.forward_table)
        self.starts = frozenset(code.start_codons)

    def __missing__(self, codon: str) -> str:
        choices = [IUPACData.ambiguous_dna_values.get(base, "") for base in codon]
        meanings = {self[c] for c in map("".join, itertools.product(*choices))}
        self[codon] = meanings.pop() if len(meanings) == 1 else "X"
        return self[codon]


@cache
def _codons(table: int) -> _Codons:
    return _Codons(table)


def translate(
    dna: str,
    *,
    table: int = DEFAULT_CODE,
    phase: int = 0,
    complete_start: bool = True,
    recoded: Mapping[str, str] | None = None,
) -> str:
    """The protein of a coding sequence, without its final stop.

    A start codon of the genetic code reads as M where the CDS is complete at its start. An internal stop
    reads as the amino acid that `recoded` names for it, else as `*`: such a gene is kept, because only its
    annotation can say that it is a pseudogene. One or two bases left over at the end are ignored.

    Args:
        dna: coding strand, 5' to 3', upper case; RNA letters will do.
        table: NCBI genetic code.
        phase: bases before the first whole codon, 0-2.
        complete_start: whether the first codon is the gene's own start.
        recoded: stop codon -> residue, as {'TGA': 'U'} for selenocysteine.
    """
    dna = as_dna(dna)
    codons = _codons(table)
    residues = [codons[dna[i : i + 3]] for i in range(phase, len(dna) - 2, 3)]
    if residues and residues[-1] == "*":
        residues.pop()
    if residues and complete_start and dna[phase : phase + 3] in codons.starts:
        residues[0] = "M"
    for stop in [i for i, residue in enumerate(residues) if residue == "*"]:
        place = phase + 3 * stop
        residues[stop] = (recoded or {}).get(dna[place : place + 3], "*")
    return "".join(residues)


def clean_protein(protein: str) -> str:
    """`protein` in upper case, without blanks and final stop; what is no residue (`*`, `-`, `J`) is X."""
    return _UNKNOWN_RESIDUES.sub("X", "".join(protein.split()).upper().rstrip("*"))


def admit(protein: str | None, *, pseudo: bool, stranded: bool = True) -> tuple[str | None, Skip | None]:
    """What a gene gets: (protein, None) where it can be predicted, else (None, the reason why not)."""
    if pseudo:
        return None, Skip.PSEUDOGENE
    if not stranded:
        return None, Skip.NO_STRAND
    residues = clean_protein(protein or "")
    if not residues.strip("X"):
        return None, Skip.NO_SEQUENCE
    if len(residues) < MIN_RESIDUES:
        return None, Skip.TOO_SHORT
    return residues, None
