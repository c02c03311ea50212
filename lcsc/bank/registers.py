"""Vectors that stay in the processor's registers, for the compiled product: LLVM's words that Numba has none for.

What a compiler makes of loops over candidates loads and stores each sum for every few checkpoints. Here the sums of
``ROWS`` candidates in ``WIDE`` columns stay in registers while all checkpoints pass, as in the inner loop of a BLAS
(Goto & van de Geijn 2008). Needs Numba.
"""

from __future__ import annotations

import importlib
from typing import Any

# Some versions of Numba and llvmlite have types and some have none.
_ir: Any = importlib.import_module("llvmlite.ir")
_types: Any = importlib.import_module("numba").types
_intrinsic: Any = importlib.import_module("numba.extending").intrinsic
_features: Any = importlib.import_module("llvmlite.binding").get_host_cpu_features()

# On x86-64 eight registers of sums, as many as keep both multipliers busy: of 64 bytes with AVX-512, else of 32.
ROWS = 4
WIDE = 16 if _features.get("avx512f", False) else 8

_INDEX, _LANE, _NUMBER = _ir.IntType(64), _ir.IntType(32), _ir.DoubleType()
_VECTOR, _SINGLES = _ir.VectorType(_NUMBER, WIDE), _ir.VectorType(_ir.FloatType(), WIDE)


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Of element ``index`` of ``array``, whose memory is in C order."""
    return builder.gep(context.make_array(kind)(context, builder, value=array).data, [index])


def _plain(kind: Any, number: Any) -> bool:
    """Whether arrays of this ``kind`` hold ``number`` in C order, as addresses here take for granted."""
    return bool(kind.layout == "C" and kind.dtype == number)


def _load(builder: Any, address: Any, kind: Any, align: int) -> Any:
    return builder.load(builder.bitcast(address, kind.as_pointer()), align=align)


def _store(builder: Any, vector: Any, address: Any) -> None:
    builder.store(vector, builder.bitcast(address, _VECTOR.as_pointer()), align=8)


def _everywhere(builder: Any, number: Any) -> Any:
    """A vector of one ``number``."""
    empty = _ir.Constant(_VECTOR, _ir.Undefined)
    first = builder.insert_element(empty, number, _ir.Constant(_LANE, 0))
    return builder.shuffle_vector(first, empty, _ir.Constant(_ir.VectorType(_LANE, WIDE), [0] * WIDE))


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` of vectors, rounded once."""
    name, module = f"llvm.fma.v{WIDE}f64", builder.module
    if name not in module.globals:
        _ir.Function(module, _ir.FunctionType(_VECTOR, [_VECTOR] * 3), name)
    return builder.call(module.globals[name], [a, b, c])


def _subtract(context: Any, row: Any, first: Any, base: Any, differences: Any, column: Any) -> Any:
    """``WIDE`` columns of float32 ``row`` less ``base``, both from ``first`` on: ``differences`` from ``column`` on."""
    if not (_plain(row, _types.float32) and _plain(base, _types.float64) and _plain(differences, _types.float64)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (row, first, base, differences, column) = signature.args, arguments
        weights = _load(builder, _address(context, builder, kinds[0], row, first), _SINGLES, 4)
        less = _load(builder, _address(context, builder, kinds[2], base, first), _VECTOR, 8)
        into = _address(context, builder, kinds[3], differences, column)
        _store(builder, builder.fsub(builder.fpext(weights, _VECTOR), less), into)
        return context.get_dummy_value()

    return _types.void(row, _types.intp, base, differences, _types.intp), generate


def _multiply(
    context: Any, panel: Any, first: Any, factors: Any, start: Any, count: Any, sums: Any, at: Any, apart: Any
) -> Any:
    """The product of ``ROWS`` candidates and ``WIDE`` columns, ``count`` checkpoints one after the other.

    ``panel`` [count, WIDE] begins at element ``first``, ``factors`` [count, ROWS] at ``start``; the product begins at
    ``at`` of ``sums``, its rows are ``apart`` elements from one another. There is a checkpoint at least.
    """
    if not (_plain(panel, _types.float64) and _plain(factors, _types.float64) and _plain(sums, _types.float64)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (panel, first, factors, start, count, sums, at, apart) = signature.args, arguments
        columns = _address(context, builder, kinds[0], panel, first)
        numbers = _address(context, builder, kinds[2], factors, start)
        into = _address(context, builder, kinds[5], sums, at)
        before, body, after = builder.block, builder.append_basic_block("next"), builder.append_basic_block("done")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(_INDEX)
        totals = [builder.phi(_VECTOR) for _ in range(ROWS)]
        vector = _load(builder, builder.gep(columns, [builder.mul(k, _INDEX(WIDE))]), _VECTOR, 8)
        number = builder.gep(numbers, [builder.mul(k, _INDEX(ROWS))])
        factor = [_everywhere(builder, builder.load(builder.gep(number, [_INDEX(c)]))) for c in range(ROWS)]
        new = [_fma(builder, a, vector, total) for a, total in zip(factor, totals, strict=True)]
        next_k = builder.add(k, _INDEX(1))
        for phi, found in zip([k, *totals], [next_k, *new], strict=True):
            phi.add_incoming(_ir.Constant(phi.type, None), before)  # zero
            phi.add_incoming(found, body)
        builder.cbranch(builder.icmp_signed("<", next_k, count), body, after)
        builder.position_at_end(after)
        for c, total in enumerate(new):
            _store(builder, total, builder.gep(into, [builder.mul(apart, _INDEX(c))]))
        return context.get_dummy_value()

    index = _types.intp
    return _types.void(panel, index, factors, index, index, sums, index, index), generate


subtract = _intrinsic(_subtract)
multiply = _intrinsic(_multiply)
