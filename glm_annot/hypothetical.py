"""Which products say nothing of what a protein does. docs/options.md shows the list."""

from __future__ import annotations

import re

WORDS = ("hypothetical", "uncharacterized", "uncharacterised", "unknown", "unnamed")
NUMBERED = ("DUF", "UPF", "ORF")  # with a number
WHOLE = ("putative protein", "predicted protein", "conserved protein")  # nothing else in the product
_WORD = re.compile(rf"\b(?:{'|'.join(WORDS)}|(?:{'|'.join(NUMBERED)})\d+)\b", re.IGNORECASE)


def is_hypothetical(product: str) -> bool:
    """Whether a product says nothing of what the protein does: it is empty or of the list."""
    name = product.strip()
    return not name or name.lower() in WHOLE or _WORD.search(name) is not None
