"""What annotated genomes and labelled proteins call the families, and which families have one name.

Facts are kept by source, as they were read: whoever judges a genome can leave out what that genome itself
said. A family's symbol, product and EC number are each what at least `AGREEMENT` of its members that have one
share; where they differ, it has none. Products that differ may still agree on a broader one, the end that
they share: those of ribose and of maltose are both `ABC transporter ATP-binding protein`.

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
_OWN_SYMBOL = re.compile(r"\s+[A-Z][a-z]{2}[A-Z0-9]\w{0,3}$")  # '... ATP-binding protein RbsA'
_HEAD_BEFORE = re.compile(r"\s(?:of|for|in|from|with)\s")  # 'modulator of FtsH protease' is no protease
# Words that go on from others before them, and words that do not say what a protein is.
_GOES_ON = (
    r"activating|and|associated|cluster|component|dependent|domain|family|ii|iii|iv|like|protein|related|"
    r"specific|subunit|type|with"
)
_BARE = (
    r"alpha|assembly|atp|beta|binding|chain|delta|enzyme|epsilon|factor|gamma|ii[abcd]|inner|large|membrane|"
    r"outer|precursor|proteins|small|subunits|system|transport|\d+|.{1,2}"
)
_NO_START, _SAYS_NOTHING = re.compile(_GOES_ON), re.compile(rf"{_GOES_ON}|{_BARE}")


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

    `members` of the family say so, in so many `sources`. A `broad` product is the end that theirs share.
    """

    symbol: str = ""
    product: str = ""
    ec: str = ""
    members: int = 0
    sources: int = 0
    broad: bool = False

    @property
    def keys(self) -> tuple[str, str, str]:
        """By what families of one name are told, in the order of the kinds: '' for none."""
        return _keys(self)

    def says(self, symbol: str, product: str, ec: Collection[str]) -> bool:
        """Whether a protein of this symbol, product ('' for none) and EC numbers is called right by it."""
        own_symbol, own_product, number = self.keys
        given = _letters(product)
        same = given == own_product or (self.broad and own_product in map(_letters, _ends(product)))
        return bool(
            (own_symbol and own_symbol == symbol.lower())
            or (own_product and same)
            or (number and number in ec)
        )


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
    broader = "" if product else _broader(facts)
    name = FamilyName(symbol, product or broader, ec, broad=bool(broader))
    agreeing = [fact for fact in facts if name.says(fact.symbol, fact.product, [fact.ec])]
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


def _broader(facts: Sequence[Fact]) -> str:
    """The longest end that enough products share, as it is spelled most often; '' if it says nothing."""
    ends: dict[str, Counter[str]] = {}
    total = 0
    for fact in facts:
        total += fact.members if fact.product else 0
        for end in _ends(fact.product):
            ends.setdefault(_letters(end), Counter())[end] += fact.members
    shared = [key for key, spelled in ends.items() if spelled.total() >= AGREEMENT * total]
    key = max(shared, key=lambda key: (len(key), key), default="")
    return min(ends[key].items(), key=lambda item: (-item[1], item[0]))[0] if key else ""


def _ends(product: str) -> list[str]:
    """What a product may be called more broadly: its last words, two or more, that say what it is."""
    words = _OWN_SYMBOL.sub("", product).split()
    head = _HEAD_BEFORE.split(" ".join(words))[0].split()
    ends = (" ".join(words[at:]) for at in range(len(head)))
    return [end for end in ends if _tells(end)]


def _tells(end: str) -> bool:
    """Whether the last words of a product say what it is."""
    words = _letters(end).split()
    if len(words) < 2 or not end[0].isalnum() or _NO_START.fullmatch(words[0]) or _VAGUE.search(end):
        return False
    return not all(map(_SAYS_NOTHING.fullmatch, words))


def _letters(product: str) -> str:
    """A product's letters and digits alone, in lower case."""
    return re.sub(r"[^a-z0-9]+", " ", product.lower()).strip()
