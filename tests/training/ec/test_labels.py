import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glm_annot.errors import InputError
from glm_annot.io.sequences import clean_protein
from glm_annot.training.corpus import heldout
from glm_annot.training.corpus.tables import Tables
from glm_annot.training.ec.labels import (
    Labelled,
    annotated,
    collection_of,
    collections,
    numbers,
    read_labelled,
    read_names,
    read_non_enzymes,
    read_updates,
    transfer,
)

MADE = "MSTNPKPQRKTKRNTNRRPQDVKFPGGGQIVGGVYLLPRRGPRLGVRATRKTSERSQPRGRRQPIPKARRPEGRTWAQPGYPWPLYG"
OTHER = "MDPVVVLGLCLSCLLLLSLWKQSYGGGKLPPGPTPFPIIGNILQIDAKDISKSLTKFSECYGPVFTVYLGMKPTVVLHGYEAVKEA"
CLEAN, SOLVE = "CLEAN (UniProt, CC BY 4.0)", "SOLVE (UniProt, CC BY 4.0)"

needs_diamond = pytest.mark.skipif(shutil.which("diamond") is None, reason="DIAMOND is not installed")


def write_labelled(path: Path, rows: list[tuple[str, str, int]]) -> Path:
    sequence, ec, trust = zip(*rows, strict=True)
    names, sources = [f"P{n}" for n in range(len(rows))], ["CLEAN/split10"] * len(rows)
    columns = {"id": names, "sequence": sequence, "ec": ec, "trust": trust, "sources": sources}
    pq.write_table(pa.table(columns), path)
    return path


def write_names(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["ec\tname\tclass_path\tstatus\tsource", *rows]) + "\n", encoding="utf-8")
    return path


def test_updates_only_to_one_current_number(tmp_path: Path):
    path = write_names(
        tmp_path / "names.tsv",
        "1.3.1.28\tx\t\tcurrent\ta",
        "4.6.1.17\tx\t\tcurrent\ta",
        "1.1.1.109\tx\t\ttransferred\tb transferred to EC 1.3.1.28",
        "4.1.99.18\tx\t\ttransferred\tb transferred to EC 4.1.99.22 and EC 4.6.1.17",
        "1.1.1.2\tx\t\ttransferred\tb transferred to EC 9.9.9.9",
        "3.4.99.27\tx\t\tdeleted\tb deleted",
    )
    assert read_updates(path) == {"1.1.1.109": "1.3.1.28"}


def test_names_of_classes_hold_those_around_them_and_moved_numbers_have_none(tmp_path: Path):
    path = write_names(
        tmp_path / "names.tsv",
        "2.-.-.-\tTransferases\t\tclass\ta",
        "2.3.1.-\tTransferring groups\t\tclass\ta",
        "2.3.1.9\tacetyl-CoA  C-acetyltransferase\t\tcurrent\ta",
        "2.3.1.10\t\t\tcurrent\ta",
        "2.3.1.n2\tTransferred entry: 1.14.19.52\t\thumann\ta",
        "1.1.1.109\told\t\ttransferred\tb transferred to EC 1.3.1.28",
    )
    assert read_names(path) == {
        "2.-.-.-": "Transferases",
        "2.3.1.-": "Transferases: Transferring groups",
        "2.3.1.9": "acetyl-CoA C-acetyltransferase",
    }


def test_a_table_of_another_shape_is_named(tmp_path: Path):
    path = tmp_path / "names.tsv"
    path.write_text("number\tname\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"names\.tsv, line 1: no column 'ec'"):
        read_updates(path)


def test_numbers_are_updated_sorted_and_freed_of_what_they_imply():
    text = "2.7.1.11; 2.7.1.2;2.7.1.-;1.1.1.109;rubbish;3.4.-.-"
    updated = numbers(text, {"1.1.1.109": "1.3.1.28"})
    assert updated == ("1.3.1.28", "2.7.1.2", "2.7.1.11", "3.4.-.-")


def test_no_held_out_protein_is_read_whatever_its_trust(tmp_path: Path):
    rows = [(MADE, "1.1.1.1", 1), (MADE + "*", "1.1.1.1", 3), (OTHER, "2.7.1.2", 3), ("MKK", "1.1.1.1", 4)]
    rows.append(("MKL", "1.1.1.1", 2))
    path = write_labelled(tmp_path / "labelled.parquet", rows)
    found = read_labelled(path, held_out={clean_protein(MADE)}, updates={})
    assert found == [
        Labelled(OTHER, ("2.7.1.2",), "P2", ships=False, collection=CLEAN),
        Labelled("MKL", ("1.1.1.1",), "P4", ships=True, collection=CLEAN),
    ]


def test_only_stated_non_enzymes_are_read(tmp_path: Path):
    path = tmp_path / "none.tsv"
    rows = [f"a\tSOLVE-nonenzyme\t?\t{MADE}", f"b\tEcoli-noEC\t?\t{OTHER}", "c\tSOLVE-nonenzyme\t?\tMKK"]
    path.write_text("\n".join(["id\tsource\tkingdom\tsequence", *rows]) + "\n", encoding="utf-8")
    assert read_non_enzymes(path, held_out={"MKK"}) == [Labelled(MADE, (), "a", collection=SOLVE)]
    unnumbered = read_non_enzymes(path, held_out={"MKK"}, stated=False)
    assert unnumbered == [
        Labelled(MADE, (), "a", collection=SOLVE),
        Labelled(OTHER, (), "b", ships=False),
    ]
    assert collections([*unnumbered, *unnumbered]) == {SOLVE: 1, "others": 1}


def test_annotated_joins_the_numbers_of_all_genes_of_a_protein():
    tables = Tables(
        pa.table({"genome": [7, 8]}),
        pa.table({"contig": [0, 1], "genome": [7, 8]}),
        pa.table(
            {"contig": [0, 0, 0, 1], "protein": [0, 1, 0, 2], "ec": ["1.1.1.1", None, "2.7.1.2", "3.1.1.1"]}
        ),
        pa.table({"protein": [0, 1, 2], "sequence": [MADE, OTHER, "MKKL"]}),
    )
    found = annotated(tables, [7], held_out=(), updates={})
    assert found == [Labelled(MADE, ("1.1.1.1", "2.7.1.2")), Labelled(OTHER, ())]
    assert annotated(tables, [7], held_out={MADE}, updates={}) == [Labelled(OTHER, ())]


@pytest.mark.parametrize(
    ("sources", "collection"),
    [
        ("CatPred/km-test;CLEAN/split10", CLEAN),
        ("prokka/db/kingdom/Archaea/sprot", "Prokka (UniProt, CC BY 4.0)"),
        ("DeepFRI/pdb", "DeepFRI (PDB, CC0)"),
        ("KM_prediction+acc2ec", "joined by accession (UniProt, CC BY 4.0)"),
        ("CatPred/km-test;CatPred/kcat-val", ""),
        ("carveme/Bsubtilis_168+BiGG-GPR", ""),
        ("gapseq/user/Bacteria", ""),
    ],
)
def test_a_model_holds_only_rows_whose_terms_let_it(sources: str, collection: str):
    assert collection_of(sources) == collection


@needs_diamond
def test_labels_go_to_homologues_but_never_to_held_out_proteins():
    near = MADE.replace("RRG", "KKG")
    held = MADE[:-1]
    labelled = [Labelled(OTHER, ("2.7.1.2",)), Labelled(MADE, ("1.1.1.1",))]
    found = transfer(labelled, [held, "MKKLAVTGG" * 8, near], held_out={held})
    assert found == {2: 1}


def test_no_label_of_a_held_out_protein_in_the_shared_data(shared_data: Path):
    ec = shared_data / "ec"
    held_out = heldout.read(
        [
            shared_data / "annotated/ncbi/ecoli_k12.gbff.gz",
            shared_data / "operons/escherichia_coli_k12/GCF_000005845.2.faa.gz",
        ],
        [ec / "CARE-30.tsv", ec / "CARE-30-50.tsv", ec / "CARE-promiscuous.tsv", ec / "New-392.tsv"],
    )
    updates = read_updates(ec / "ec_names.tsv")
    everything = read_labelled(ec / "labelled.parquet", held_out=(), updates=updates)
    found = read_labelled(ec / "labelled.parquet", held_out=held_out.all, updates=updates)
    non_enzymes = read_non_enzymes(ec / "unlabelled_or_non_enzyme.tsv", held_out=held_out.all, stated=False)
    assert len(everything) - len(found) > 1000  # K-12's own proteins are in the table
    sequences = {p.sequence for p in [*found, *non_enzymes]}
    assert len(sequences) > 20_000 and sequences.isdisjoint(held_out.all)
