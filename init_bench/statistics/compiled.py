"""Compile loops with Numba: imported only where values are described, as Numba takes 0.4 s."""

from collections.abc import Callable, Set
from typing import Any

import numba


def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``loop`` at its first call, or load it where it was compiled before.

    What it calls must be ``inlined``. Of another compiled loop the process that compiles runs one
    copy and those that load run another, which may be rounded otherwise.
    """
    return _compiled(loop, {"reassoc", "contract", "nsz"})  # nan and inf keep their meaning


def compiled_in_order(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as ``compiled``, with sums in the order in which they are written.

    What is computed side by side has the same bits wherever it lies in an array.
    """
    return _compiled(loop, {"contract"})


def _compiled(loop: Callable[..., Any], fastmath: Set[str]) -> Callable[..., Any]:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return numba.njit(cache=True, **options)(loop)  # type: ignore[no-any-return]
    except RuntimeError:  # nowhere to keep it: neither beside this file nor in the user's cache
        return numba.njit(**options)(loop)  # type: ignore[no-any-return]


def inlined(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Put ``loop`` into the loop that calls it, where nothing it is given can overlap."""
    return numba.njit(inline="always")(loop)
