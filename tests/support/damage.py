"""Files that are damaged at random: whatever the damage is, they are read, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

import glm_annot.io as annotation_io
from glm_annot.errors import InputError
from glm_annot.records import Genome
from tests.support.fakes import fake_predictions


def check_damaged(
    text: bytes,
    data: st.DataObject,
    *,
    parse: Callable[[bytes], Genome],
    strip: Callable[[bytes], bytes],
    first: int = 1,
) -> None:
    """Damages a text in one to three places from byte `first` on. If it is read, stripping gives it back."""
    damaged = bytearray(text)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(first, len(damaged)))
        length = data.draw(st.integers(0, 80))
        damaged[start : start + length] = data.draw(st.binary(max_size=20))
    try:
        genome = parse(bytes(damaged))
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert strip(annotation_io.render(genome, fake_predictions(genome))) == bytes(damaged)


def with_line_ends(text: bytes, *, crlf: bool, newline: bool) -> bytes:
    """The text with line ends of Windows, or without the last one."""
    text = text if newline else text.rstrip(b"\n")
    return text.replace(b"\n", b"\r\n") if crlf else text
