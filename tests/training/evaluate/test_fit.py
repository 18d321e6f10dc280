"""Misplaced genes: which ones are put where, and how well they are told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glm_annot.records import Contig, Gene, Genome, Source
from glm_annot.training.evaluate.neighbours import fit
from glm_annot.training.evaluate.neighbours.prophages import prophage_genes, runs
from glm_annot.training.glm.windows import GeneOrder

GENBANK = """\
LOCUS       c                        3000 bp    DNA     linear   BCT 01-JAN-2020
DEFINITION  made.
ACCESSION   c
VERSION     c
FEATURES             Location/Qualifiers
     misc_feature    201..400
                     /note="cryptic prophage X"
     CDS             1..90
                     /note="prophage gene"
ORIGIN
//
"""


def genome(products: list[str], text: str = "") -> Genome:
    genes = tuple(
        Gene(n, "i", "c", 100 * n + 1, 100 * n + 90, 1, product=product, protein="MK")
        for n, product in enumerate(products)
    )
    source = Source("a", "genbank" if text else "gff3", text.encode(), {}, b"\n")
    return Genome((Contig("c", 3000, False, genes),), source)


def order(genes: int, contigs: list[int]) -> GeneOrder:
    return GeneOrder(np.arange(genes), np.ones(genes, np.int64), np.zeros(genes, bool), np.array(contigs))


def test_prophages_are_told_by_products_and_what_lies_between() -> None:
    host = "thrA"
    products = [host, "phage tail protein", *[host] * 3, "Terminase large subunit", host, host]
    found = prophage_genes(genome([*products, "phage shock protein A", "bacteriophage resistance"]))
    assert np.flatnonzero(found).tolist() == [1, 2, 3, 4, 5]
    far = ["capsid protein", *[host] * 9, "capsid protein"]
    assert np.flatnonzero(prophage_genes(genome(far))).tolist() == [0, 10]
    assert runs(found, 5) == [(1, 6)] and runs(found, 6) == []


def test_prophages_are_told_by_notes_of_genbank_files() -> None:
    assert prophage_genes(genome(["thrA"] * 6, GENBANK)).tolist() == [False, False, True, True, False, False]


def test_runs_stand_between_genes_of_no_phage() -> None:
    phage = np.array([True, True, False, True, True])
    both, put, own = fit._with_runs(order(5, [0, 3, 5]), phage, order(9, [0, 9]), [(2, 4), (5, 8)])
    assert both.protein_G.tolist() == [0, 1, 7, 8, 2, 3, 4]  # one place for one run: before gene 2
    assert np.flatnonzero(put).tolist() == [2, 3]
    assert np.flatnonzero(own).tolist() == [0, 1, 5, 6]
    assert both.first_C.tolist() == [0, 5, 7]


def test_no_place_gets_a_gene_of_the_family_that_belongs_there() -> None:
    own = torch.arange(3).repeat(50)
    drawn = fit._drawn(torch.tensor([0, 1, 2]), own, none=9)
    assert set(drawn.tolist()) == {0, 1, 2, 9} and not (drawn == own).any()


def test_figures_are_over_the_genes_of_all_genomes_that_have_a_family() -> None:
    nan = torch.nan
    first = {"shuffled": (torch.tensor([2.0, 3.0, nan]), torch.tensor([1.0, nan]))}
    second = {
        "shuffled": (torch.tensor([0.0]), torch.tensor([1.0])),
        "phage": (torch.ones(1), torch.zeros(1)),
    }
    found = fit._figures([first, second])
    assert found["shuffled"] == {"auroc": pytest.approx(2 / 3), "in_place": 3.0, "misplaced": 2.0}
    assert found["phage"]["auroc"] == 1.0
    assert fit.lines(found)[0] == "told from shuffled genes, AUROC 0.667 (2 of them)"
