"""The shipped model says what it said: equal calls, numbers within a tolerance.

Where a change is meant, `python -m tests.golden.write` writes the expected results anew.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import pytest

from glm_annot.io.table import COLUMNS
from tests.golden.runs import CONTIG_TABLE, EXAMPLE_GFF3, EXAMPLE_TABLE, annotate_contig, annotate_example

# Between CPUs and versions of PyTorch numbers differ by 0.0002 at most, percentiles by 0.1.
TOLERANCE = 0.01  # of probabilities
TOLERANCE_PERCENTILE = 1.0
PERCENTILES = {"context_fit", "glm_context_fit"}
TABLE_NUMBERS = {name for name in COLUMNS if name.startswith("prob_") or name.endswith("_confidence")}
UNSTABLE = {  # the likeliest numbers, whatever their confidence: among unlikely ones the order is chance
    "ec_candidates",
    "ec_candidates_confidence",
}
# The comment names the model and its settings; `sha256` changes with a model's card, too.
COMMENT = "# glm-annot: "


@pytest.mark.versions
def test_example(tmp_path: Path) -> None:
    annotated, table = annotate_example(tmp_path)
    assert differences(dict(_gff3_rows(EXAMPLE_GFF3)), dict(_gff3_rows(annotated))) == []
    assert differences(dict(_table_rows(EXAMPLE_TABLE)), dict(_table_rows(table))) == []


def test_whole_contig(tmp_path: Path) -> None:
    table = annotate_contig(tmp_path)
    expected = dict(_table_rows(CONTIG_TABLE))
    assert len(expected) == 404
    assert differences(expected, dict(_table_rows(table))) == []


def test_a_difference_is_seen() -> None:
    expected = {
        "gene_1": {"glm_ec": "2.7.1.2", "glm_ec_confidence": "0.981,0.700", "glm_context_fit": "50.0"}
    }
    same = {"gene_1": {"glm_ec": "2.7.1.2", "glm_ec_confidence": "0.975,0.700", "glm_context_fit": "50.9"}}
    assert differences(expected, same) == []
    for name, value in (
        ("glm_ec", "2.7.1.-"),
        ("glm_ec_confidence", "0.981,0.720"),
        ("glm_ec_confidence", "0.981"),
        ("glm_context_fit", "52.0"),
    ):
        other = {"gene_1": {**same["gene_1"], name: value}}
        assert differences(expected, other) == [f"gene_1 {name}: {expected['gene_1'][name]} -> {value}"]
    assert differences(expected, {}) == ["gene_1: missing"]
    assert differences({}, expected) == ["gene_1: new"]


Rows = Mapping[str, Mapping[str, str]]


def differences(expected: Rows, found: Rows) -> list[str]:
    """What differs by more than the tolerance, one line each: 'gene_1 glm_ec: 2.7.1.2 -> 2.7.1.-'."""
    lines = [f"{row}: missing" for row in expected if row not in found]
    lines += [f"{row}: new" for row in found if row not in expected]
    for row in expected:
        if row in found:
            before, after = expected[row], found[row]
            names = [*before, *(name for name in after if name not in before)]
            lines += [
                f"{row} {name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
                for name in names
                if not _alike(name, before.get(name), after.get(name))
            ]
    return lines


def _alike(name: str, expected: str | None, found: str | None) -> bool:
    is_number = name in PERCENTILES or name == "score" or name in TABLE_NUMBERS or name.endswith("confidence")
    if not is_number or not expected or not found:
        return expected == found
    pairs = expected.split(","), found.split(",")
    tolerance = TOLERANCE_PERCENTILE if name in PERCENTILES else TOLERANCE
    return len(pairs[0]) == len(pairs[1]) and all(
        abs(float(a) - float(b)) <= tolerance for a, b in zip(*pairs, strict=True)
    )


def _table_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table of results by the gene's ID, without the columns that chance decides."""
    with path.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            yield row["id"], {name: value for name, value in row.items() if name not in UNSTABLE}


def _gff3_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The features of a GFF3 by ID: their score, '' for '.', and their attributes."""
    for line in path.read_text(encoding="utf-8").split("##FASTA")[0].splitlines():
        if line.startswith("#"):
            if line.startswith(COMMENT):
                settings = dict(part.split("=", 1) for part in line.removeprefix(COMMENT).split("; "))
                del settings["sha256"]
                yield "comment", settings
            continue
        columns = line.split("\t")
        attributes = dict(part.split("=", 1) for part in columns[8].split(";"))
        place = " ".join((columns[0], *columns[1:5], *columns[6:8]))
        yield unquote(attributes["ID"]), {"place": place, "score": columns[5].strip("."), **attributes}
