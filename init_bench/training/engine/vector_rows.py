"""Add multiples of a matrix's rows to a row, in vector registers: an operation for Numba's loops.

A loop written in Python keeps its sums in memory and reads and writes them every few rows. Here
they stay in registers to the end.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Values of a vector: one register of AVX-512, two of AVX2, four of NEON."""


MOST_VECTORS = 7
"""Vectors summed at a time: so many sums fit the registers of each of these."""


_INDEX, _VECTOR = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)
_ADDRESS, _SIZE = ir.IntType(8).as_pointer(), 4


@intrinsic
def add_rows(
    _: Any, into: Any, matrix: Any, places: Any, factors: Any, scale: Any,
    row: Any, first: Any, last: Any, begin: Any, vectors: Any,
) -> Any:  # fmt: skip
    """Add Σ scale · factors[k] · matrix[places[k]], ``first`` ≤ k < ``last``, to ``into[row]``.

    Each value is summed in the order of k, whatever is summed beside it.

    Args:
        into, matrix: float32, ``(rows, units)``, the units of a row side by side.
        places, factors: unsigned integers, float32.
        begin, vectors: the first unit, and how many vectors of units: 1 to ``MOST_VECTORS``.
    """
    arguments = (into, matrix, places, factors, scale, row, first, last, begin, vectors)
    return types.void(*arguments), _code


def _code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
    """Write a loop for each number of vectors."""
    arrays = zip(signature.args[:4], arguments[:4], strict=True)
    into, matrix, places, factors = (
        context.make_array(kind)(context, builder, array) for kind, array in arrays
    )
    scale, row, first, last, begin, vectors = arguments[4:]

    def multiple(k: ir.Value) -> tuple[ir.Value, ir.Value]:
        place = builder.zext(_item(builder, places, k), _INDEX)
        factor = builder.fmul(scale, _item(builder, factors, k))
        return _spread(builder, factor), _address(builder, matrix, place, begin)

    total = _address(builder, into, row, begin)
    for count in range(1, MOST_VECTORS + 1):
        with builder.if_then(builder.icmp_signed("==", vectors, _INDEX(count))):
            _write_loop(builder, count, total, first, last, multiple)
    return context.get_dummy_value()


def _write_loop(
    builder: ir.IRBuilder,
    count: int,
    total: ir.Value,
    first: ir.Value,
    last: ir.Value,
    multiple: Callable[[ir.Value], tuple[ir.Value, ir.Value]],
) -> None:
    """Write the loop that adds to the ``count`` vectors at ``total``.

    Args:
        multiple: returns, for one k, the factor in a vector and the address of what it multiplies.
    """
    sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(count)]  # type: ignore[no-untyped-call]
    for i, kept in enumerate(sums):
        builder.store(_load(builder, total, i), kept)
    with cgutils.for_range(builder, last, first) as loop:
        factor, values = multiple(loop.index)
        for i, kept in enumerate(sums):
            product = builder.fmul(factor, _load(builder, values, i), flags=["contract"])
            builder.store(builder.fadd(builder.load(kept), product, flags=["contract"]), kept)
    for i, kept in enumerate(sums):
        builder.store(builder.load(kept), builder.gep(total, [_INDEX(i)]), align=_SIZE)


def _item(builder: ir.IRBuilder, array: Any, index: ir.Value) -> ir.Value:
    """Read an item of an array of one dimension without gaps."""
    return builder.load(builder.gep(array.data, [index]))


def _address(builder: ir.IRBuilder, array: Any, row: ir.Value, unit: ir.Value) -> ir.Value:
    """Return the address of a unit of a row, as that of a vector."""
    in_bytes = builder.mul(row, builder.extract_value(array.strides, 0))
    in_bytes = builder.add(in_bytes, builder.mul(unit, _INDEX(_SIZE)))
    address = builder.gep(builder.bitcast(array.data, _ADDRESS), [in_bytes])
    return builder.bitcast(address, _VECTOR.as_pointer())


def _load(builder: ir.IRBuilder, address: ir.Value, number: int) -> ir.Value:
    """Read the vector that lies ``number`` vectors behind an address."""
    return builder.load(builder.gep(address, [_INDEX(number)]), align=_SIZE)


def _spread(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """Return a vector that holds ``number`` everywhere."""
    nothing, first = _VECTOR(ir.Undefined), ir.IntType(32)(0)
    one = builder.insert_element(nothing, number, first)
    everywhere = ir.VectorType(ir.IntType(32), LANES)([0] * LANES)
    return builder.shuffle_vector(one, nothing, everywhere)
