"""What a run was trained on, in words, and where it is noted."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_annot.training.common.hardware import Hardware, described, note, read

GPU, OTHER = Hardware("one", "H200", 16), Hardware("two", "H200", 8)


@pytest.mark.parametrize(
    ("processes", "words"),
    [
        ([Hardware("one", "", 8)], "8 CPU cores"),
        ([Hardware("one", "", 8)] * 4, "8 CPU cores in 4 processes"),  # which share them
        ([GPU], "1 x H200"),
        ([GPU, GPU, OTHER], "3 x H200 in 3 processes on 2 hosts"),
        ([GPU, Hardware("one", "A100", 16)], "1 x H200 and 1 x A100 in 2 processes"),
    ],
)
def test_hardware_in_words(processes: list[Hardware], words: str) -> None:
    assert described(processes) == words


def test_each_kind_is_noted_once(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    for words in ("8 CPU cores", "1 x H200", "8 CPU cores"):
        note(tmp_path, words)
    assert read(tmp_path) == ["8 CPU cores", "1 x H200"]
