"""The table of results: one row per CDS of the file, predicted or not, in tab-separated columns.

`COLUMNS` explains them. A cell is empty where there is nothing to say; lists are separated by commas, names
by '; '. Python's csv and pandas read the cells back with their default settings for tab-separated text.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import TextIO

from glm_annot.ec_transferred import current
from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.records import Contig, Gene, GenePrediction, Genome, Predictions, Skip

COLUMNS = {
    "contig": "name of the contig",
    "start": "first base, 1-based, at most end; 0, as end, where the file does not say",
    "end": "last base; beyond the contig's length for a CDS over the origin of a circular contig",
    "strand": "+ or -; . where the file gives none",
    "locus_tag": "as annotated",
    "id": "the feature's ID in the file, or one made of its location",
    "gene": "gene symbol as annotated",
    "product": "as annotated",
    "ec_existing": "EC numbers that the file already carries",
    "ec_passed": "the result: EC numbers and classes (2.7.1.-) at or above the threshold",
    "ec_passed_confidence": "calibrated probability of each number in ec_passed, same order",
    "ec_name": "name of each number in ec_passed, same order, separated by '; '",
    "ec_agreement": "ec_passed against ec_existing: same, prefix, conflict, new, missed or empty",
    "ec_candidates": "the three most likely complete EC numbers, whatever their confidence: no result",
    "ec_candidates_confidence": "calibrated probability of each number in ec_candidates, same order",
    "operon": "ID of the operon; none for a gene that stands alone",
    "operon_position": "position in the operon in order of transcription, from 1",
    "operon_confidence": "probability of the operon's weakest link",
    "prob_pair_prev": "probability of sharing an operon with the coding gene before it on the contig",
    "prob_pair_next": "probability of sharing an operon with the coding gene after it on the contig",
    "enzyme_confidence": "calibrated probability that the protein is an enzyme at all",
    "context_fit": "percentile (0-100) of how much likelier the gene is beside its neighbours than "
    "anywhere; empty for a gene that is not surely of a known family",
    "context_confidence": "probability of what the neighbours make likeliest at this place (models without "
    "a memory: the likelihood of gLM's favoured prediction)",
    "context_family": "number of the gene's own family in the model; empty for a gene of none",
    "context_expected_family": "number of the family that the neighbours alone expect here, if "
    "context_confidence is 0.1 or more",
    "context_expected": "name of that family, where it has one",
    "context_expected_ec": "EC number of that family, where it has one",
    "context_name": "name by the neighbours and the protein together: a hint, and no result",
    "context_name_confidence": "calibrated probability of context_name",
    "context_ec": "EC number by the neighbours and the protein together: a hint, and no result",
    "context_ec_confidence": "calibrated probability of context_ec",
    "context_genera": "genera with the family of context_name at this place / all in which two neighbours "
    "or more stand alike; genera are told by their genes",
    "context_neighbours": "named genes that stand beside this gene's family elsewhere, with the genera where "
    "they do / those that have the family",
    "context_note": "'unexpected here' where the neighbours are sure of another family than the gene's",
    "evidence": "what says most for ec_passed's first number (homology, kmer, encoder, context, neighbours); "
    "then the nearest labelled protein that has it: accession:identity:coverage, in percent",
    "skip": "why there is no prediction: " + ", ".join(reason.value for reason in Skip),
}

WHOLE_NUMBERS = ("start", "end", "operon_position", "context_family", "context_expected_family")
# Columns that hold one number with a fraction, and how many decimals it is written with.
DECIMALS = {
    "operon_confidence": 4,
    "prob_pair_prev": 4,
    "prob_pair_next": 4,
    "enzyme_confidence": 4,
    "context_fit": 1,
    "context_confidence": 4,
    "context_name_confidence": 4,
    "context_ec_confidence": 4,
}
# Columns that an annotated file tells, too, and the attribute that does.
_TOLD = {
    "ec_passed": q.EC,
    "ec_passed_confidence": q.EC_CONFIDENCE,
    "evidence": q.EVIDENCE,
    "enzyme_confidence": q.ENZYME_CONFIDENCE,
    "context_fit": q.CONTEXT_FIT,
    "context_name": q.CONTEXT_NAME,
    "context_name_confidence": q.CONTEXT_CONFIDENCE,
    "context_ec": q.CONTEXT_EC,
    "context_ec_confidence": q.CONTEXT_EC_CONFIDENCE,
    "context_genera": q.CONTEXT_GENERA,
    "context_neighbours": q.CONTEXT_NEIGHBOURS,
    "operon": q.OPERON,
    "operon_confidence": q.OPERON_CONFIDENCE,
}
_PLACE = ("contig", "start", "end", "strand")  # what every table of ours has
_FREE_TEXT = (
    *("locus_tag", "id", "gene", "product", "ec_name"),
    *("context_expected", "context_name", "context_neighbours"),
)
_FORMULA = tuple("=+-@")  # a cell that begins so is a formula to spreadsheets
_QUOTED = re.compile(r'["\t\r\n]')
# Breaks of lines among them, and halves of characters, which JSON may hold and UTF-8 may not.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Agreement(str, Enum):
    """How predicted EC numbers compare with those the file has. The value is what the table prints."""

    SAME = "same"  # one number at least is in both
    PREFIX = "prefix"  # no number is in both, but a class in one holds a number of the other
    CONFLICT = "conflict"  # both have numbers, and none of them go together
    NEW = "new"  # only predicted
    MISSED = "missed"  # only in the file
    NONE = ""  # neither


def agreement(existing: Iterable[str], predicted: Iterable[str]) -> Agreement:
    """Compare the EC numbers of a file with the predicted ones that passed the threshold.

    A number that was transferred is the same as the one that it was transferred to.
    """
    old, new = set(map(current, existing)), set(map(current, predicted))
    if not old or not new:
        return Agreement.MISSED if old else Agreement.NEW if new else Agreement.NONE
    if old & new:
        return Agreement.SAME
    nested = any(q.is_ec_prefix(a, b) or q.is_ec_prefix(b, a) for a in old for b in new)
    return Agreement.PREFIX if nested else Agreement.CONFLICT


def write_table(genome: Genome, predictions: Predictions, stream: TextIO) -> None:
    """Write the table: a plain header line, then one row for every CDS, contig by contig along the genome."""
    write_header(stream)
    write_rows(genome, predictions, stream)


def write_header(stream: TextIO) -> None:
    """Write the names of the columns."""
    stream.write("\t".join(COLUMNS) + "\n")


def write_rows(genome: Genome, predictions: Predictions, stream: TextIO) -> None:
    """Write the rows of a genome, or of a section of one."""
    for cells in table_rows(genome, predictions):
        cells |= {name: _no_formula(cells[name]) for name in _FREE_TEXT}
        stream.write("\t".join(map(_quoted, cells.values())) + "\n")


def table_rows(genome: Genome, predictions: Predictions) -> Iterator[dict[str, str]]:
    """The rows of a genome, or of a section of one: all columns, in their order, without any quotation.

    A cell is '' where there is nothing to say.
    """
    members = q.memberships(predictions)
    for contig in genome.contigs:
        links = _links(contig, predictions)
        for gene in contig.genes:
            cells = _gene_cells(gene)
            prediction = predictions.genes.get(gene.index)
            if prediction is None and gene.skip is None:
                cells["skip"] = Skip.NAMED.value
            if prediction is not None:
                cells |= _ec_cells(gene, prediction, predictions.ec_names) | _context_cells(prediction)
                cells |= _operon_cells(gene, predictions, members) | links[gene.index]
            yield {name: cells.get(name, "") for name in COLUMNS}


def told_rows(genome: Genome, tags: Mapping[int, Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """The rows of a genome as far as an annotated file tells them.

    Args:
        genome: the file without our additions.
        tags: what our attributes say of the genes, by `Gene.index` and name.
    """
    places = _operon_places(genome, tags)
    for gene in genome.genes:
        cells, said = _gene_cells(gene), tags.get(gene.index, {})
        cells |= {column: said[name] for column, name in _TOLD.items() if name in said}
        if q.ENZYME_CONFIDENCE in said:
            cells["ec_agreement"] = agreement(gene.ec, q.listed(said.get(q.EC, ""))).value
        if gene.index in places:
            cells["operon_position"] = str(places[gene.index])
        yield {name: cells.get(name, "") for name in COLUMNS}


def _operon_places(genome: Genome, tags: Mapping[int, Mapping[str, str]]) -> dict[int, int]:
    """Gene index -> position in its operon in order of transcription, from 1."""
    members: defaultdict[str, list[Gene]] = defaultdict(list)
    for gene in genome.genes:
        if (operon := tags.get(gene.index, {}).get(q.OPERON, q.NO_OPERON)) != q.NO_OPERON:
            members[operon].append(gene)
    ordered = (genes if genes[0].strand == 1 else genes[::-1] for genes in members.values())
    return {gene.index: place for genes in ordered for place, gene in enumerate(genes, start=1)}


def is_whole_table(text: bytes) -> bool:
    """Whether a text is a table as `write_table` writes it, down to the end of its last row."""
    stream = StringIO(text.decode("utf-8", errors="replace"), newline="")
    try:
        header, *rows = csv.reader(stream, delimiter="\t", strict=True)
    except (csv.Error, ValueError):  # it ends within quotes, or is empty
        return False
    return header == list(COLUMNS) and text.endswith(b"\n") and {*map(len, rows)} <= {len(COLUMNS)}


def read_rows(stream: TextIO, path: str | Path) -> Iterator[dict[str, str]]:
    """The rows of a table that `write_table` wrote, with its columns, which need not be all of `COLUMNS`.

    Args:
        stream: opened with `newline=""`.
        path: where it came from, for messages.

    Raises:
        InputError: no such table, or one that is cut short.
    """
    rows = csv.reader(stream, delimiter="\t", strict=True)
    try:
        header = next(rows, [])
        if not set(_PLACE) <= set(header):
            raise InputError("this is no table of glm-annot; name the .tsv that it wrote", path)
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise InputError(f"{len(row)} cells where the table has {len(header)} columns", path, number)
            cells = dict(zip(header, row, strict=True))
            yield cells | {name: _formula(cells[name]) for name in _FREE_TEXT if name in cells}
    except csv.Error as error:
        raise InputError(f"this table is damaged or cut short ({error}); make it anew", path) from error


def _formula(value: str) -> str:
    """The value without what `_no_formula` puts before it."""
    return value[1:] if value.startswith("'") and value[1:].startswith(_FORMULA) else value


def _no_formula(value: str) -> str:
    """The value with a `'` before what a spreadsheet would take for the beginning of a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def _quoted(value: str) -> str:
    r"""A cell: control characters as \x1b, quotes around a value that holds a quote, a tab or a line end."""
    value = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], value)
    return '"' + value.replace('"', '""') + '"' if _QUOTED.search(value) else value


_Cells = dict[str, str]


def _gene_cells(gene: Gene) -> _Cells:
    return {
        "contig": gene.contig,
        "start": str(gene.start),
        "end": str(gene.end),
        "strand": q.SIGNS[gene.strand],
        "locus_tag": gene.locus_tag,
        "id": gene.id,
        "gene": gene.name,
        "product": gene.product,
        "ec_existing": ",".join(gene.ec),
        "skip": gene.skip.value if gene.skip else "",
    }


def _ec_cells(gene: Gene, prediction: GenePrediction, names: Mapping[str, str]) -> _Cells:
    if prediction.enzyme is None:  # EC was not asked for
        return {}
    passed = [call.number for call in prediction.ec]
    return {
        "ec_passed": ",".join(passed),
        "ec_passed_confidence": ",".join(_number(call.confidence) for call in prediction.ec),
        "ec_name": "; ".join(names.get(number, "") for number in passed) if names else "",
        "ec_agreement": agreement(gene.ec, passed).value,
        "ec_candidates": ",".join(call.number for call in prediction.ec_top),
        "ec_candidates_confidence": ",".join(_number(call.confidence) for call in prediction.ec_top),
        "enzyme_confidence": _number(prediction.enzyme),
        "evidence": prediction.evidence,
    }


def _context_cells(prediction: GenePrediction) -> _Cells:
    fit = "" if prediction.context_fit is None else f"{prediction.context_fit:.1f}"
    cells = {"context_fit": fit, "context_confidence": _number(prediction.context_confidence)}
    if (context := prediction.context) is None:
        return cells
    return cells | {
        "context_family": _whole(context.family),
        "context_expected_family": _whole(context.expected_family),
        "context_expected": context.expected,
        "context_expected_ec": context.expected_ec,
        "context_name": context.name,
        "context_name_confidence": _number(context.confidence),
        "context_ec": context.ec,
        "context_ec_confidence": _number(context.ec_confidence),
        "context_genera": q.genera(context.genera, context.of) if context.name and context.of else "",
        "context_neighbours": q.neighbours(context),
        "context_note": "unexpected here" if context.unexpected else "",
    }


def _operon_cells(gene: Gene, predictions: Predictions, members: q.Memberships) -> _Cells:
    if predictions.operons is None:
        return {}
    if gene.index not in members:
        return {"operon": q.NO_OPERON}
    operon, position = members[gene.index]
    return {
        "operon": operon.id,
        "operon_position": str(position),
        "operon_confidence": _number(operon.confidence),
    }


def _links(contig: Contig, predictions: Predictions) -> dict[int, _Cells]:
    """Gene index -> probabilities of its pairs with the coding genes on both sides along the contig."""
    coding = contig.coding
    cells: dict[int, _Cells] = {}
    for i, gene in enumerate(coding):
        before, after = coding[i - 1], coding[(i + 1) % len(coding)]
        cells[gene.index] = {
            "prob_pair_prev": _number(predictions.pairs.get((before.index, gene.index))),
            "prob_pair_next": _number(predictions.pairs.get((gene.index, after.index))),
        }
    return cells


def _whole(number: int | None) -> str:
    return "" if number is None else str(number)


def _number(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.4f}"
