"""Tiles of points against blocks of landmarks: the smallest score of every block, and what it
takes to find from these the few blocks that are worth measuring in float64.

Scores, tiles and blocks are those of `_tiles`; a score is an integer or the bits of a float that is
not negative, and both compare as integers.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels._tiles import (
    F32,
    FLOATS,
    I32,
    I64,
    INTS,
    LANES,
    MEMBERS,
    TILE,
    data_of,
    literal,
    load,
    multiply_add,
    scores_of,
    smaller,
    splat,
    store,
)

_DOUBLES = ir.VectorType(ir.DoubleType(), TILE)
GROUP = 4  # blocks that are looked at together: their lanes are the bits of one number


@intrinsic
def block_minima(
    typing, tiles, n_tiles, columns, packed, halves, norms, start, stop, stride, minima, groups
):
    """The smallest score of each block of the groups `start` to `stop`, of each point of tiles.

    tiles (n_tiles, columns, TILE), packed (blocks, columns, MEMBERS), halves (blocks, MEMBERS),
    norms (n_tiles * TILE,)                        as for _tiles.score_blocks; GROUP blocks a group
    minima (n_tiles, stride * GROUP, TILE) int32   flat; those of these groups are written
    groups (n_tiles, stride, TILE) int32           flat: the smallest of each group
    """
    kind = FLOATS if tiles.dtype == types.float32 else INTS

    def codegen(context, builder, signature, args):
        tiles_, many, columns_, packed_, halves_, norms_, start_, stop_, stride_, *found = [
            data_of(context, builder, given, arg) if isinstance(given, types.Array) else arg
            for given, arg in zip(signature.args, args, strict=True)
        ]
        with cgutils.for_range(builder, many) as outer:
            at = builder.mul(outer.index, literal(TILE))
            tile = builder.gep(tiles_, [builder.mul(at, columns_)])
            norm = builder.gep(norms_, [at])
            place = builder.mul(at, stride_)
            groups_ = builder.gep(found[1], [place])
            minima_ = builder.gep(found[0], [builder.mul(place, literal(GROUP))])
            with cgutils.for_range_slice(builder, start_, stop_, literal(1)) as (group, _):
                least = None
                for b in range(GROUP):
                    block = builder.add(builder.mul(group, literal(GROUP)), literal(b))
                    low = _smallest(
                        builder,
                        scores_of(builder, kind, tile, columns_, packed_, halves_, norm, block),
                    )
                    store(builder, low, minima_, builder.mul(block, literal(TILE)))
                    least = low if least is None else smaller(builder, least, low)
                store(builder, least, groups_, builder.mul(group, literal(TILE)))
        return context.get_dummy_value()

    given = (tiles, n_tiles, columns, packed, halves, norms, start, stop, stride, minima, groups)
    return types.void(*given), codegen


def _smallest(builder, values):
    while len(values) > 1:
        values = [smaller(builder, a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _mask(builder, bits):
    return builder.zext(builder.bitcast(bits, ir.IntType(bits.type.count)), I64)


@intrinsic
def is_any_at_most(typing, values, at, limits):
    """Whether any of the TILE values from `at` on is at most its limit (TILE,)."""

    def codegen(context, builder, signature, args):
        values_, limits_ = (data_of(context, builder, signature.args[i], args[i]) for i in (0, 2))
        here = load(builder, values_, args[1], INTS)
        bits = builder.icmp_signed("<=", here, load(builder, limits_, literal(0), INTS))
        return builder.icmp_signed("!=", _mask(builder, bits), literal(0))

    return types.boolean(values, types.int64, limits), codegen


@intrinsic
def blocks_at_most(typing, minima, at, limits):
    """Which of the minima of GROUP blocks, from `at` on, are at most the limits (TILE,) of their
    lanes: bit `number of the block * TILE + lane` of an int64."""

    def codegen(context, builder, signature, args):
        minima_ = data_of(context, builder, signature.args[0], args[0])
        limits_ = data_of(context, builder, signature.args[2], args[2])
        bounds, found = load(builder, limits_, literal(0), INTS), literal(0)
        for b in range(GROUP):
            here = load(builder, minima_, builder.add(args[1], literal(b * TILE)), INTS)
            mask = _mask(builder, builder.icmp_signed("<=", here, bounds))
            found = builder.or_(found, builder.shl(mask, literal(b * TILE)))
        return found

    return types.int64(minima, types.int64, limits), codegen


@intrinsic
def members_at_most(typing, rows, at, columns, packed, halves, norm, block, limit):
    """Which scores of a point and the MEMBERS landmarks of a block are at most the limit: bits of
    an int64.

    rows       float32 or int32 of two int16 each; the point's `columns` values begin at `at`
    packed, halves, norm   as for block_minima, of the one point
    """
    element = F32 if rows.dtype == types.float32 else I32
    kind = ir.VectorType(element, MEMBERS)

    def codegen(context, builder, signature, args):
        rows_, packed_, halves_ = (
            data_of(context, builder, signature.args[i], args[i]) for i in (0, 3, 4)
        )
        first = builder.mul(args[6], literal(MEMBERS))
        start = load(builder, halves_, first, kind)
        if element == F32:
            start = builder.fadd(start, splat(builder, args[5], kind))
        total = cgutils.alloca_once(builder, kind)
        builder.store(start, total)
        point = builder.gep(rows_, [args[1]])
        there = builder.gep(packed_, [builder.mul(first, args[2])])
        with cgutils.for_range(builder, args[2]) as loop:
            factor = splat(builder, builder.load(builder.gep(point, [loop.index])), kind)
            value = load(builder, there, builder.mul(loop.index, literal(MEMBERS)), kind)
            builder.store(multiply_add(builder, builder.load(total), value, factor), total)
        ints = ir.VectorType(I32, MEMBERS)
        score = builder.bitcast(builder.load(total), ints)
        return _mask(builder, builder.icmp_signed("<=", score, splat(builder, args[7], ints)))

    numbers = (types.int64, types.int64)
    given = (rows, *numbers, packed, halves, types.float32, types.int64, types.int32)
    return types.int64(*given), codegen


@intrinsic
def count_at_most(typing, values, at, count, limits, counts):
    """counts (TILE,) int32: how many of `count` values of each lane are at most its limit.

    values (count, TILE) from `at` on, limits (TILE,)   int32
    """

    def codegen(context, builder, signature, args):
        values_, limits_, counts_ = (
            data_of(context, builder, signature.args[i], args[i]) for i in (0, 3, 4)
        )
        total = cgutils.alloca_once(builder, INTS)
        builder.store(ir.Constant(INTS, [0] * LANES), total)
        bound = load(builder, limits_, literal(0), INTS)
        first = builder.gep(values_, [args[1]])
        with cgutils.for_range(builder, args[2]) as loop:
            here = load(builder, first, builder.mul(loop.index, literal(TILE)), INTS)
            more = builder.sext(builder.icmp_signed("<=", here, bound), INTS)
            builder.store(builder.sub(builder.load(total), more), total)
        store(builder, builder.load(total), counts_, literal(0))
        return context.get_dummy_value()

    given = (values, types.int64, types.int64, limits, counts)
    return types.void(*given), codegen


@intrinsic
def fold_minima(typing, values, at, count, size, folded):
    """The minima of `count` groups of `size` values that follow each other, lane by lane.

    values (count * size, TILE) from `at` on, folded (count, TILE)   int32, flat
    """

    def codegen(context, builder, signature, args):
        values_, folded_ = (data_of(context, builder, signature.args[i], args[i]) for i in (0, 4))
        step = builder.mul(args[3], literal(TILE))
        with cgutils.for_range(builder, args[2]) as outer:
            first = builder.gep(values_, [builder.add(args[1], builder.mul(outer.index, step))])
            least = cgutils.alloca_once(builder, INTS)
            builder.store(load(builder, first, literal(0), INTS), least)
            with cgutils.for_range_slice(builder, literal(1), args[3], literal(1)) as (i, _):
                here = load(builder, first, builder.mul(i, literal(TILE)), INTS)
                builder.store(smaller(builder, builder.load(least), here), least)
            place = builder.mul(outer.index, literal(TILE))
            store(builder, builder.load(least), folded_, place)
        return context.get_dummy_value()

    numbers = (types.int64,) * 3
    return types.void(values, *numbers, folded), codegen


@intrinsic
def lowest_bit(typing, mask):
    """The place of the lowest bit that is set in an int64 other than 0."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def bit_count(typing, mask):
    """How many bits of an int64 are set."""

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@intrinsic
def measure_lanes(typing, tile, at, columns, landmark, first, squares):
    """Squared distances, by definition, of the points of a tile and one landmark.

    tile (columns, TILE) from `at` on, squares (TILE,)   float64, flat
    landmark   float64; its values begin at `first`
    """

    def codegen(context, builder, signature, args):
        tile_, landmark_, squares_ = (
            data_of(context, builder, signature.args[i], args[i]) for i in (0, 3, 5)
        )
        total = cgutils.alloca_once(builder, _DOUBLES)
        builder.store(ir.Constant(_DOUBLES, [0.0] * TILE), total)
        points, there = builder.gep(tile_, [args[1]]), builder.gep(landmark_, [args[4]])
        with cgutils.for_range(builder, args[2]) as loop:
            x = load(builder, points, builder.mul(loop.index, literal(TILE)), _DOUBLES)
            value = splat(builder, builder.load(builder.gep(there, [loop.index])), _DOUBLES)
            apart = builder.fsub(x, value)
            square = builder.fmul(apart, apart)
            builder.store(builder.fadd(builder.load(total), square), total)
        store(builder, builder.load(total), squares_, literal(0))
        return context.get_dummy_value()

    given = (tile, types.int64, types.int64, landmark, types.int64, squares)
    return types.void(*given), codegen


@intrinsic
def keep_smaller(typing, values, numbers, at, kept, kept_numbers, k):
    """Sort one value of each lane, with its number, into the k smallest of the lane so far; behind
    equal ones. The largest falls out.

    values float64, numbers int64 (.., TILE), flat   the TILE from `at` on
    kept float64, kept_numbers int64 (k, TILE)       flat, smallest first; updated
    """
    longs = ir.VectorType(I64, TILE)

    def codegen(context, builder, signature, args):
        values_, numbers_, kept_, kept_numbers_ = (
            data_of(context, builder, signature.args[i], args[i]) for i in (0, 1, 3, 4)
        )
        new, number, is_in = (
            cgutils.alloca_once(builder, kind)
            for kind in (_DOUBLES, longs, ir.VectorType(ir.IntType(1), TILE))
        )
        builder.store(load(builder, values_, args[2], _DOUBLES), new)
        builder.store(load(builder, numbers_, args[2], longs), number)
        builder.store(ir.Constant(is_in.type.pointee, [0] * TILE), is_in)
        with cgutils.for_range(builder, args[5]) as loop:
            place = builder.mul(loop.index, literal(TILE))
            old, value = load(builder, kept_, place, _DOUBLES), builder.load(new)
            # once a value has found its place, all behind it move on
            moves = builder.or_(builder.load(is_in), builder.fcmp_ordered("<", value, old))
            builder.store(moves, is_in)
            store(builder, builder.select(moves, value, old), kept_, place)
            builder.store(builder.select(moves, old, value), new)
            old, value = load(builder, kept_numbers_, place, longs), builder.load(number)
            store(builder, builder.select(moves, value, old), kept_numbers_, place)
            builder.store(builder.select(moves, old, value), number)
        return context.get_dummy_value()

    given = (values, numbers, types.int64, kept, kept_numbers, types.int64)
    return types.void(*given), codegen


@intrinsic
def fetch(typing, values, at):
    """Bring the value `at` of an array nearer, before it is asked for."""

    def codegen(context, builder, signature, args):
        there = builder.gep(data_of(context, builder, signature.args[0], args[0]), [args[1]])
        pointer = builder.bitcast(there, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, I32(0), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(values, types.int64), codegen
