"""Tiles of points against blocks of centroids: the vector code of `nearest centroid`.

A tile holds TILE points as columns, xt[c, p], in float32; a block holds MEMBERS centroids. Of each
point and centroid the score

    |y|^2 / 2 + |c|^2 / 2 - y . c  =  half the squared distance

is accumulated in registers, TILE x MEMBERS at a time. Scores are not negative (their callers see
to that), so they compare as the integers of their bits: the number of the centroid in its block
takes the place of the lowest three bits, and one integer minimum finds both score and centroid.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels._simd import register_bytes

LANES = register_bytes() // 4
VECTORS = 1  # of one column of a tile; more do not run faster, and registers get scarce
TILE = LANES * VECTORS
MEMBERS = 8  # centroids of a block: their number takes PACKED_BITS bits of a score
PACKED_BITS = 3
_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS, _INTS = ir.VectorType(_F32, LANES), ir.VectorType(_I32, LANES)


def _data(context, builder, array_type, array):
    return context.make_array(array_type)(context, builder, array).data


def _at(builder, pointer, index, kind):
    return builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer())


def _load(builder, pointer, index, kind):
    value = builder.load(_at(builder, pointer, index, kind))
    value.align = 4
    return value


def _store(builder, value, pointer, index, kind):
    builder.store(value, _at(builder, pointer, index, kind)).align = 4


def _splat(builder, scalar, kind):
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_INTS, [0] * LANES))


def _number(value: int):
    return ir.Constant(_I64, value)


def _integers(value: int):
    return ir.Constant(_INTS, [value] * LANES)


def _call(builder, name, kind, args):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(args)), name
    )
    return builder.call(function, args)


def _smaller(builder, a, b):
    return _call(builder, f"llvm.smin.v{LANES}i32", _INTS, [a, b])


def _larger(builder, a, b):
    return _call(builder, f"llvm.smax.v{LANES}i32", _INTS, [a, b])


def _two_smallest(builder, values):
    """(smallest, second smallest) of vectors of integers, lane by lane."""
    pairs = [
        (_smaller(builder, a, b), _larger(builder, a, b))
        for a, b in zip(values[::2], values[1::2], strict=True)
    ]
    while len(pairs) > 1:
        pairs = [
            _joined(builder, *left, *right)
            for left, right in zip(pairs[::2], pairs[1::2], strict=True)
        ]
    return pairs[0]


def _joined(builder, low, next_low, other, next_other):
    second = _smaller(
        builder, _larger(builder, low, other), _smaller(builder, next_low, next_other)
    )
    return _smaller(builder, low, other), second


def _scores(builder, tile, columns, packed, halves, norms, block):
    """Scores of MEMBERS centroids, each a list of VECTORS vectors."""
    multiply_add = f"llvm.fma.v{LANES}f32"
    first = builder.mul(block, _number(MEMBERS))
    sums = []
    for m in range(MEMBERS):
        half = _load(builder, halves, builder.add(first, _number(m)), _F32)
        for r in range(VECTORS):
            norm = _load(builder, norms, _number(r * LANES), _FLOATS)
            slot = cgutils.alloca_once(builder, _FLOATS)
            builder.store(builder.fadd(_splat(builder, half, _FLOATS), norm), slot)
            sums.append(slot)
    start = builder.mul(first, columns)
    with cgutils.for_range(builder, columns) as loop:
        here = builder.mul(loop.index, _number(TILE))
        points = [
            _load(builder, tile, builder.add(here, _number(r * LANES)), _FLOATS)
            for r in range(VECTORS)
        ]
        there = builder.add(start, builder.mul(loop.index, _number(MEMBERS)))
        for m in range(MEMBERS):
            value = _load(builder, packed, builder.add(there, _number(m)), _F32)
            factor = _splat(builder, value, _FLOATS)
            for r in range(VECTORS):
                slot = sums[m * VECTORS + r]
                args = [factor, points[r], builder.load(slot)]
                builder.store(_call(builder, multiply_add, _FLOATS, args), slot)
    return [[builder.load(sums[m * VECTORS + r]) for r in range(VECTORS)] for m in range(MEMBERS)]


@intrinsic
def score_blocks(typing, tile, columns, packed, halves, norms, count, best, second, blocks):
    """The nearest and the second nearest of `count` blocks of centroids, of each point of a tile.

    tile (columns * TILE,) float32    coordinates, column after column
    packed (count, columns, MEMBERS)  -c of the centroids, float32, flat
    halves (count, MEMBERS)           |c|^2 / 2 of them, float32, flat
    norms (TILE,) float32             |y|^2 / 2 of the points
    best, second (TILE,) int32        smallest packed scores so far, updated
    blocks (TILE,) int32              the block that best is from, updated
    """

    def codegen(context, builder, signature, args):
        pointers = [
            _data(context, builder, kind, arg) if isinstance(kind, types.Array) else arg
            for kind, arg in zip(signature.args, args, strict=True)
        ]
        with cgutils.for_range(builder, pointers[5]) as loop:
            _score_block(builder, *pointers[:5], loop.index, *pointers[6:])
        return context.get_dummy_value()

    given = (tile, columns, packed, halves, norms, count, best, second, blocks)
    return types.void(*given), codegen


def _score_block(builder, tile, columns, packed, halves, norms, block, best, second, blocks):
    scores = _scores(builder, tile, columns, packed, halves, norms, block)
    number = _splat(builder, builder.trunc(block, _I32), _INTS)
    for r in range(VECTORS):
        packed_scores = []
        for m in range(MEMBERS):
            bits = builder.bitcast(scores[m][r], _INTS)
            bits = builder.and_(bits, _integers(-(1 << PACKED_BITS)))
            packed_scores.append(builder.or_(bits, _integers(m)))
        low, next_low = _two_smallest(builder, packed_scores)
        at = _number(r * LANES)
        old = _load(builder, best, at, _INTS)
        runner_up = _load(builder, second, at, _INTS)
        from_here = builder.icmp_signed("<", low, old)
        origin = builder.select(from_here, number, _load(builder, blocks, at, _INTS))
        low, next_low = _joined(builder, old, runner_up, low, next_low)
        _store(builder, low, best, at, _INTS)
        _store(builder, next_low, second, at, _INTS)
        _store(builder, origin, blocks, at, _INTS)


def _transposed(builder, rows):
    """LANES vectors whose columns the given LANES vectors are: perfect shuffles."""
    half = LANES // 2
    low = [(t // 2) + (LANES if t % 2 else 0) for t in range(LANES)]
    high = [half + lane for lane in low]
    low_mask = ir.Constant(_INTS, low)
    high_mask = ir.Constant(_INTS, high)
    width = LANES
    while width > 1:
        rows = [
            builder.shuffle_vector(rows[i], rows[i + half], mask)
            for i in range(half)
            for mask in (low_mask, high_mask)
        ]
        width //= 2
    return rows


@intrinsic
def transpose_rows(typing, rows, column, tile, at):
    """LANES columns of LANES rows, from `column` on, into a tile.

    rows (LANES, columns) float32, C-contiguous; tile flat, its columns TILE apart; at: of the
    first row's point in the tile.
    """

    def codegen(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        width = builder.extract_value(array.shape, 1)
        out = _data(context, builder, signature.args[2], args[2])
        vectors = [
            _load(builder, array.data, builder.add(builder.mul(_number(i), width), args[1]),
                  _FLOATS)
            for i in range(LANES)
        ]  # fmt: skip
        for j, vector in enumerate(_transposed(builder, vectors)):
            line = builder.mul(builder.add(args[1], _number(j)), _number(TILE))
            _store(builder, vector, out, builder.add(line, args[3]), _FLOATS)
        return context.get_dummy_value()

    return types.void(rows, types.int64, tile, types.int64), codegen


@intrinsic
def float_bits(typing, value):
    """The bits of a float32 as int32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], _I32)

    return types.int32(types.float32), codegen


@intrinsic
def bits_float(typing, value):
    """The float32 of the bits of an int32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], _F32)

    return types.float32(types.int32), codegen
