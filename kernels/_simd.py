"""Vectors as values in Numba code: `Vec(bits, lanes)` is LLVM's <lanes x iN>.

Kernels stay ordinary functions that read as array code; LLVM legalises a vector for the machine
(one zmm register, two ymm, four NEON registers). Here live the type, its few operations, tuples of
vectors, and the column step of the Gotoh recurrence, whose code is emitted by a loop over the rows.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from kernels._jit import features


class Vec(types.Type):
    """A vector of `lanes` signed integers of `bits` bits."""

    def __init__(self, bits: int, lanes: int):
        self.bits, self.lanes = bits, lanes
        super().__init__(name=f"Vec<{lanes} x i{bits}>")


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _llvm(fe_type))


def register_bytes() -> int:
    """Bytes of the widest integer vector register that code is compiled for."""
    have = features()
    if "avx512bw" in have:
        return 64
    return 32 if "avx2" in have else 16


def _llvm(vec: Vec) -> ir.VectorType:
    return ir.VectorType(ir.IntType(vec.bits), vec.lanes)


def _call(builder, name: str, vec: Vec, args):
    """Call an LLVM intrinsic of one vector type, such as llvm.smax."""
    kind = _llvm(vec)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(args)), f"{name}.v{vec.lanes}i{vec.bits}"
    )
    return builder.call(function, args)


def _address(context, builder, array_type, array, index, vec: Vec):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _llvm(vec).as_pointer())


def _load(context, builder, array_type, array, index, vec: Vec):
    value = builder.load(_address(context, builder, array_type, array, index, vec))
    value.align = vec.bits // 8  # rows need not start at a multiple of the register
    return value


def _store(context, builder, array_type, array, index, value, vec: Vec):
    instruction = builder.store(value, _address(context, builder, array_type, array, index, vec))
    instruction.align = vec.bits // 8


def _splat(builder, scalar, vec: Vec):
    kind = _llvm(vec)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vec.lanes), [0] * vec.lanes)
    return builder.shuffle_vector(first, undefined, zeros)


def _larger(builder, vec: Vec, a, b, as_float: bool = False):
    """The larger of two vectors.

    64-bit lanes hold values whose bits read as ordinary positive doubles (see FLOATING), and such
    values compare as integers and as doubles alike. AVX2 has no 64-bit integer maximum and AVX-512
    one a cycle, with another one for doubles beside it, so that the two kinds in turn run twice as
    fast.
    """
    if not as_float:
        return _call(builder, "llvm.smax", vec, [a, b])
    kind = ir.VectorType(ir.DoubleType(), vec.lanes)
    x, y = builder.bitcast(a, kind), builder.bitcast(b, kind)
    return builder.bitcast(
        builder.select(builder.fcmp_ordered(">", x, y, flags=("nnan",)), x, y), _llvm(vec)
    )


@intrinsic(prefer_literal=True)
def vload(typing, array, index, lanes):
    """`lanes` elements of a contiguous vector from element `index` on."""
    vec = Vec(array.dtype.bitwidth, lanes.literal_value)

    def codegen(context, builder, signature, args):
        return _load(context, builder, signature.args[0], args[0], args[1], vec)

    return vec(array, types.intp, lanes), codegen


@intrinsic
def vstore(typing, array, index, vector):
    """Write a vector to a contiguous array from element `index` on."""

    def codegen(context, builder, signature, args):
        _store(context, builder, signature.args[0], args[0], args[1], args[2], signature.args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic(prefer_literal=True)
def vset(typing, array, value, lanes):
    """`value` in every lane; the array only gives the element type."""
    vec = Vec(array.dtype.bitwidth, lanes.literal_value)

    def codegen(context, builder, signature, args):
        scalar = args[1] if vec.bits == 64 else builder.trunc(args[1], ir.IntType(vec.bits))
        return _splat(builder, scalar, vec)

    return vec(array, types.int64, lanes), codegen


def _binary(emit, doc: str):
    def typed(typing, a, b):
        def codegen(context, builder, signature, args):
            return emit(builder, signature.args[0], *args)

        return a(a, b), codegen

    typed.__doc__ = doc
    return intrinsic(typed)


vadd = _binary(lambda builder, vec, a, b: builder.add(a, b), "Lane by lane a + b.")
vsub = _binary(lambda builder, vec, a, b: builder.sub(a, b), "Lane by lane a - b.")
vmax = _binary(lambda builder, vec, a, b: _larger(builder, vec, a, b), "Lane by lane the larger.")
vadds = _binary(
    lambda builder, vec, a, b: _call(builder, "llvm.sadd.sat", vec, [a, b]), "a + b, saturated."
)


@intrinsic(prefer_literal=True)
def vtuple(typing, vector, count):
    """`count` copies of a vector."""
    kind = types.UniTuple(vector, count.literal_value)

    def codegen(context, builder, signature, args):
        return context.make_tuple(builder, kind, [args[0]] * kind.count)

    return kind(vector, count), codegen


@intrinsic(prefer_literal=True)
def vramp(typing, vector, step, count):
    """(vector, vector + step, ..., vector + (count - 1) * step)."""
    kind = types.UniTuple(vector, count.literal_value)

    def codegen(context, builder, signature, args):
        values = [args[0]]
        for _ in range(kind.count - 1):
            values.append(builder.add(values[-1], args[1]))
        return context.make_tuple(builder, kind, values)

    return kind(vector, vector, count), codegen


@intrinsic(prefer_literal=True)
def load_rows(typing, array, index, lanes, count):
    """`count` vectors that lie one behind the other."""
    vec = Vec(array.dtype.bitwidth, lanes.literal_value)
    kind = types.UniTuple(vec, count.literal_value)

    def codegen(context, builder, signature, args):
        values = [
            _load(context, builder, signature.args[0], args[0],
                  builder.add(args[1], ir.Constant(args[1].type, r * vec.lanes)), vec)
            for r in range(kind.count)
        ]  # fmt: skip
        return context.make_tuple(builder, kind, values)

    return kind(array, types.intp, lanes, count), codegen


@intrinsic
def store_rows(typing, array, index, rows):
    """Write a tuple of vectors one behind the other."""

    def codegen(context, builder, signature, args):
        vec = signature.args[2].dtype
        for r, value in enumerate(cgutils.unpack_tuple(builder, args[2])):
            at = builder.add(args[1], ir.Constant(args[1].type, r * vec.lanes))
            _store(context, builder, signature.args[0], args[0], at, value, vec)
        return context.get_dummy_value()

    return types.void(array, types.intp, rows), codegen


@intrinsic(prefer_literal=True)
def load_offsets(typing, array, index, count):
    """array[index], ..., array[index + count - 1] of an int64 vector as a tuple."""
    kind = types.UniTuple(types.intp, count.literal_value)

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        places = [builder.add(args[1], ir.Constant(args[1].type, k)) for k in range(kind.count)]
        values = [builder.load(builder.gep(data, [place])) for place in places]
        return context.make_tuple(builder, kind, values)

    return kind(array, types.intp, count), codegen


@intrinsic
def rows_minus(typing, rows, vector):
    """Every row less `vector`."""

    def codegen(context, builder, signature, args):
        values = [builder.sub(row, args[1]) for row in cgutils.unpack_tuple(builder, args[0])]
        return context.make_tuple(builder, signature.return_type, values)

    return rows(rows, vector), codegen


# The recurrence of Gotoh (1982) on one column of R rows. h is the value of a cell, e the gap value
# that enters it from the left, f from above, s the score of its letters, z the value 0:
#     h = max(h(diagonal) + s, z, e, f)
#     e(next column) = max(e - ext, h - open)    f(next row) likewise.
# 1. A gap in one sequence directly followed by one in the other has the same columns in either
#    order, so f may open from e but e need not open from f: both open from
#    g = max(h(diagonal) + s, z, e). (g serves for f as well as h, since f - open never exceeds
#    f - ext.) From row to row the chain is then one maximum long.
# 2. All values are *skewed*: a cell in row i and column j holds its value + ext * (i + j).
#    Extending a gap then costs nothing, two subtractions are gone, and 0 becomes
#    z = z0 + ext * (i + j).
# 3. The largest h must be compared without the skew. It is the same along an anti-diagonal, so
#    R - 1 partial maxima travel along anti-diagonals; the one that is complete is compared once a
#    column.
# That makes 8 R + 2 operations for R cells of each lane, where the textbook has 11 R.


@intrinsic
def gotoh_column(
    typing, h, e, partial, zeros, diagonal, f, profile, at, offsets, opening, extension
):
    """One column of R rows.

    h, e, partial, zeros   R-tuples of vectors: cells and gaps of the column before, partial
                           maxima, zeros
    diagonal, f            vectors: the cell above and left of row 0, the gap from above
    profile, at, offsets   scores: those of row r lie at profile[offsets[r] + at]
    opening                vector: gap_open - gap_extend
    Returns (h, e, partial, zeros of the next column, f below the last row).
    """
    result = types.Tuple((h, e, partial, zeros, f))

    def codegen(context, builder, signature, args):
        hs, es, parts, zs = (cgutils.unpack_tuple(builder, a) for a in args[:4])
        x, f_, profile_, at_, offsets_, open_, ext = args[4:]
        places, vec = cgutils.unpack_tuple(builder, offsets_), signature.args[4]
        rows = len(hs)

        def one(a, b):
            return _larger(builder, vec, a, b, vec.bits == 64)

        def other(a, b):
            return _larger(builder, vec, a, b, vec.bits == 64 and not MIXED)

        collected = []
        for r in range(rows):
            here = builder.add(places[r], at_)
            score = _load(context, builder, signature.args[6], profile_, here, vec)
            g = other(builder.add(x, score), one(zs[r], es[r]))
            gap = builder.sub(g, open_)
            x = hs[r]
            hs[r] = one(g, f_)
            es[r] = other(es[r], gap)
            f_ = one(f_, gap)
            collected.append(hs[r] if r == rows - 1 else other(parts[r + 1], hs[r]))
        zs = [*zs[1:], builder.add(zs[-1], ext)]
        tuples = [context.make_tuple(builder, h, values) for values in (hs, es, collected, zs)]
        return context.make_tuple(builder, result, [*tuples, f_])

    given = (h, e, partial, zeros, diagonal, f, profile, at, offsets, opening, extension)
    return result(*given), codegen


@intrinsic
def gather_partial(typing, best, partial, step):
    """`best` and what is left in the partial maxima; that of row r lies r * step ahead of it."""

    def codegen(context, builder, signature, args):
        value, ahead = args[0], None
        for part in cgutils.unpack_tuple(builder, args[1])[1:]:
            ahead = args[2] if ahead is None else builder.add(ahead, args[2])
            value = _larger(builder, signature.args[0], value, builder.sub(part, ahead))
        return value

    return best(best, partial, step), codegen


# Bits of 64-bit values lie in [FLOATING, 2^62): positive, normal doubles.
FLOATING = 1 << 53
# On AVX-512 half of the 64-bit maxima are integer ones; elsewhere there are none, or emulated ones.
MIXED = "avx512f" in features()
