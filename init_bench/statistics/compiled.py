"""Compile loops with Numba: imported only where values are described, as Numba takes 0.4 s."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``loop`` at its first call, or load it where it was compiled before.

    What it calls must be ``inlined``. Of another compiled loop the process that compiles runs one
    copy and those that load run another, which may be rounded otherwise.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"reassoc", "contract", "nsz"},  # nan and inf keep their meaning
    }
    try:
        return numba.njit(cache=True, **options)(loop)  # type: ignore[no-any-return]
    except RuntimeError:  # nowhere to keep it: neither beside this file nor in the user's cache
        return numba.njit(**options)(loop)  # type: ignore[no-any-return]


def inlined(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Put ``loop`` into the loop that calls it, where nothing it is given can overlap."""
    return numba.njit(inline="always")(loop)
