"""Compile loops with Numba: imported only where values are described, as Numba takes 0.4 s."""

from collections.abc import Callable, Set
from functools import partial
from typing import Any

import numba
from numba import types

_UNORDERED = {"reassoc", "contract", "nsz"}
"""Sums in any order; nan and inf keep their meaning."""


def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``loop`` at its first call, or load it where it was compiled before.

    What it calls must be ``inlined``. Of another compiled loop the process that compiles runs one
    copy and those that load run another, which may be rounded otherwise.
    """
    return _compiled(loop, _UNORDERED)


def compiled_in_order(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as ``compiled``, with sums in the order in which they are written.

    What is computed side by side has the same bits wherever it lies in an array.
    """
    return _compiled(loop, {"contract"})


def compiled_for_c(loop: Callable[..., None]) -> Any:
    """Compile as ``compiled``, for a C library to call with an array of addresses."""
    addresses: Any = types.CPointer(types.voidptr)  # type: ignore[no-untyped-call]
    return _kept(partial(numba.cfunc, types.void(addresses)), loop, fastmath=_UNORDERED)


def _compiled(loop: Callable[..., Any], fastmath: Set[str]) -> Callable[..., Any]:
    return _kept(numba.njit, loop, nogil=True, fastmath=fastmath)  # type: ignore[no-any-return]


def _kept(compiler: Callable[..., Any], loop: Callable[..., Any], **options: Any) -> Any:
    """Compile ``loop`` and keep it for other processes, where it can be kept."""
    try:
        return compiler(cache=True, error_model="numpy", **options)(loop)
    except RuntimeError:  # neither beside this file nor in the user's cache
        return compiler(error_model="numpy", **options)(loop)


def inlined(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Put ``loop`` into the loop that calls it, where nothing it is given can overlap."""
    return numba.njit(inline="always")(loop)
