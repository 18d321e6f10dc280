"""What annotated genomes and labelled proteins call the families, and which families have one name.

Facts are kept by source, as they were read: whoever judges a genome can leave out what that genome itself
said. A family's symbol, product and EC number are each what at least `AGREEMENT` of its members that have one
share; where they differ, it has none.

A file of facts is tab-separated text: family, source, symbol, product, ec (one complete number), members.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from glm_annot.ec_numbers import is_complete, is_number
from glm_annot.errors import InputError
from glm_annot.hypothetical import is_hypothetical

AGREEMENT = 0.6  # share of the members with a symbol (product, number) that have the same
SYMBOL, PRODUCT, EC = range(3)  # the kinds of names
# Products that name a part of the protein, or a group too wide to say what it does.
_VAGUE = re.compile(
    r"domain[- ]containing protein|repeat[- ](?:containing )?protein|family protein$|^(?:\w+ )?protein$|"
    r"conserved protein|predicted protein|FIG\d",
    re.IGNORECASE,
)
# Genes that move: where they stand says little, so they get no name by their place.
_MOBILE = re.compile(
    r"transpos|integrase|phage|recombinase|insertion|\bIS\d|resolvase|retron|conjugat|plasmid|mobil|"
    r"restriction|toxin",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"\s*\((?:EC|TC)\b[^)]*\)", re.IGNORECASE)
_ORGANISM = re.compile(r"\s*\[[A-Z][a-z]+ [a-z][^\]]*\]$")  # '[Escherichia coli K-12]', as in NCBI's FASTA
_UNSURE = re.compile(r"\b(?:putative|probable|predicted|possible)\s+", re.IGNORECASE)
_SYMBOL = re.compile(r"[a-z]{2,4}[A-Z0-9]{0,3}")  # bacterial symbols as people write them: thrA, ftsZ
_IN_PRODUCT = re.compile(r"\b([A-Z][a-z]{2}[A-Z]\d?)$")  # a symbol at the end of a product: 'protein RecA'
_COPY = re.compile(r"_\d+$")  # Prokka numbers the genes of one symbol


@dataclass(frozen=True, slots=True)
class Fact:
    """What one source says of a family.

    Attributes:
        family: its number.
        source: the file, or the set of labelled proteins.
        symbol, product, ec: '' for none.
        members: of the family in this source that say just this.
    """

    family: int
    source: str
    symbol: str
    product: str
    ec: str
    members: int


@dataclass(frozen=True, slots=True)
class FamilyName:
    """What a family is called: symbol, product and complete EC number, '' where its members do not agree.

    `members` of the family say so, in so many `sources`.
    """

    symbol: str = ""
    product: str = ""
    ec: str = ""
    members: int = 0
    sources: int = 0

    @property
    def keys(self) -> tuple[str, str, str]:
        """By what families of one name are told, in the order of the kinds: '' for none."""
        return _keys(self)


def usable(symbol: str, product: str) -> tuple[str, str]:
    """Symbol and product of a protein as names of its family, '' for what is no name.

    Hypothetical and vague products are no names, and a gene that is called so has no symbol either; genes
    that move get none. EC numbers in brackets, organisms and words of doubt are cut off. A product that ends
    with the name of the protein gives the symbol where none is stated.
    """
    product = " ".join(_UNSURE.sub("", _BRACKETS.sub("", _ORGANISM.sub("", product))).split())
    if not product.isascii() or not product.isprintable():
        return "", ""
    symbol = _COPY.sub("", symbol)
    if is_hypothetical(product) or _VAGUE.search(product) or _MOBILE.search(product):
        return "", ""
    if not _SYMBOL.fullmatch(symbol):
        found = _IN_PRODUCT.search(product)
        symbol = found[1][0].lower() + found[1][1:] if found else ""
    return symbol, product


def names_of(facts: Iterable[Fact], without: Collection[str] = ()) -> dict[int, FamilyName]:
    """The families that have a name.

    Args:
        facts: of all sources.
        without: sources that are left out.
    """
    believed: dict[int, list[Fact]] = {}
    spelled: dict[str, Counter[str]] = {}
    for fact in facts:
        if fact.source not in without:
            believed.setdefault(fact.family, []).append(fact)
            for key, text in zip(_keys(fact), (fact.symbol, fact.product, fact.ec), strict=True):
                spelled.setdefault(key, Counter())[text] += fact.members
    found = ((family, _name(those, spelled)) for family, those in sorted(believed.items()))
    return {family: name for family, name in found if name.members}


def to_text(facts: Iterable[Fact]) -> str:
    """Facts as the text of a file."""
    rows = ["\t".join(field.name for field in fields(Fact))]
    rows += ["\t".join(map(str, astuple(fact))) for fact in facts]
    return "\n".join(rows) + "\n"


def from_text(text: str, path: str | Path) -> tuple[Fact, ...]:
    """Facts out of the text of a file.

    Raises:
        InputError: the text is no such file.
    """
    header, *rows = text.removesuffix("\n").split("\n")
    if header.split("\t") != [field.name for field in fields(Fact)]:
        raise InputError("is no table of family names", path)
    facts = []
    for number, row in enumerate(rows, start=2):
        cells = row.split("\t")
        try:
            family, source, symbol, product, ec, members = cells
            fact = Fact(int(family), source, symbol, product, ec, int(members))
        except ValueError:
            raise InputError(f"line {number} is no row of a table of family names", path) from None
        if fact.family < 0 or fact.members < 1 or (ec and not (is_number(ec) and is_complete(ec))):
            raise InputError(f"line {number} is no row of a table of family names", path)
        facts.append(fact)
    return tuple(facts)


def labels(names: Mapping[int, FamilyName], families: int) -> list[list[int]]:
    """For each kind of name a number for each family; families of one name share it, -1 without a name."""
    found = []
    for kind in (SYMBOL, PRODUCT, EC):
        numbered: dict[str, int] = {}
        column = [-1] * families
        for family, name in names.items():
            key = name.keys[kind]
            if key and family < families:
                column[family] = numbered.setdefault(key, len(numbered))
        found.append(column)
    return found


def _keys(said: Fact | FamilyName) -> tuple[str, str, str]:
    """By what equal names are told, in the order of the kinds: '' for none."""
    return said.symbol.lower(), _letters(said.product), said.ec


def _name(facts: Sequence[Fact], spelled: Mapping[str, Counter[str]]) -> FamilyName:
    """What the facts of one family agree on."""
    counters = (Counter[str](), Counter[str](), Counter[str]())
    for fact in facts:
        for counter, key in zip(counters, _keys(fact), strict=True):
            if key:
                counter[key] += fact.members
    symbol, product, ec = (_agreed(counter, spelled) for counter in counters)
    name = FamilyName(symbol, product, ec)
    agreed = [key for key in _keys(name) if key]
    agreeing = [fact for fact in facts if any(key in agreed for key in _keys(fact) if key)]
    return replace(
        name,
        members=sum(fact.members for fact in agreeing),
        sources=len({fact.source for fact in agreeing}),
    )


def _agreed(counter: Counter[str], spelled: Mapping[str, Counter[str]]) -> str:
    """What enough members share, as it is spelled most often; '' if they differ."""
    if not counter:
        return ""
    key, members = min(counter.items(), key=lambda item: (-item[1], item[0]))
    if members < AGREEMENT * counter.total():
        return ""
    return min(spelled[key].items(), key=lambda item: (-item[1], item[0]))[0]


def _letters(product: str) -> str:
    """A product's letters and digits alone, in lower case."""
    return re.sub(r"[^a-z0-9]+", " ", product.lower()).strip()
