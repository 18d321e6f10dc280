"""Proteins with known EC numbers: read, brought up to date, carried over to homologues.

Every reader takes the sequences that must not be trained on and leaves identical ones out, whatever their
source. Labels are carried over by DIAMOND from a labelled protein to one that shares half of its residues
over most of both (as the paper's MGYE-EC was made).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glm_annot.ec.reference import Reference
from glm_annot.ec_numbers import is_complete, is_number, lineage, number, sort_key
from glm_annot.ec_transferred import current
from glm_annot.io.sequences import clean_protein

from ..common.inputs import read_parquet
from ..common.tsv import read_tsv
from ..corpus import diamond
from ..corpus.tables import Tables

SURE_TRUST = 2  # last tier of numbers stated for the protein itself; a model may hold such proteins
MAX_TRUST = 3  # tier 4 came from searching by keyword: many, nearly identical, of few numbers
# Collections whose rows a model may hold, by how the names of their sources begin, and whose terms these rows
# have. CatPred's are BRENDA's (CC BY 4.0) or SABIO-RK's (non-commercial use), unsaid which. BiGG and gapseq
# have terms of their own.
_UNIPROT, _PDB = "UniProt, CC BY 4.0", "PDB, CC0"
FREE = {
    "CLEAN/": f"CLEAN ({_UNIPROT})",
    "CLEAN-Contact/": f"CLEAN-Contact ({_UNIPROT})",
    "prokka/": f"Prokka ({_UNIPROT})",
    "prokka-history/": f"Prokka ({_UNIPROT})",
    "DeepFRI/": f"DeepFRI ({_PDB})",
    "SOLVE-nonenzyme": f"SOLVE ({_UNIPROT})",
}
BY_ACCESSION = "+acc2ec"  # the end of other sources' names, for rows that got their numbers from UniProt
_JOINED = f"joined by accession ({_UNIPROT})"
MIN_IDENTITY, MIN_COVERAGE = 0.5, 0.8  # of a homologue that a label is carried over to
NON_ENZYMES = "SOLVE-nonenzyme"  # the only source that states that its proteins are no enzymes
_CURRENT = "current"
_MOVED = ("transferred", "deleted")  # such numbers, and what some sources call them instead of a name
_TRANSFERRED = re.compile(r"(?:transferred to|identical to|reinstated as) EC ([1-7]\.\d+\.\d+\.\d+)$")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A protein with a known answer.

    Attributes:
        sequence: amino acids.
        ec: its EC numbers, in the order of `sort_key`; none: it is known to be no enzyme.
        name: its accession, or the name of its row; '' for none.
        ships: whether a model may hold it: its labels are sure enough, and its terms allow it.
        collection: where it was found and whose terms it has; '' where those do not let a model hold it, and
            for a user's own.
    """

    sequence: str
    ec: tuple[str, ...]
    name: str = ""
    ships: bool = True
    collection: str = ""


def as_reference(proteins: Sequence[Labelled]) -> Reference:
    """The proteins to search for homologues."""
    rows = {protein.sequence: protein for protein in proteins}.values()
    return Reference(tuple(p.sequence for p in rows), tuple(p.ec for p in rows), tuple(p.name for p in rows))


def collections(proteins: Sequence[Labelled]) -> dict[str, int]:
    """How many distinct proteins come from each collection, the largest first."""
    rows = {protein.sequence: protein.collection or "others" for protein in proteins}
    return dict(Counter(rows.values()).most_common())


def read_updates(path: Path) -> dict[str, str]:
    """Read which EC numbers have moved to exactly one other, current number (ec_names.tsv)."""
    rows = [row for _, row in read_tsv(path, "ec", "status", "source", quotes=False)]
    current = {row["ec"] for row in rows if row["status"] == _CURRENT}
    moved = {}
    for row in rows:
        match = _TRANSFERRED.search(row["source"].rstrip(". "))
        if row["ec"] not in current and match and match[1] in current:
            moved[row["ec"]] = match[1]
    return moved


def read_names(path: Path) -> dict[str, str]:
    """Read the names of EC numbers and classes (ec_names.tsv); those of moved and deleted ones are left out.

    That of a class begins with those of the classes around it: 'Transferases: Acyltransferases'.
    """
    rows = [row for _, row in read_tsv(path, "ec", "name", "status", quotes=False)]
    named = {row["ec"]: " ".join(row["name"].split()) for row in rows if row["status"] not in _MOVED}
    return {
        text: name if is_complete(text) else ": ".join(_around(text, named))
        for text, name in named.items()
        if name and not name.lower().startswith(_MOVED)
    }


def _around(text: str, named: Mapping[str, str]) -> list[str]:
    """The names of a class and of those around it, the widest first."""
    return [name for node in lineage(text)[1:] if (name := named.get(number(node)))]


def numbers(text: str, updates: Mapping[str, str]) -> tuple[str, ...]:
    """The EC numbers of a ';'-separated list, brought up to date; what is no EC number is left out.

    `updates` come first, then what every list is brought up to date with (`glm_annot.ec_transferred`).

    A class prefix is left out beside a number that lies under it.
    """
    given = [number for number in map(str.strip, text.split(";")) if is_number(number)]
    found = {current(updates.get(number, number)) for number in given}
    stems = {number: number.replace(".-", "") + "." for number in found if not is_complete(number)}
    implied = {n for n, stem in stems.items() if any(m != n and m.startswith(stem) for m in found)}
    return tuple(sorted(found - implied, key=sort_key))


def read_labelled(
    path: Path,
    *,
    held_out: Collection[str],
    updates: Mapping[str, str],
    max_trust: int = MAX_TRUST,
) -> list[Labelled]:
    """Read labelled.parquet but for rows of less trust and held-out proteins.

    Args:
        path: the table (columns id, sequence, ec, trust, sources).
        held_out: sequences to leave out, as `clean_protein` gives them.
        updates: as `read_updates` gives them.
        max_trust: the last tier to read; 1 is the most trusted.
    """
    table = read_parquet(path, ["id", "sequence", "ec", "trust", "sources"])
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    found = (
        Labelled(clean_protein(s), numbers(ec, updates), name, bool(free) and trust <= SURE_TRUST, free)
        for name, s, ec, trust, sources in rows
        if trust <= max_trust
        for free in [collection_of(sources)]
    )
    return [protein for protein in found if protein.ec and protein.sequence not in held_out]


def collection_of(sources: str) -> str:
    """The first collection of a row's sources (';' between them) that lets a model hold it; '' for none."""
    named = sources.split(";")
    for start, collection in FREE.items():
        if any(source.startswith(start) for source in named):
            return collection
    return _JOINED if any(source.endswith(BY_ACCESSION) for source in named) else ""


def read_non_enzymes(path: Path, *, held_out: Collection[str], stated: bool = True) -> list[Labelled]:
    """Read the distinct proteins that are stated to be no enzymes (unlabelled_or_non_enzyme.tsv).

    Args:
        path: the table.
        held_out: sequences to leave out.
        stated: False reads those that merely carry no EC number, too.
    """
    chosen = {
        clean_protein(row["sequence"]): row
        for _, row in read_tsv(path, "id", "source", "sequence", quotes=False)
        if row["source"] == NON_ENZYMES or not stated
    }
    return [
        Labelled(sequence, (), row["id"], bool(free), free)
        for sequence, row in chosen.items()
        if sequence not in held_out
        for free in [collection_of(row["source"])]
    ]


def annotated(
    tables: Tables, genomes: Iterable[int], *, held_out: Collection[str], updates: Mapping[str, str]
) -> list[Labelled]:
    """The distinct proteins of a corpus's genomes with the EC numbers of their own annotation, () for none.

    A protein that occurs several times has the numbers of all its genes.

    Args:
        tables: the corpus.
        genomes: numbers of genomes whose annotation knows enzymes; elsewhere no EC means nothing.
        held_out, updates: as for `read_labelled`.
    """
    chosen = set(genomes)
    contigs = zip(tables.contigs["contig"].to_pylist(), tables.contigs["genome"].to_pylist(), strict=True)
    wanted = {contig for contig, genome in contigs if genome in chosen}
    texts: dict[int, set[str]] = {}
    columns = (tables.genes[name].to_pylist() for name in ("contig", "protein", "ec"))
    for contig, protein, ec in zip(*columns, strict=True):
        if contig in wanted:
            texts.setdefault(protein, set()).add(ec or "")
    sequences = tables.proteins["sequence"]
    found = (
        Labelled(clean_protein(sequences[protein].as_py()), numbers(";".join(ec), updates))
        for protein, ec in sorted(texts.items())
    )
    return [protein for protein in found if protein.sequence not in held_out]


def transfer(
    labelled: Sequence[Labelled], sequences: Sequence[str], *, held_out: Collection[str], threads: int = 1
) -> dict[int, int]:
    """Carry labels over to homologues.

    Args:
        labelled: proteins with EC numbers.
        sequences: proteins that may get one's label; held-out ones get none.
        held_out: sequences, as `clean_protein` gives them.
        threads: processor cores to use.

    Returns:
        position in `sequences` -> position in `labelled` of the protein whose label it gets.
    """
    allowed = [place for place, s in enumerate(sequences) if clean_protein(s) not in held_out]
    found = diamond.alike(
        (sequences[place] for place in allowed),
        (protein.sequence for protein in labelled),
        min_identity=MIN_IDENTITY,
        min_coverage=MIN_COVERAGE,
        threads=threads,
    )
    return {allowed[query]: target for query, target in found.items()}
