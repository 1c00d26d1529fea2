"""Asking the processor for a row before it is needed."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it comes with numba
from numba.core import cgutils, types
from numba.extending import intrinsic

from pictokg.kernels.compiled import inlined

LINE = 16  # numbers in a line of the cache


@intrinsic
def _fetch(context: Any, table: Any, row: Any, column: Any) -> Any:
    """Ask for the line of the cache that holds table[row, column]; a hint, which changes no number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, byte, number = signature.args[0], ir.IntType(8).as_pointer(), ir.IntType(32)
        array = context.make_array(kind)(context, builder, arguments[0])
        indices = [
            context.cast(builder, given, known, types.intp)
            for given, known in zip(arguments[1:], signature.args[1:], strict=True)
        ]
        place = cgutils.get_item_pointer(context, builder, kind, array, indices, wraparound=False)
        function = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        to_read, keep, data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(fetch, [builder.bitcast(place, byte), to_read, keep, data])
        return context.get_dummy_value()

    return types.void(table, row, column), generate


@inlined
def fetch_row(table, row):  # noqa: ANN001, ANN202 (a compiled function)
    """Ask for a row of a table (E, d) of float32."""
    for j in range(0, table.shape[1], LINE):
        _fetch(table, row, j)  # type: ignore[call-arg]  # the context is numba's own
