"""Loops over arrays that Numba compiles when they are first called. They run beside other threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar, cast

import numba

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class compiled(Generic[_Arguments, _Result]):  # noqa: N801 - a decorator
    """Compiles a function, which may use numbers and NumPy arrays only.

    The machine code is kept for later runs beside the package's byte code, or where that folder is read-only
    in the user's own cache. Where neither can be written, each run compiles anew, which takes seconds.
    """

    def __init__(self, function: Callable[_Arguments, _Result]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._loop = numba.njit(nogil=True)(function)
        with suppress(RuntimeError):  # there is no folder that could be written
            self._loop.enable_caching()

    def __call__(self, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return cast(_Result, self._loop(*args, **kwargs))
        except OSError:  # the loops open no file: what was compiled could not be kept
            self._loop = numba.njit(nogil=True)(self._function)
            return cast(_Result, self._loop(*args, **kwargs))
