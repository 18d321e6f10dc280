"""The model card: what it says of training and of what was held out, for each way to come by the parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glm_annot.training import recipe as recipes
from glm_annot.training.bundle.card import model_card, with_names
from tests.support.tiny import tiny
from tests.support.tiny_recipe import write_recipe

WINDOWS = "7 of 9 windows, in which over half of the proteins are over 70 % identical"
APART = "None of these shares 5% or more of its proteins, identical, with one that trains."


def corpus(*, held_out: tuple[str, ...] = ("k12.gbff.gz",), **changes: Any) -> dict[str, Any]:
    """What corpus.json holds, as far as the card reads it."""
    numbers = {
        **{"genomes_train": 8, "genomes_valid": 2, "genes": 3000, "contigs": 5, "residues": 900_000},
        **{"encoder_proteins": 12_345, "windows_near_heldout": 7, "windows": 9},
    }
    rows = [("Aaa", "train"), ("?", "train"), ("Bbb", "valid"), ("?", "valid"), ("Ccc", "test")]
    listing = [{"organism": g, "genus": g, "split": s, "genes": 9, "source": None} for g, s in rows]
    fixed = {"counts": numbers, "options": {"genomes": 10, "residues": None}, "origin": "corpus"}
    return {**fixed, "held_out": list(held_out), "genomes": listing, "split_by": "genus", **changes}


def sections(recipe: recipes.Recipe, record: dict[str, Any]) -> tuple[str, str]:
    """The sections 'Training' and 'Held out' of a card."""
    card = model_card(recipe, model=tiny(), corpus=record, command="typed")
    named = {block.partition("\n")[0]: block for block in card.split("\n## ")}
    return named["Training"], named["Held out"]


def test_all_is_said_of_what_was_trained_here(tmp_path: Path) -> None:
    of_residues, _ = sections(recipes.read(write_recipe(tmp_path / "r.json")), corpus())
    assert "The encoder's corpus has 12,345 proteins." in of_residues
    training, held_out = sections(recipes.read("mini"), corpus())
    assert "8 genomes train gLM and the heads." in training
    assert APART in training and "12,345" not in training
    assert held_out.strip() == (
        "Held out\n\nk12.gbff.gz: no protein identical to one of these trained the encoder or carried an EC "
        f"label. {WINDOWS} to a held-out genome's, were left out."
    )


def test_where_labelled_proteins_come_from_is_listed() -> None:
    model = tiny()
    assert model.ec is not None
    record, recipe = corpus(), recipes.read("mini")
    assert "## Labelled proteins" not in model_card(recipe, model=model, corpus=record, command="typed")
    model.ec.config = replace(model.ec.config, collections={"DeepFRI (PDB, CC0)": 1844})
    assert "| DeepFRI (PDB, CC0) | 1,844 |" in model_card(recipe, model=model, corpus=record, command="typed")


@pytest.mark.parametrize(
    ("name", "windows", "unknown"),
    [
        ("paper", True, "What trained the encoder is not known here, and"),
        ("own", True, "What trained the encoder is not known here (the card of `mini` may say it), and"),
        (
            "published",
            False,
            "What trained the encoder and gLM is not known here (the card of `published` may say it), and",
        ),
    ],
)
def test_nothing_is_claimed_of_parts_that_others_trained(name: str, windows: bool, unknown: str) -> None:
    recipe = recipes.read(name)
    training, held_out = sections(recipe, corpus())
    assert "encoder's corpus" not in training
    assert "trained the encoder or" not in held_out
    assert "no protein identical to one of these carried an EC label." in held_out
    assert (WINDOWS in held_out) == windows
    assert unknown in held_out
    assert unknown in sections(recipe, corpus(held_out=()))[1]


def test_an_unknown_genus_is_neither_the_same_nor_another() -> None:
    training, _ = sections(recipes.read("mini"), corpus())
    assert (
        "2 more validate: 1 of a genus that no training genome is known to be of, 1 of unknown genus. "
        "1 more tests: 1 of a genus that no training genome is known to be of. "
    ) in training


def test_the_hardware_is_that_of_the_processes_that_trained() -> None:
    card = model_card(
        recipes.read("mini"),
        model=tiny(),
        corpus=corpus(),
        command="typed",
        seconds={"plm": 5400.0, "glm": 60.0},
        hardware={"plm": ["2 x A100 in 2 processes", "8 CPU cores"], "glm": []},
    )
    assert (
        "\nWall-clock time: plm 5,400 s, glm 60 s; 91 minutes in all. "
        "Trained: plm on 2 x A100 in 2 processes, then on 8 CPU cores.\n"
    ) in card


def test_a_split_by_genome_has_relatives_on_both_sides() -> None:
    record = corpus(split_by="genome")
    record["genomes"][2]["genus"] = "Aaa"
    training, _ = sections(recipes.read("mini"), record)
    assert "2 more validate: 1 of a genus that also trains, 1 of unknown genus." in training
    assert APART not in training and "relatives stand on both sides" in training


def test_a_recipe_without_held_out_files_says_so() -> None:
    assert sections(recipes.read("mini"), corpus(held_out=()))[1].strip() == (
        "Held out\n\nNothing was held out by sequence; judge it on genomes that did not train it."
    )


def test_the_origin_of_names_is_said_once_and_before_the_genomes() -> None:
    card = model_card(recipes.read("mini"), model=tiny(), corpus=corpus(), command="typed")
    named = with_names(card)
    assert [block.partition("\n")[0] for block in named.split("\n## ")][-2:] == [
        "Names of EC numbers",
        "Genomes",
    ]
    assert "ExPASy ENZYME" in named and "CC BY 4.0" in named
    assert with_names(named) == named
