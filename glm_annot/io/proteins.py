"""Which protein a CDS gets: the stated one where it can be believed, else that of the bases.

A protein that the user gives (`--faa`) wins. One that the annotation or a tool's own FASTA file states is
believed if it is made of residue letters and agrees with the bases, where there are any. How the bases are to
be read, from which base and in which genetic code, is judged by all CDS of a file: a wrong reading puts stop
codons into most proteins.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, product, zip_longest

from glm_annot.errors import InputError
from glm_annot.io.oddities import Oddities
from glm_annot.io.sequences import DEFAULT_CODE, admit, translate
from glm_annot.records import Skip

log = logging.getLogger(__name__)

AGREEMENT = 0.9  # least share of residues in which a stated protein is that of the bases
LENGTH_SLACK = 2  # residues: tools differ in whether a start or a stop is part of the protein
LEAST_STOPPED = 2  # proteins with a stop inside; one alone is the fault of a single gene
JUDGED = 1000  # CDS by which the reading of a file is judged
EXPLAINED = 1 / 3  # a reading is taken if it leaves at most this share of the proteins with stops
OTHER_CODES = (4, 25, 15)  # of Mycoplasma and Spiroplasma; SR1 and Gracilibacteria; phages that recode TAG

_RESIDUES = re.compile(r"[A-Z*]+")  # each letter stands for a residue or for several
_ANY = frozenset("*X")  # of the bases: an unknown residue, and a stop, which may be recoded
_PERHAPS = {"B": "DN", "Z": "EQ", "J": "IL"}  # letters of a stated protein that stand for two residues

Admitted = tuple[str | None, Skip | None]


@dataclass(frozen=True, slots=True)
class Coding:
    """What decides the protein of one CDS.

    Attributes:
        name: for messages.
        dna: coding strand, 5' to 3', all parts joined; '' where its bases are not known.
        phase: bases before the first whole codon as stated, 0-2; 3 occurs in files that mean codon_start.
        codon_start: the same by an attribute of that name (less 1); None without one.
        code: NCBI genetic code.
        own_start: whether it begins with a start codon of its own, if phase is 0.
        recoded: stop codon -> residue, as for `translate`.
        stated: the protein as the annotation or a protein FASTA has it; '' without any.
        given: whether `stated` comes from a protein FASTA.
        wins: whether `stated` is the user's choice, which is taken in any case.
        any_length: whether the length of `stated` may differ: at open ends, with slippage or recoding.
        skip: why it gets no protein at all.
    """

    name: str
    dna: str = ""
    phase: int = 0
    codon_start: int | None = None
    code: int = DEFAULT_CODE
    own_start: bool = True
    recoded: Mapping[str, str] = field(default_factory=dict)
    stated: str = ""
    given: bool = False
    wins: bool = False
    any_length: bool = False
    skip: Skip | None = None

    @property
    def translated(self) -> bool:
        """Whether its bases say what its protein is."""
        return bool(self.dna) and self.skip is None


@dataclass(frozen=True, slots=True)
class Reading:
    """From which base and in which code all CDS of a file are read.

    Attributes:
        phase: 'stated'; 'codon_start', where the phase column holds that (1-3); 'zero'.
        code: the genetic code of all CDS; None for the one that each states.
    """

    phase: str = "stated"
    code: int | None = None

    def protein(self, coding: Coding) -> str:
        """Its translation, '*' for each stop inside."""
        phase = self._phase(coding)
        return translate(
            coding.dna,
            table=self.code or coding.code,
            phase=phase,
            complete_start=coding.own_start and phase == 0,
            recoded=coding.recoded,
        )

    def _phase(self, coding: Coding) -> int:
        if self.phase == "zero":
            return 0
        if self.phase == "stated":
            return coding.phase % 3
        return max(coding.phase - 1, 0) if coding.codon_start is None else coding.codon_start

    def __str__(self) -> str:
        phases = {"codon_start": "the phase column as codon_start", "zero": "every phase as 0"}
        said = [phases[self.phase]] if self.phase in phases else []
        return " and ".join([*said, f"all CDS in genetic code {self.code}"] if self.code else said)


def find_reading(codings: Sequence[Coding], code: int | None = None) -> Reading:
    """The reading of a file: as stated, unless most proteins then have stops inside and another has few.

    `code` is the genetic code of all CDS where the user chose one; no other is tried then.
    """
    judged = [coding for coding in codings if coding.translated][:JUDGED]
    as_stated = Reading(code=code)
    stopped = _stopped(judged, as_stated)
    if not _are_most(stopped, len(judged)):
        return as_stated
    codes = (None, *OTHER_CODES) if code is None else (code,)
    for other, phase in product(codes, ("stated", "codon_start", "zero")):
        reading = Reading(phase, other)
        if reading != as_stated and _stopped(judged, reading) <= EXPLAINED * stopped:
            return reading
    return as_stated


def _stopped(codings: Sequence[Coding], reading: Reading) -> int:
    return sum("*" in reading.protein(coding) for coding in codings)


def _are_most(stopped: int, proteins: int) -> bool:
    return stopped >= LEAST_STOPPED and 2 * stopped > proteins


def is_made_of_residues(protein: str) -> bool:
    """Whether a stated protein consists of residue letters; stops may be its end or, recoded, inside."""
    return _RESIDUES.fullmatch(protein) is not None


def agrees(stated: str, coding: Coding, reading: Reading) -> bool:
    """Whether a stated protein, in upper case without a last stop, is that of the bases.

    It may have another first residue (start codons), and a residue where the bases have a stop (recoding,
    genetic code). One change of frame is allowed for: the residues are compared from the start up to some
    place, and from there on counted from the end.
    """
    from_start = reading.protein(coding)
    if stated == from_start:
        return True
    if not coding.any_length and abs(len(stated) - len(from_start)) > LENGTH_SLACK:
        return False
    from_end = translate(
        coding.dna, table=reading.code or coding.code, phase=len(coding.dna) % 3, complete_start=False
    )
    before = [0, *accumulate(_alike(stated, from_start, first=True))]
    after = [0, *accumulate(_alike(stated[::-1], from_end[::-1], first=False))]
    best = max(head + tail for head, tail in zip(before, reversed(after), strict=True))
    return best >= AGREEMENT * len(stated)


def _alike(stated: str, read: str, *, first: bool) -> Iterator[bool]:
    """For each stated residue whether the bases may have it; one beyond them is none of theirs."""
    for i, (residue, found) in enumerate(zip_longest(stated, read[: len(stated)], fillvalue="")):
        is_start = first and i == 0
        fits = residue == found or found in _ANY or (found != "" and found in _PERHAPS.get(residue, ""))
        yield is_start or fits


class Proteins:
    """Gives the CDS of one file their proteins and counts what is odd about them.

    Args:
        path: the file, for messages.
        oddities: where single oddities are counted.
        reading: as an earlier pass over the file found it; None: the first CDS with bases decide.
        code: genetic code of all CDS, as the user chose it; None for the one that each CDS states.
    """

    def __init__(
        self, path: str, oddities: Oddities, reading: Reading | None = None, code: int | None = None
    ) -> None:
        self.reading = reading
        self._code = code
        self._path, self._oddities = path, oddities
        self._proteins = self._stopped = 0
        self._first_stopped = ""

    def of(self, codings: Sequence[Coding]) -> list[Admitted]:
        """For each CDS (protein, None), or (None, why it has none)."""
        if self.reading is None and any(coding.translated for coding in codings):
            self.reading = find_reading(codings, self._code)
        return [self._admitted(coding) for coding in codings]

    def finish(self) -> None:
        """Say, when all CDS are read, how they were read and how many have stops inside.

        Raises:
            InputError: most have.
        """
        if self.reading not in (None, Reading(code=self._code)):
            log.warning(
                "%s: read as the file states it, most proteins have stop codons inside; so it was read with "
                "%s",
                self._path,
                self.reading,
            )
        if _are_most(self._stopped, self._proteins):
            raise InputError(
                f"{self._stopped} of {self._proteins} proteins have stop codons inside "
                f"(first: {self._first_stopped}), in any genetic code of bacteria; are these the sequences "
                "of this annotation? If so, give the proteins (--faa) or transl_table=... in each CDS",
                self._path,
            )
        if self._stopped:
            log.warning(
                "%s: %d of %d proteins have stop codons inside, which are read as unknown residues "
                "(first: %s)",
                self._path,
                self._stopped,
                self._proteins,
                self._first_stopped,
            )

    def _admitted(self, coding: Coding) -> Admitted:
        if coding.skip is not None:
            return None, coding.skip
        protein = self._protein(coding)
        if protein:
            self._proteins += 1
            if "*" in protein.strip().rstrip("*"):
                self._stopped += 1
                self._first_stopped = self._first_stopped or coding.name
        return admit(protein, pseudo=False)

    def _protein(self, coding: Coding) -> str | None:
        reading = self.reading or Reading(code=self._code)
        stated = "".join(coding.stated.split()).upper()
        if not stated:
            return reading.protein(coding) if coding.dna else None
        fits = is_made_of_residues(stated) and (not coding.dna or agrees(stated.rstrip("*"), coding, reading))
        if fits:
            return stated
        if coding.wins:
            if coding.dna:
                self._oddities.see(
                    "proteins of the --faa file that disagree with the bases; they were used all the same",
                    coding.name,
                )
            return stated
        if coding.dna:
            self._oddities.see(
                "stated proteins that disagree with the bases, which were translated instead", coding.name
            )
            return reading.protein(coding)
        self._oddities.see(
            "stated proteins that do not consist of amino acids, and so were not used", coding.name
        )
        return None
