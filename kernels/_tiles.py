"""Tiles of points against blocks of centroids: the vector code of `nearest centroid`.

A tile holds TILE points as columns; a block holds MEMBERS centroids. Half the squared distance of
each point and centroid, |y|^2 / 2 + |c|^2 / 2 - y . c, is accumulated in registers, in one of two
kinds of numbers:

    float32   one column at a time; scores begin with |y|^2 / 2 and are never negative
    int16     where the CPU multiplies pairs of them: two columns at a time, exactly, twice as fast;
              |y|^2 / 2 is the same for all centroids and left out

Either way scores compare as integers (floats that are not negative by their bits): the number of
the centroid in its block takes the place of the lowest three bits, and one integer minimum finds
both score and centroid.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels._jit import features
from kernels._simd import register_bytes

LANES = register_bytes() // 4
TILE = LANES  # one vector: wider tiles do not run faster, and registers get scarce
MEMBERS = 8
PACKED_BITS = 3
HAS_PAIRS = LANES == 16 and "avx512vnni" in features()
I16, I32, I64, F32 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
FLOATS, INTS = ir.VectorType(F32, LANES), ir.VectorType(I32, LANES)


def data_of(context, builder, array_type, array):
    return context.make_array(array_type)(context, builder, array).data


def load(builder, pointer, index, kind):
    at = builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer())
    value = builder.load(at)
    value.align = 4
    return value


def store(builder, value, pointer, index):
    at = builder.bitcast(builder.gep(pointer, [index]), value.type.as_pointer())
    builder.store(value, at).align = 4


def splat(builder, scalar, kind):
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, nothing, zeros)


def literal(value: int):
    return ir.Constant(I64, value)


def _integers(value: int):
    return ir.Constant(INTS, [value] * LANES)


def _call(builder, name, kind, args):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(args)), name
    )
    return builder.call(function, args)


def smaller(builder, a, b):
    return _call(builder, f"llvm.smin.v{LANES}i32", INTS, [a, b])


def _larger(builder, a, b):
    return _call(builder, f"llvm.smax.v{LANES}i32", INTS, [a, b])


def multiply_add(builder, total, a, b):
    """total + a * b; of integers: of both halves of each lane."""
    kind, lanes = a.type, a.type.count
    if kind.element == F32:
        return _call(builder, f"llvm.fma.v{lanes}f32", kind, [a, b, total])
    if HAS_PAIRS:
        return _call(builder, f"llvm.x86.avx512.vpdpwssd.{32 * lanes}", kind, [total, a, b])
    half = ir.Constant(kind, [16] * lanes)
    low = [builder.ashr(builder.shl(x, half), half) for x in (a, b)]
    high = [builder.ashr(x, half) for x in (a, b)]
    return builder.add(total, builder.add(builder.mul(*low), builder.mul(*high)))


def _joined(builder, low, next_low, other, next_other):
    """(smallest, second smallest) of two sorted pairs, lane by lane."""
    second = smaller(builder, _larger(builder, low, other), smaller(builder, next_low, next_other))
    return smaller(builder, low, other), second


def _two_smallest(builder, values):
    """(smallest, second smallest) of vectors of integers, lane by lane."""
    pairs = [
        (smaller(builder, a, b), _larger(builder, a, b))
        for a, b in zip(values[::2], values[1::2], strict=True)
    ]
    while len(pairs) > 1:
        pairs = [
            _joined(builder, *left, *right)
            for left, right in zip(pairs[::2], pairs[1::2], strict=True)
        ]
    return pairs[0]


def scores_of(builder, kind, tile, columns, packed, halves, norms, block):
    """Scores of the MEMBERS centroids of a block: the arguments are those of score_blocks, of one
    tile."""
    first = builder.mul(block, literal(MEMBERS))
    sums = []
    for m in range(MEMBERS):
        start = splat(
            builder,
            load(builder, halves, builder.add(first, literal(m)), kind.element),
            kind,
        )
        if kind == FLOATS:
            start = builder.fadd(start, load(builder, norms, literal(0), kind))
        slot = cgutils.alloca_once(builder, kind)
        builder.store(start, slot)
        sums.append(slot)
    begin = builder.mul(first, columns)
    with cgutils.for_range(builder, columns) as loop:
        points = load(builder, tile, builder.mul(loop.index, literal(TILE)), kind)
        there = builder.add(begin, builder.mul(loop.index, literal(MEMBERS)))
        for m in range(MEMBERS):
            value = load(builder, packed, builder.add(there, literal(m)), kind.element)
            factor = splat(builder, value, kind)
            total = multiply_add(builder, builder.load(sums[m]), factor, points)
            builder.store(total, sums[m])
    return [builder.bitcast(builder.load(slot), INTS) for slot in sums]


def _numbered(builder, scores):
    """Scores packed with the numbers of their centroids."""
    clear = _integers(-(1 << PACKED_BITS))
    return [builder.or_(builder.and_(b, clear), _integers(m)) for m, b in enumerate(scores)]


@intrinsic
def score_blocks(
    typing, tiles, n_tiles, columns, packed, halves, norms, count, best, second, blocks
):
    """The nearest and the second nearest of `count` blocks of centroids, of each point of tiles.

    tiles (n_tiles, columns, TILE)    coordinates, flat: float32, or int32 of two int16 each; so
                                      are packed and halves
    packed (count, columns, MEMBERS)  -c of the centroids, flat
    halves (count, MEMBERS)           |c|^2 / 2 of them, flat
    norms (n_tiles * TILE,) float32   |y|^2 / 2 of the points, not used for integers
    best, second (n_tiles * TILE,) int32   smallest packed scores so far, updated
    blocks (n_tiles * TILE,) int32    the block that best is from, updated
    """
    kind = FLOATS if tiles.dtype == types.float32 else INTS

    def codegen(context, builder, signature, args):
        tiles_, many, columns_, packed_, halves_, norms_, count_, *found = [
            data_of(context, builder, given, arg) if isinstance(given, types.Array) else arg
            for given, arg in zip(signature.args, args, strict=True)
        ]
        with cgutils.for_range(builder, many) as outer:
            at = builder.mul(outer.index, literal(TILE))
            tile = builder.gep(tiles_, [builder.mul(at, columns_)])
            norm = builder.gep(norms_, [at])
            here = [builder.gep(pointer, [at]) for pointer in found]
            with cgutils.for_range(builder, count_) as loop:
                scores = scores_of(
                    builder, kind, tile, columns_, packed_, halves_, norm, loop.index
                )
                _keep_nearest(builder, _numbered(builder, scores), loop.index, *here)
        return context.get_dummy_value()

    given = (tiles, n_tiles, columns, packed, halves, norms, count, best, second, blocks)
    return types.void(*given), codegen


def _keep_nearest(builder, scores, block, best, second, blocks):
    zero = literal(0)
    low, next_low = _two_smallest(builder, scores)
    old = load(builder, best, zero, INTS)
    runner_up = load(builder, second, zero, INTS)
    number = splat(builder, builder.trunc(block, I32), INTS)
    from_here = builder.icmp_signed("<", low, old)
    origin = builder.select(from_here, number, load(builder, blocks, zero, INTS))
    low, next_low = _joined(builder, old, runner_up, low, next_low)
    for value, pointer in ((low, best), (next_low, second), (origin, blocks)):
        store(builder, value, pointer, zero)


def _transposed(builder, rows):
    """LANES vectors whose columns the given LANES vectors are: perfect shuffles."""
    half = LANES // 2
    low = [(t // 2) + (LANES if t % 2 else 0) for t in range(LANES)]
    masks = [ir.Constant(INTS, low), ir.Constant(INTS, [half + lane for lane in low])]
    width = LANES
    while width > 1:
        rows = [
            builder.shuffle_vector(rows[i], rows[i + half], mask)
            for i in range(half)
            for mask in masks
        ]
        width //= 2
    return rows


@intrinsic
def transpose_rows(typing, rows, width, n_tiles, column, left, tiles):
    """Columns `column` to `column + left` of the rows of tiles into the tiles.

    rows (n_tiles * TILE, width)     flat, float32 or int32; from each row LANES values are read
                                     at `column`, also where that is beyond its end
    tiles (n_tiles, width, TILE)     flat
    left                             at most LANES
    """

    def codegen(context, builder, signature, args):
        kind = FLOATS if signature.args[0].dtype == types.float32 else INTS
        rows_ = data_of(context, builder, signature.args[0], args[0])
        tiles_ = data_of(context, builder, signature.args[5], args[5])
        width_, many, column_, left_ = args[1:5]
        with cgutils.for_range(builder, many) as loop:
            begin = builder.mul(builder.mul(loop.index, literal(TILE)), width_)
            first = builder.add(begin, column_)
            vectors = [
                load(builder, rows_, builder.add(first, builder.mul(literal(i), width_)), kind)
                for i in range(LANES)
            ]
            columns = _transposed(builder, vectors)
            line = builder.add(begin, builder.mul(column_, literal(TILE)))
            for j, vector in enumerate(columns):
                with builder.if_then(builder.icmp_signed("<", literal(j), left_)):
                    store(builder, vector, tiles_, builder.add(line, literal(j * TILE)))
        return context.get_dummy_value()

    numbers = (types.int64,) * 4
    return types.void(rows, *numbers, tiles), codegen


@intrinsic(prefer_literal=True)
def split_rows(typing, rows, n_tiles, tiles, width):
    """What transpose_rows does, for rows of 1, 2 or 4 values (a literal): they lie side by side."""
    columns = width.literal_value

    def codegen(context, builder, signature, args):
        kind = FLOATS if signature.args[0].dtype == types.float32 else INTS
        rows_ = data_of(context, builder, signature.args[0], args[0])
        tiles_ = data_of(context, builder, signature.args[2], args[2])
        with cgutils.for_range(builder, args[1]) as loop:
            begin = builder.mul(loop.index, literal(TILE * columns))
            places = [builder.add(begin, literal(j * TILE)) for j in range(columns)]
            vectors = [load(builder, rows_, place, kind) for place in places]
            for place, vector in zip(places, _split(builder, vectors), strict=True):
                store(builder, vector, tiles_, place)
        return context.get_dummy_value()

    return types.void(rows, types.int64, tiles, width), codegen


def _split(builder, vectors):
    """Every so-manieth value of vectors that follow each other, from the first, second, ... on."""
    if len(vectors) == 1:
        return vectors
    found = []
    for odd in (0, 1):
        mask = ir.Constant(INTS, [2 * t + odd for t in range(LANES)])
        halves = [
            builder.shuffle_vector(a, b, mask)
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        found.append(_split(builder, halves))
    return [found[t % 2][t // 2] for t in range(len(vectors))]


@intrinsic
def square_norms(typing, tiles, n_tiles, columns, norms):
    """norms (n_tiles * TILE,) int32: the squared lengths of the points of tiles (flat) of pairs of
    int16."""

    def codegen(context, builder, signature, args):
        tiles_ = data_of(context, builder, signature.args[0], args[0])
        norms_ = data_of(context, builder, signature.args[3], args[3])
        with cgutils.for_range(builder, args[1]) as outer:
            at = builder.mul(outer.index, literal(TILE))
            tile = builder.gep(tiles_, [builder.mul(at, args[2])])
            total = cgutils.alloca_once(builder, INTS)
            builder.store(_integers(0), total)
            with cgutils.for_range(builder, args[2]) as loop:
                value = load(builder, tile, builder.mul(loop.index, literal(TILE)), INTS)
                builder.store(multiply_add(builder, builder.load(total), value, value), total)
            store(builder, builder.load(total), norms_, at)
        return context.get_dummy_value()

    return types.void(tiles, types.int64, types.int64, norms), codegen


@intrinsic
def bits_float(typing, value):
    """The float32 of the bits of an int32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], F32)

    return types.float32(types.int32), codegen


@intrinsic
def float_bits(typing, value):
    """The bits of a float32 as an int32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], I32)

    return types.int32(types.float32), codegen


@intrinsic
def round_half(typing, value):
    """The int16 nearest to a float32 between -2**15 and 2**15, of two equally near the even one:
    adding 1.5 * 2**23 leaves it in the lowest bits."""

    def codegen(context, builder, signature, args):
        moved = builder.fadd(args[0], ir.Constant(F32, 1.5 * 2**23))
        return builder.trunc(builder.bitcast(moved, I32), I16)

    return types.int16(types.float32), codegen
