"""Files made so that reading them takes long: time grows as the file does."""

from __future__ import annotations

import json
import random
import re
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glm_annot.io as annotation_io
from glm_annot.errors import InputError
from glm_annot.io import parts
from glm_annot.io.gff3 import features
from glm_annot.io.gff3.lines import Row
from glm_annot.records import Skip
from tests.hostile import growth
from tests.support.fakes import fake_predictions
from tests.support.made_genomes import ancestors, bakta_document, genbank, make_genome
from tests.support.tiny import made_gff3

MADE = made_gff3(6)
HEAD, BODY = MADE.split("\n", 2)[:2], MADE.split("\n", 2)[2]
CDS = next(line for line in MADE.splitlines() if "\tCDS\t" in line)


def with_lines(lines: Sequence[str]) -> bytes:
    return "\n".join([*HEAD, *lines, BODY]).encode()


def cds(number: int, attributes: str) -> str:
    columns = CDS.split("\t")
    return "\t".join([*columns[:3], str(1 + number), str(61 + number), *columns[5:8], attributes])


def round_trip(text: bytes, path: Path) -> int:
    """Read, write, strip; returns the number of CDS."""
    path.write_bytes(text)
    genome = annotation_io.read(path)
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text
    return len(list(genome.genes))


# ---- CDS lines of one name ----


def naive(residues: Sequence[str]) -> list[list[str]]:
    """`whole_genes` by its definition, reading each prefix anew."""
    if "*" not in "".join(residues)[:-1]:
        return [list(residues)]
    genes: list[list[str]] = [[]]
    for part in residues:
        genes[-1].append(part)
        read = "".join(genes[-1])
        if read.endswith("*") and "*" not in read[:-1]:
            genes.append([])
    return [gene for gene in genes if gene]


@given(st.lists(st.text("A*", min_size=1, max_size=4), min_size=1, max_size=12))
def test_parts_of_a_name_are_the_genes_that_their_stops_end(residues: list[str]) -> None:
    assert parts.whole_genes(residues, "".join) == naive(residues)


def test_many_parts_are_read_a_few_times_each() -> None:
    residues, lengths = ["A"] * 5000 + ["*"] + ["A"] * 5000, list[int]()

    def read(some: Sequence[str]) -> str:
        lengths.append(len(some))
        return "".join(some)

    assert [len(gene) for gene in parts.whole_genes(residues, read)] == [5001, 5000]
    assert sum(lengths) < 30 * len(residues)


ROWS = st.lists(
    st.builds(
        lambda tag, gene, skip: Row(
            0, "c", "CDS", 1, 9, 1, 0, {"locus_tag": [tag], "gene": [gene]}, Skip.OUTSIDE if skip else None
        ),
        st.sampled_from(["", "t1", "t2", "t3"]),
        st.sampled_from(["", "a", "b"]),
        st.booleans(),
    ),
    max_size=9,
)


@given(ROWS)
def test_genes_of_one_id_are_told_apart_by_their_names(rows: list[Row]) -> None:
    """By definition a row joins the first group with none of whose rows it disagrees."""

    def may_be_one(a: Row, b: Row) -> bool:
        names = [(a.attributes[name][0], b.attributes[name][0]) for name in ("locus_tag", "gene")]
        return not (a.skip or b.skip) and all(not x or not y or x == y for x, y in names)

    expected: list[list[Row]] = []
    for row in rows:
        group = next((g for g in expected if all(may_be_one(other, row) for other in g)), None)
        if group is None:
            expected.append([row])
        else:
            group.append(row)
    assert features._alike(rows) == expected


def test_a_long_chain_of_parents_is_followed_a_few_steps(tmp_path: Path) -> None:
    chain = [f"contig_1\tm\tgene\t1\t9\t.\t+\t.\tID=g{n};Parent=g{n + 1}" for n in range(1200, 0, -1)]
    assert round_trip(with_lines([*chain, cds(0, "ID=x;Parent=g1")]), tmp_path / "x.gff3") == 7


def test_many_promoted_numbers_are_taken_out_again() -> None:
    """A pass over the values for each number would take minutes."""
    genome = annotation_io.read(Path(__file__).parent / "data" / "gff3" / "bakta.gff3")
    text = annotation_io.render(genome, fake_predictions(genome, operons=False)).decode()
    values = range(20_000)
    notes, names = (",".join(f"{before}{n}" for n in values) for before in ("n", "Note:n"))
    many = text.replace(";glm_", f";Note={notes},mine;glm_promoted={names};glm_", 1)
    original = text.replace(";glm_", ";Note=mine;glm_", 1)
    assert annotation_io.strip(many.encode()) == annotation_io.strip(original.encode())


# ---- CDS upon each other ----


def overlapping(coding: int) -> dict[str, bytes]:
    """Files of each format whose CDS cover one contig so many times."""
    made = make_genome("Made up", ancestors(2), seed=1)
    name, size = made.contig, len(made.dna)
    lines = [f"{name}\tm\tCDS\t1\t{size}\t.\t+\t0\tID=c{n}" for n in range(coding)]
    document = bakta_document(made)
    document["features"] = [
        {"type": "cds", "sequence": name, "start": 1, "stop": size, "strand": "+", "locus": f"c{n}"}
        for n in range(coding)
    ]
    table = "".join(
        f'     CDS             1..{size}\n                     /locus_tag="c{n}"\n' for n in range(coding)
    )
    flat = re.sub(r"(?s)     CDS .*?(?=ORIGIN)", lambda _: table, genbank(made), count=1)
    return {
        "gff3": "\n".join(["##gff-version 3", *lines, "##FASTA", f">{name}", made.dna, ""]).encode(),
        "genbank": flat.encode(),
        "bakta": json.dumps(document).encode(),
    }


@pytest.mark.parametrize("format", ["gff3", "genbank", "bakta"])
def test_cds_that_cover_their_contig_many_times_are_refused(
    format: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "in"
    monkeypatch.setattr(parts, "LEAST_CODING", 100)
    path.write_bytes(overlapping(10)[format])
    with pytest.raises(InputError, match="stop codons inside"):  # it is read
        annotation_io.read(path)
    path.write_bytes(overlapping(11)[format])
    with pytest.raises(InputError, match="more than 10 times those of its contigs"):
        annotation_io.read(path)


# ---- all kinds of lines ----


@pytest.mark.parametrize("kind", [name for name in growth.kinds() if re.search("blank|comment|space", name)])
def test_lines_that_say_nothing_take_little_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_text(growth.kinds()[kind](50_000), encoding="utf-8")
    growth.round_trip(path)  # loads what is loaded once
    tracemalloc.start()
    growth.round_trip(path)
    assert tracemalloc.get_traced_memory()[1] < 25 * path.stat().st_size
    tracemalloc.stop()


# ---- other formats' own ----


@pytest.mark.parametrize("value", ["[" * 10**5, "9" * 5000])
def test_json_that_python_does_not_read_is_damaged(value: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"features": [], "sequences": ' + value)
    with pytest.raises(InputError, match="this JSON is damaged"):
        annotation_io.read(path)


def test_values_of_unexpected_kinds_are_no_traceback(tmp_path: Path) -> None:
    made = make_genome("Made up", ancestors(4), seed=1)
    document, rng = bakta_document(made), random.Random(0)
    for feature in document["features"][1:]:
        for key in ("strand", "gene", "product", "db_xrefs", "aa", "id", "locus"):
            feature[key] = rng.choice([[], {}, 1, None, ["\ud800"], True])
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    try:
        annotation_io.read(path)
    except InputError as error:
        assert "\n" not in str(error)


def test_a_mark_in_the_middle_is_a_second_file(tmp_path: Path) -> None:
    path = tmp_path / "x.gff3"
    path.write_bytes(b"##gff-version 3\n" + CDS.encode() + b"\n\xef\xbb\xbf##gff-version 3\n" + CDS.encode())
    with pytest.raises(InputError, match="line 3: a byte order mark in the middle"):
        annotation_io.read(path)
