"""Find the OpenMP library whose threads run torch's operations."""

import ctypes
import functools
from pathlib import Path
from typing import Any

import torch

THREAD, THREADS = "omp_get_thread_num", "omp_get_num_threads"
"""Functions of it that compiled loops call."""


@functools.cache
def openmp() -> Any:
    """Return the library that torch brings along; ``None`` where it is not GNU's.

    Compiled loops find its functions among those that every library sees: they must be its own.
    """
    for path in (Path(torch.__file__).parent / "lib").glob("libgomp*.so*"):
        library, seen = ctypes.CDLL(str(path)), ctypes.CDLL(None)
        if all(_address(library, name) == _address(seen, name) for name in (THREAD, THREADS)):
            return library
    return None


def _address(library: ctypes.CDLL, name: str) -> int | None:
    function = getattr(library, name, None)
    return ctypes.cast(function, ctypes.c_void_p).value if function else None
