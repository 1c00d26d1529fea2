"""Counters that threads of compiled loops share: taking the next piece of work, and waiting until all of it is done.

Threads that meet here do not sleep in between. One that slept would have to be woken, which on cores that other
programs use too takes longer than the work it is woken for.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it comes with numba
from numba.core import cgutils, types
from numba.extending import intrinsic

from pictokg.kernels.compiled import compiled

APART = 8  # counters are so many numbers apart: each has a line of the cache to itself
PATIENCE = 20_000  # looks at a counter before a thread lets others have its core


@intrinsic
def take(context: Any, counters: Any, place: Any) -> Any:
    """Add 1 to counters[place] (int64) and give what it was before; no two threads get the same."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(counters, place), generate


@intrinsic
def look(context: Any, counters: Any, place: Any) -> Any:
    """Read counters[place] as it is now; what others wrote before they added to it can be read then."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(context, builder, signature, arguments), "seq_cst", 8)

    return types.int64(counters, place), generate


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind = signature.args[0]
    array = context.make_array(kind)(context, builder, arguments[0])
    index = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return cgutils.get_item_pointer(context, builder, kind, array, [index], wraparound=False)


@compiled
def reached(counters, place, count):  # noqa: ANN001, ANN202 (a compiled function)
    """Whether a counter reaches `count` before patience is over."""
    for _ in range(PATIENCE):  # noqa: SIM110 (no generators in compiled functions)
        if look(counters, place) >= count:  # type: ignore[call-arg]  # the context is numba's own
            return True
    return False
