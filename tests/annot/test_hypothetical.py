"""Products that say nothing of what a protein does."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_annot.hypothetical import NUMBERED, WHOLE, WORDS, is_hypothetical

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        ("", True),
        ("hypothetical protein", True),
        ("Conserved hypothetical protein", True),
        ("Uncharacterised protein YbaB", True),
        ("DUF1234 domain-containing protein", True),
        ("putative protein", True),
        ("putative protein kinase", False),
        ("Glucokinase", False),
        ("DUF family transporter", False),
        ("unknowable", False),
    ],
)
def test_products_that_say_nothing(product: str, expected: bool) -> None:
    assert is_hypothetical(product) == expected


def test_the_list_of_hypothetical_products_is_that_of_the_docs() -> None:
    text = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| `--only-hypothetical`"))
    assert all(word in row for word in (*WORDS, *NUMBERED, *WHOLE))
