import numpy as np
import pytest

from glm_annot.ec.compiled import compiled


def total(values: np.ndarray) -> float:
    """The sum."""
    found = 0.0
    for value in values:
        found += value
    return found


def test_a_compiled_loop_gives_what_the_function_gives():
    values = np.arange(5.0)
    assert compiled(total)(values) == total(values) == 10.0
    assert compiled(total).__doc__ == "The sum."


def test_where_nothing_can_be_kept_it_is_compiled_anew(monkeypatch: pytest.MonkeyPatch):
    def refuse(self: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    loop_type = type(compiled(total)._loop)
    monkeypatch.setattr(loop_type, "enable_caching", refuse)
    assert compiled(total)(np.ones(3)) == 3.0


def test_a_full_disk_under_the_kept_code_stops_nothing(monkeypatch: pytest.MonkeyPatch):
    loop = compiled(total)

    def full(*_: object) -> float:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop, "_loop", full)
    assert loop(np.ones(3)) == 3.0
    assert loop(np.ones(4)) == 4.0
