"""Bakta's JSON: text -> Genome. `patch` writes predictions back.

Bakta's features of type `cds` and `sorf` are the CDS of its GFF3 and GenBank files. Which contig they lie on
says `sequence`, before version 1.10 `contig`. EC numbers stand in `db_xrefs`, all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from json import JSONDecodeError
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.bakta_json.text import OURS, Item, decoded, document_start, items, members
from glm_annot.io.oddities import Oddities
from glm_annot.io.parts import check_overlap, check_usable, without_repeats, without_sequence
from glm_annot.io.proteins import Coding, Proteins
from glm_annot.io.sequences import DEFAULT_CODE, Sequences, as_dna, genetic_code, splice
from glm_annot.io.source import read_bytes
from glm_annot.records import Contig, Gene, Genome, Skip, Source

log = logging.getLogger(__name__)

_MOST = 10**18  # a position is below it
_CODING = ("cds", "sorf")
_STRANDS = {"+": 1, "-": -1}  # `?` where there is none
_RECODED = {"selenocysteine": {"TGA": "U"}, "pyrrolysine": {"TAG": "O"}}  # types of `exception`


class Details(TypedDict):
    """What Bakta's JSON says beyond its other files, as `Sequences` has it."""

    ec: Mapping[str, tuple[str, ...]]
    code: int


def details(path: Path) -> Details:
    """All EC numbers of the CDS, by locus tag, and the genetic code.

    Raises:
        InputError: as for `parse`.
    """
    document = _document(str(path), read_bytes(path))
    found = {str(item.content.get("locus") or ""): _ec(item.content) for _, item in document.coding}
    return Details(
        ec={name: numbers for name, numbers in found.items() if name and numbers}, code=document.code
    )


def parse(source_path: str, text: bytes, sequences: Sequences) -> Genome:
    """Read Bakta's JSON. Contigs without any CDS are left out.

    Args:
        source_path: where it came from, for messages; `-` for standard input.
        text: the decompressed file, without our additions.
        sequences: contigs (by id) and proteins (by locus tag or id) given beside it; they go first.

    Raises:
        InputError: naming the file and, where there is one, the line.
    """
    document = _document(source_path, text)
    if left := document.unaccounted:
        raise InputError(q.not_ours("this object has"), source_path, document.line(left))
    return _Reader(document, sequences).genome(text)


def outline(file: BinaryIO, path: str) -> list[Contig]:
    """The contigs of a file without their genes and sequences; errors as `parse`."""
    replicons = _document(path, file.read()).replicons
    return [Contig(name, found.length, found.circular, ()) for name, found in replicons.items()]


def _document(path: str, text: bytes) -> _Document:
    try:
        return _Document(path, decoded(text))
    except JSONDecodeError as error:
        ends = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
        what = "it stops too early" if ends else error.msg
        raise InputError(
            f"this JSON is damaged ({what}); fetch or copy the file again", path, error.lineno
        ) from error


class _Document:
    """What the file holds.

    Attributes:
        replicons: its contigs, by name.
        coding: the CDS, each with its place among all features.
        code: the genetic code of all CDS.
        unaccounted: what is called as our additions are, in a text from which ours have been taken out.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path, self._text = path, text
        self._counted = 0, 1  # a place in the text, and its line
        whole = {member.key: member for member in members(text, document_start(text))}
        genome, found = self._content(whole, "genome", dict), whole.get("features")
        if found is None or not isinstance(found.content, list):
            raise InputError("this JSON has no list of features; give Bakta's own .json file", path)
        stated = genome.get("translation_table")
        self.code = genetic_code(str(stated or DEFAULT_CODE), path)
        self.replicons = self._replicons(self._content(whole, "sequences", list))
        features = [
            (place, item)
            for place, item in enumerate(items(text, found.value))
            if isinstance(item.content, dict)
        ]
        self.coding = [(place, item) for place, item in features if item.content.get("type") in _CODING]
        named_so = (item for _, item in features if OURS in item.content)
        self.unaccounted = whole.get(OURS) or next(named_so, None)

    def line(self, item: Item) -> int:
        """The 1-based line that an item begins on."""
        start, line = self._counted if item.start >= self._counted[0] else (0, 1)
        line += self._text.count("\n", start, item.start)
        self._counted = item.start, line
        return line

    def _content(self, whole: Mapping[str, Item], key: str, kind: type) -> Any:
        member = whole.get(key)
        return member.content if member is not None and isinstance(member.content, kind) else kind()

    def _replicons(self, listed: Sequence[Any]) -> dict[str, _Replicon]:
        found: dict[str, _Replicon] = {}
        for entry in listed:
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                raise InputError(
                    "a sequence without an id in this JSON; give Bakta's own .json file", self.path
                )
            dna = str(entry.get("nt") or entry.get("sequence") or "").upper()  # before 1.10: sequence
            length = entry.get("length")
            length = length if _is_whole(length) else len(dna) or None
            if dna and len(dna) != length:
                raise InputError(
                    f"this JSON says {length} bp but has {len(dna)} for {entry['id']}; fetch or copy the "
                    "file again",
                    self.path,
                )
            circular = entry.get("topology") == "circular"
            names = [entry["id"], *(str(entry[k]) for k in ("orig_id", "simple_id") if entry.get(k))]
            found[entry["id"]] = _Replicon(length, circular, dna, tuple(names))
        return found


@dataclass(frozen=True, slots=True)
class _Replicon:
    """A contig: `names` that a FASTA file may know it by, its own first."""

    length: int | None
    circular: bool
    dna: str
    names: tuple[str, ...]


class _Reader:
    """Turns a document into a genome."""

    def __init__(self, document: _Document, sequences: Sequences) -> None:
        self._document, self._sequences = document, sequences
        self._oddities = Oddities(document.path)
        self._replicons = dict(document.replicons)
        self._dna = {name: self._bases(name, replicon) for name, replicon in self._replicons.items()}

    def genome(self, text: bytes) -> Genome:
        """The whole of it."""
        document, sequences = self._document, self._sequences
        coding = document.coding
        placed = [self._gene(index, item) for index, (_, item) in enumerate(coding)]
        sizes = {name: len(bases) for name, bases in self._dna.items()}
        parts = (((gene.start, gene.end), sizes.get(gene.contig, 0)) for gene in placed)
        check_overlap(parts, sizes.values(), document.path)
        codings = [self._coding(item.content, gene) for (_, item), gene in zip(coding, placed, strict=True)]
        proteins = Proteins(document.path, self._oddities, code=sequences.chosen_code)
        admitted = proteins.of(codings)
        genes = [
            replace(gene, protein=protein, skip=skip)
            for gene, (protein, skip) in zip(placed, admitted, strict=True)
        ]
        genes = without_repeats(genes, self._oddities)
        without_sequence(genes, {name for name, bases in self._dna.items() if bases}, self._oddities)
        anchors = {i: (place,) for i, (place, _) in enumerate(coding)}
        source = Source(document.path, "bakta", text, anchors, genetic_code=sequences.chosen_code)
        genome = Genome(tuple(self._contigs(genes)), source)
        given_names = {name for replicon in self._replicons.values() for name in replicon.names}
        if sequences.contigs and not given_names & sequences.contigs.keys():
            raise sequences.no_contig_fits(next(iter(self._replicons), ""), document.path)
        check_usable(genome, sequences, document.path)
        if sequences.proteins and not any(said.given for said in codings):
            raise InputError(
                "no protein of the --faa file is named like the locus tag or id of a CDS; "
                "give the proteins of this annotation",
                document.path,
            )
        self._oddities.tell()
        proteins.finish()
        return genome

    def _contigs(self, genes: Sequence[Gene]) -> list[Contig]:
        by_contig: dict[str, list[Gene]] = {}
        for gene in sorted(genes, key=lambda gene: (gene.start, gene.end)):
            by_contig.setdefault(gene.contig, []).append(gene)
        return [
            Contig(name, replicon.length, replicon.circular, tuple(by_contig[name]), self._dna.get(name, ""))
            for name, replicon in self._replicons.items()
            if name in by_contig
        ]

    def _bases(self, name: str, replicon: _Replicon) -> str:
        """The sequence that `--fasta` gives, else the file's own."""
        given = next((s for n in replicon.names if (s := self._sequences.contigs.get(n))), "")
        if given and replicon.length and len(given) != replicon.length:
            raise InputError(
                f"the annotation says {replicon.length} bp but the FASTA file has {len(given)} for {name}; "
                "give the contigs of this annotation",
                self._document.path,
            )
        return as_dna(given or replicon.dna)

    def _gene(self, index: int, item: Item) -> Gene:
        """A CDS, as yet without its protein."""
        said = item.content
        start, stop = self._place(item)
        contig = str(said.get("sequence") or said.get("contig") or "")
        replicon = self._replicons.setdefault(contig, _Replicon(None, False, "", (contig,)))
        over = 0 < stop < start or (said.get("edge") is True and 0 < stop <= start)
        if over and replicon.length is None:
            raise InputError(
                f"this CDS starts at {start}, after its stop at {stop}, on a contig without a length; "
                "fetch or copy the file again",
                self._document.path,
                self._document.line(item),
            )
        end = stop + (replicon.length or 0) if over else stop
        strand = _STRANDS.get(str(said.get("strand")), 0)
        made = f"{contig}_{start}_{end}_{q.SIGNS[strand]}"
        return Gene(
            index=index,
            id=str(said.get("locus") or said.get("id") or made),
            contig=contig,
            start=start,
            end=end,
            strand=strand,
            locus_tag=str(said.get("locus") or ""),
            name=str(said.get("gene") or ""),
            product=str(said.get("product") or ""),
            ec=_ec(said),
        )

    def _place(self, item: Item) -> tuple[int, int]:
        """Its start and stop; both are 0 where it does not say one of them.

        Raises:
            InputError: they are no whole numbers.
        """
        start, stop = item.content.get("start"), item.content.get("stop")
        if start is None or stop is None:
            self._oddities.see("CDS without a start or a stop, skipped", f"line {self._document.line(item)}")
            return 0, 0
        if not all(isinstance(n, int) and not isinstance(n, bool) and abs(n) < _MOST for n in (start, stop)):
            raise InputError(
                f"start {start!r} and stop {stop!r} of this CDS must be whole numbers from 1 on",
                self._document.path,
                self._document.line(item),
            )
        return start, stop

    def _coding(self, said: Mapping[str, Any], gene: Gene) -> Coding:
        """What decides the protein of a CDS."""
        dna = self._dna.get(gene.contig, "")
        given = self._sequences.protein((gene.id, str(said.get("id") or "")))
        skip = self._skip(said, gene)
        exception = said.get("exception")
        kind = exception.get("type") if isinstance(exception, dict) else ""
        recoded = _RECODED.get(str(kind), {})
        own = str(said.get("nt") or "").upper()
        bases = splice(dna, [(gene.start, gene.end)], gene.strand) if dna and not skip else own
        return Coding(
            name=gene.id,
            dna="" if skip else as_dna(bases),
            code=self._document.code,
            recoded=recoded,
            stated=given or str(said.get("aa") or ""),
            given=given is not None,
            wins=given is not None and self._sequences.chosen,
            any_length=bool(kind),
            skip=skip,
        )

    def _skip(self, said: Mapping[str, Any], gene: Gene) -> Skip | None:
        if "pseudogene" in said or "truncated" in said:  # Bakta's GFF3 calls both pseudo
            return Skip.PSEUDOGENE
        if said.get("start") is None or said.get("stop") is None:
            return Skip.MALFORMED
        if gene.strand == 0:
            return Skip.NO_STRAND
        if gene.start < 1 or gene.end < 1:
            self._oddities.see(
                "CDS that begin before the first base of their contig, skipped",
                f"{gene.id}, {gene.start}..{gene.end}",
            )
            return Skip.OUTSIDE
        replicon = self._replicons[gene.contig]
        length = replicon.length
        if length is None or gene.end <= length or (replicon.circular and gene.start <= length):
            return None
        self._oddities.see(
            "CDS that reach past the end of their contig, skipped",
            f"{gene.id}, {gene.start}..{gene.end} of {length}",
        )
        return Skip.OUTSIDE


def _ec(said: Mapping[str, Any]) -> tuple[str, ...]:
    references = said.get("db_xrefs")
    listed = [str(reference) for reference in references] if isinstance(references, list) else []
    return q.existing_ec({"db_xref": listed})


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number < _MOST
