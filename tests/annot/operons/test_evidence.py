"""What speaks for a link, and for an operon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glm_annot.operons.evidence import LinkEvidence, link_evidence, said_of
from glm_annot.operons.features import AXIS_POINTS, CONSERVED, IN_GENERA
from glm_annot.operons.promoters import Promoters
from glm_annot.records import Contig, Gene

PRIOR = np.full((3, AXIS_POINTS), 1 / AXIS_POINTS)


def genome() -> Contig:
    """Forty pairs of close genes, far from each other on alternating strands; then three more genes."""
    at, genes = 1, []
    for number in range(80):
        genes.append(Gene(number, f"g{number}", "c", at, at + 899, 1 - 2 * (number // 2 % 2), protein="M"))
        at += 900 + (5 if number % 2 == 0 else 400)
    for number, gap in ((80, 0), (81, 400), (82, 5)):
        at += gap
        genes.append(Gene(number, f"g{number}", "c", at, at + 899, 1, protein="M"))
        at += 900
    return Contig("c", at, False, tuple(genes))


def test_a_gap_speaks_for_a_link_where_it_is_short_for_this_genome() -> None:
    contig = genome()
    groups = np.zeros((len(contig.pairs), len(CONSERVED) + 1))
    groups[81, IN_GENERA] = 12
    found = link_evidence([contig], PRIOR, conserved=[groups])
    assert set(found) == {(number, number + 1) for number in range(82)}
    assert found[0, 1] == LinkEvidence(gap=True, promoter=None, groups=0)
    assert not found[80, 81].gap and found[81, 82] == LinkEvidence(gap=True, promoter=None, groups=12)


def test_a_promoter_that_is_not_there_speaks_for_a_link() -> None:
    contig = genome()
    contig = replace(contig, sequence="C" * (contig.length or 0))
    learned = Promoters(np.zeros(3), np.array([2.0, 0.0, 0.0, 1.0]))
    found = link_evidence([contig], PRIOR, promoters=learned)
    assert found[80, 81].promoter is True and found[81, 82].promoter is None  # 5 bases have no room for one
    against = link_evidence([contig], PRIOR, promoters=replace(learned, by_score_F=np.array([99.0, 0, 0, 1])))
    assert against[80, 81].promoter is False


def test_an_operon_tells_what_speaks_for_all_its_links() -> None:
    close, long = LinkEvidence(True, None, 7), LinkEvidence(True, True, 12)
    assert said_of([close, long]) == ("gap", "promoter", "conserved:7")
    assert said_of([close]) == ("gap", "conserved:7")
    assert said_of([long, LinkEvidence(False, False, 2)]) == ()
