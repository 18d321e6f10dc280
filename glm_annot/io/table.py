"""The table of results: one row per CDS of the file, predicted or not, in tab-separated columns.

`COLUMNS` explains them. A cell is empty where there is nothing to say; lists are separated by commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import TextIO

from glm_annot.ec_transferred import current
from glm_annot.io import qualifiers as q
from glm_annot.records import Contig, Gene, GenePrediction, Genome, Predictions, Skip

COLUMNS = {
    "contig": "name of the contig",
    "start": "first base, 1-based; smaller than end",
    "end": "last base; beyond the contig's length for a CDS over the origin of a circular contig",
    "strand": "+ or -; . where the file gives none",
    "locus_tag": "as annotated",
    "id": "the feature's ID in the file, or one made of its location",
    "gene": "gene symbol as annotated",
    "product": "as annotated",
    "ec_existing": "EC numbers that the file already carries",
    "ec_predicted": "the three most likely complete EC numbers, whatever their confidence",
    "ec_confidence": "calibrated probability of each number in ec_predicted, same order",
    "ec_passed": "EC numbers and classes (2.7.1.-) at or above the threshold: those in the annotation",
    "ec_passed_confidence": "calibrated probability of each number in ec_passed, same order",
    "ec_agreement": "ec_passed against ec_existing: same, prefix, conflict, new, missed or empty",
    "operon": "ID of the operon; none for a gene that stands alone",
    "operon_position": "position in the operon in order of transcription, from 1",
    "operon_confidence": "probability of the operon's weakest link",
    "prob_pair_prev": "probability of sharing an operon with the coding gene before it on the contig",
    "prob_pair_next": "probability of sharing an operon with the coding gene after it on the contig",
    "enzyme_confidence": "calibrated probability that the protein is an enzyme at all",
    "context_fit": "percentile (0-100) of how much likelier the gene is beside its neighbours than anywhere",
    "context_confidence": "likelihood that the model gives its own favoured prediction from the neighbours",
    "evidence": "what carried ec_passed's first number: homology, kmer, encoder, context or neighbours",
    "skip": "why there is no prediction: " + ", ".join(reason.value for reason in Skip),
}

_BREAKS = re.compile(r"[\t\r\n\v\f\x85\u2028\u2029]+")


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
    members = q.memberships(predictions)
    for contig in genome.contigs:
        links = _links(contig, predictions)
        for gene in contig.genes:
            cells = _gene_cells(gene)
            prediction = predictions.genes.get(gene.index)
            if prediction is not None:
                cells |= _ec_cells(gene, prediction) | _context_cells(prediction)
                cells |= _operon_cells(gene, predictions, members) | links[gene.index]
            stream.write("\t".join(_BREAKS.sub(" ", cells.get(name, "")) for name in COLUMNS) + "\n")


def is_whole_table(text: bytes) -> bool:
    """Whether a text is a table as `write_table` writes it, down to the end of its last row."""
    lines = text.decode("utf-8", errors="replace").split("\n")
    return (
        lines[0].split("\t") == list(COLUMNS)
        and lines[-1] == ""
        and lines[-2].count("\t") == len(COLUMNS) - 1
    )


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


def _ec_cells(gene: Gene, prediction: GenePrediction) -> _Cells:
    if prediction.enzyme is None:  # EC was not asked for
        return {}
    passed = [call.number for call in prediction.ec]
    return {
        "ec_predicted": ",".join(call.number for call in prediction.ec_top),
        "ec_confidence": ",".join(_number(call.confidence) for call in prediction.ec_top),
        "ec_passed": ",".join(passed),
        "ec_passed_confidence": ",".join(_number(call.confidence) for call in prediction.ec),
        "ec_agreement": agreement(gene.ec, passed).value,
        "enzyme_confidence": _number(prediction.enzyme),
        "evidence": prediction.evidence,
    }


def _context_cells(prediction: GenePrediction) -> _Cells:
    fit = "" if prediction.context_fit is None else f"{prediction.context_fit:.1f}"
    return {"context_fit": fit, "context_confidence": _number(prediction.context_confidence)}


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


def _number(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.4f}"
