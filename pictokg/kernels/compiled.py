"""How loops are compiled: once, kept on disk, without the interpreter's lock, and with division as arrays have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

OPTIONS: dict[str, Any] = {
    "nogil": True,
    # Otherwise every division is checked for zero, and the loop around it is not vectorised: three times slower.
    "error_model": "numpy",
    # Sums may be taken in any order, so that they are vectorised; NaN and infinity keep their meaning.
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; later processes load it from disk."""
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # neither the library's folder nor the user's cache can be written to
        return numba.njit(**OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a piece of a loop, which becomes part of the functions that call it.

    A call would count references to every array it is given: 45 ns, more than the work on one row.
    """
    return numba.njit(inline="always", **OPTIONS)(function)
