"""A small made-up report: two contigs, one gene of each kind, and names that try to be more than text."""

from __future__ import annotations

from glm_annot.io.table import COLUMNS
from glm_annot.records import Contig
from glm_annot.report.genes import Genes, Row

COMMENT = (
    "glm-annot: program=glm-annot 0.1.0; model=made 1.0.0; sha256=0; min_confidence=0.35; "
    "link_threshold=0.5; ec_eco=ECO:0008006; operon_eco=ECO:0007333"
)
HOSTILE = "</script><img src=x onerror=alert(1)>&amp;"
CONTIGS = (Contig("chromosome", 9000, True, ()), Contig("plasmid", 2000, False, ()))


def row(**cells: str) -> Row:
    """A row of the table with these cells; all others are empty."""
    return {**dict.fromkeys(COLUMNS, ""), "strand": "+", "operon": "none", **cells}


def rows() -> list[Row]:
    """Eight genes."""
    called = {"ec_passed": "2.5.1.9", "ec_passed_confidence": "0.9500", "ec_name": "riboflavin synthase"}
    return [
        row(
            contig="chromosome",
            start="1",
            end="900",
            locus_tag="M_1",
            gene="ribE",
            product="riboflavin synthase",
            ec_existing="2.5.1.9",
            ec_agreement="same",
            context_fit="80.0",
            prob_pair_next="0.9000",
            operon="glm_operon_0001",
            operon_position="1",
            operon_confidence="0.9000",
            **called,
        ),
        row(
            contig="chromosome",
            start="1001",
            end="1900",
            locus_tag="M_2",
            product="hypothetical protein",
            ec_agreement="new",
            context_fit="3.0",
            context_confidence="0.7000",
            prob_pair_prev="0.9000",
            operon="glm_operon_0001",
            operon_position="2",
            operon_confidence="0.9000",
            ec_passed="2.7.1.26",
            ec_passed_confidence="0.6000",
            ec_name="riboflavin kinase",
            evidence="kmer",
        ),
        row(
            contig="chromosome",
            start="2001",
            end="2900",
            strand="-",
            locus_tag="M_3",
            product="amidase",
            ec_existing="3.5.1.4",
            ec_agreement="conflict",
            ec_passed="1.2.7.1",
            ec_passed_confidence="0.5000",
            ec_name="pyruvate synthase",
            context_fit="40.0",
        ),
        row(
            contig="chromosome",
            start="3001",
            end="3900",
            locus_tag="M_4",
            product="kinase",
            ec_existing="2.7.1.2",
            ec_agreement="missed",
            context_fit="99.0",
        ),
        row(contig="chromosome", start="4001", end="4900", locus_tag="M_5", product="", skip="too_short"),
        row(contig="plasmid", start="1", end="600", locus_tag="M_6", product=HOSTILE, id=HOSTILE),
        row(contig="plasmid", start="701", end="1300", locus_tag="M_7", product='=cmd("x"), y'),
        row(
            contig="plasmid",
            start="1401",
            end="2000",
            locus_tag="M_8",
            product="DUF1 protein",
            context_confidence="0.2000",
        ),
    ]


def genes(most: int = 100) -> Genes:
    """All of them, of which `most` are kept."""
    found = Genes(most)
    found.add(CONTIGS, rows())
    return found
