"""Four rows of a packed band against a run of its cells: the vector code of scaling.

For the 4 rows i of a quad and each column j, with z = |x_i - x_j|^2:

    guttman     e = g / sqrt(z)          g = w max(delta - tau, 0)
    residual    e = g / sqrt(z) - w      and the sum of w z
    laplacian   e = w
    stress      the sums of w (g / w - sqrt(z))^2, g^2 / w, g sqrt(z), w z
    heat        the sum of g^2 / w
    summary     each row and column gains 1 where w is not 0, and w; the sums of w delta^2, delta,
                the smallest delta above 0, the largest

and e (x_i - x_j) is added to row i and taken from column j. Products are multiplied once and added
twice: multiplications are what the loop is bound by. On AVX-512 1 / sqrt(z) is the CPU's estimate
and Newton steps whose constant factors are left for the end (FACTOR), elsewhere a root and a
division. z begins with TINY: coincident points then give 0.

Weights are not stored where they follow from delta: 1, or a power of it in steps of a half.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels._jit import features
from kernels._simd import register_bytes

UNIT_CODE, GIVEN_CODE, POWER_CODE = 1, 2, 11  # lengths of `code`; POWER_CODE + 2 p
ESTIMATES = "avx512f" in features() and register_bytes() == 64
FACTOR = {"float32": 0.5, "float64": 1 / 16} if ESTIMATES else {"float32": 1.0, "float64": 1.0}
MODES = ("guttman", "residual", "laplacian", "stress", "heat", "summary")
TOTALS = 4
USED = {"residual": 1, "stress": 4, "heat": 1, "summary": 4}  # of the totals
ROW, BOTH = 0, 1  # sides
TINY = 1e-30
ROWS, COLUMNS = 4, 16
AHEAD = 2048  # bytes: what memory is asked for before it is needed
_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_BITS = {"float32": 32, "float64": 64, "int16": 16}


class _Emitter:
    """Emits vector code on one kind of real numbers."""

    def __init__(self, builder, real: str):
        self.builder, self.real = builder, real
        self.scalar = ir.FloatType() if real == "float32" else ir.DoubleType()
        self.lanes = register_bytes() * 8 // _BITS[real]
        self.kind = ir.VectorType(self.scalar, self.lanes)

    def const(self, value: float):
        return ir.Constant(self.kind, [value] * self.lanes)

    def splat(self, scalar):
        nothing = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(nothing, scalar, ir.Constant(_I32, 0))
        places = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, nothing, places)

    def call(self, name: str, *args):
        suffix = f".v{self.lanes}f{_BITS[self.real]}"
        shape = ir.FunctionType(self.kind, [self.kind] * len(args))
        function = cgutils.get_or_insert_function(self.builder.module, shape, name + suffix)
        return self.builder.call(function, args)

    def fma(self, a, b, c):
        return self.call("llvm.fma", a, b, c)

    def load(self, pointer, index, dtype: str):
        """A vector of reals from memory of dtype."""
        element = {"float32": ir.FloatType(), "float64": ir.DoubleType(), "int16": _I16}[dtype]
        wide = ir.VectorType(element, self.lanes)
        at = self.builder.bitcast(self.builder.gep(pointer, [index]), wide.as_pointer())
        value = self.builder.load(at)
        value.align = _BITS[dtype] // 8
        if dtype == "int16":
            return self.builder.sitofp(value, self.kind)
        return value if dtype == self.real else self.builder.fpext(value, self.kind)

    def store(self, value, pointer, index):
        at = self.builder.bitcast(self.builder.gep(pointer, [index]), self.kind.as_pointer())
        self.builder.store(value, at).align = _BITS[self.real] // 8

    def above(self, value, floor):
        """The larger one; the floor where value is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", value, floor), value, floor)

    def estimate(self, value):
        """1 / sqrt(value) to 14 bits."""
        bits = _BITS[self.real]
        name = f"llvm.x86.avx512.rsqrt14.p{'s' if bits == 32 else 'd'}.512"
        mask = ir.IntType(self.lanes)
        shape = ir.FunctionType(self.kind, [self.kind, self.kind, mask])
        function = cgutils.get_or_insert_function(self.builder.module, shape, name)
        return self.builder.call(function, [value, self.const(0.0), ir.Constant(mask, -1)])

    def over_root(self, g, z):
        """g / sqrt(z) / FACTOR."""
        b = self.builder
        if not ESTIMATES:
            return b.fdiv(g, self.call("llvm.sqrt", z))
        root, three = self.estimate(z), 3.0
        if self.real == "float64":
            left = self.fma(b.fneg(b.fmul(z, root)), root, self.const(three))
            root, three = b.fmul(root, left), 12.0
        left = self.fma(b.fneg(b.fmul(z, root)), root, self.const(three))
        return b.fmul(b.fmul(g, root), left)

    def power(self, value, halves: int):
        """value ** (halves / 2), for value > 0."""
        b = self.builder
        if halves == 0:
            return self.const(1.0)
        if halves > 0 and halves % 2 == 0:
            base, times = value, halves // 2
        elif halves > 0:
            base, times = self.call("llvm.sqrt", value), halves
        else:
            base = b.fmul(self.over_root(self.const(1.0), value), self.const(FACTOR[self.real]))
            times = -halves
        result = base
        for _ in range(times - 1):
            result = b.fmul(result, base)
        return result

    def total(self, value):
        """The sum of the lanes, as a double: halves are added until one is left."""
        b, lanes = self.builder, self.lanes
        while lanes > 1:
            half = lanes // 2
            parts = [
                b.shuffle_vector(
                    value, ir.Constant(value.type, ir.Undefined),
                    ir.Constant(ir.VectorType(_I32, half), list(range(first, first + half))),
                )
                for first in (0, half)
            ]  # fmt: skip
            value, lanes = b.fadd(*parts), half
        value = b.extract_element(value, ir.Constant(_I32, 0))
        return value if self.real == "float64" else b.fpext(value, ir.DoubleType())


class _Quad:
    """The loop over cells; arguments as in `quad`."""

    def __init__(self, context, builder, signature, args, sides: int):
        values, weights, _, code, mode, _, xs, _, _, _, columns, _, sums, _ = signature.args

        def data(kind, value):
            return context.make_array(kind)(context, builder, value).data

        def each(kind, value):
            return [data(kind.dtype, part) for part in cgutils.unpack_tuple(builder, value)]

        self.b, self.mode, self.sides = builder, MODES[mode.count - 1], sides
        self.e = _Emitter(builder, str(xs.dtype.dtype))
        self.dtype, self.code, self.d = str(values.dtype), code.count, xs.count
        self.values, self.weights = data(values, args[0]), data(weights, args[1])
        self.at = args[2]
        self.tau, self.floor = (self.e.splat(builder.extract_value(args[5], k)) for k in (0, 1))
        self.xs, self.columns = each(xs, args[6]), each(columns, args[10])
        self.row, self.column, self.cells, self.place = args[7], args[8], args[9], args[11]
        self.sums = data(sums, args[12])

    def number(self, value: int):
        return ir.Constant(_I64, value)

    def emit(self):
        b, e = self.b, self.e
        rows = [
            [
                e.splat(b.load(b.gep(x, [b.add(self.row, self.number(r))])))
                for x in self.xs
            ]
            for r in range(ROWS)
        ]  # fmt: skip
        kept = [[self.slot() for _ in self.xs] for _ in range(ROWS)]
        self.totals = [self.slot(np.inf if self.is_low(k) else 0.0) for k in range(TOTALS)]
        with cgutils.for_range(b, self.cells) as loop:
            cell = b.add(self.at, b.mul(loop.index, self.number(ROWS * COLUMNS)))
            self.ask_ahead(cell)
            for part in range(0, COLUMNS, e.lanes):
                ahead = b.add(b.mul(loop.index, self.number(COLUMNS)), self.number(part))
                self.part(rows, kept, b.add(cell, self.number(part)), ahead)
        for r in range(ROWS):
            for k in range(self.d):
                self.add_total(r * self.d + k, kept[r][k], 1.0)
        for k, slot in enumerate(self.totals):
            if k < USED.get(self.mode, 0):
                self.add_total(ROWS * self.d + k, slot, 0.5 if self.sides == ROW else 1.0)

    def slot(self, value: float = 0.0):
        slot = cgutils.alloca_once_value(self.b, self.e.const(value))
        self.b.store(self.e.const(value), slot)
        return slot

    def is_low(self, k: int) -> bool:
        return self.mode == "summary" and k == 2

    def is_high(self, k: int) -> bool:
        return self.mode == "summary" and k == 3

    def gain(self, k: int, value):
        """Add to a total, or keep the smaller or larger one."""
        b, slot = self.b, self.totals[k]
        old = b.load(slot)
        if self.is_low(k) or self.is_high(k):
            nearer = b.fcmp_ordered("<" if self.is_low(k) else ">", value, old)
            b.store(b.select(nearer, value, old), slot)
        else:
            b.store(b.fadd(old, value), slot)

    def add_total(self, place: int, slot, share: float):
        b, k = self.b, place - ROWS * self.d
        at = b.gep(self.sums, [self.number(place)])
        if self.is_low(k) or self.is_high(k):
            b.store(self.nearest(slot, b.load(at), "<" if self.is_low(k) else ">"), at)
            return
        total = b.fmul(self.e.total(b.load(slot)), ir.Constant(ir.DoubleType(), share))
        b.store(b.fadd(b.load(at), total), at)

    def nearest(self, slot, scalar, order: str):
        """The smallest or largest of the lanes and a double."""
        b, vector = self.b, self.b.load(slot)
        for lane in range(self.e.lanes):
            value = b.extract_element(vector, ir.Constant(_I32, lane))
            value = value if self.e.real == "float64" else b.fpext(value, ir.DoubleType())
            scalar = b.select(b.fcmp_ordered(order, value, scalar), value, scalar)
        return scalar

    def ask_ahead(self, cell):
        b, bytes_of = self.b, _BITS[self.dtype] // 8
        pointer = ir.IntType(8).as_pointer()
        shape = ir.FunctionType(ir.VoidType(), [pointer, _I32, _I32, _I32])
        ask = cgutils.get_or_insert_function(b.module, shape, "llvm.prefetch.p0")
        hints = [ir.Constant(_I32, value) for value in (0, 3, 1)]
        for line in range(0, ROWS * COLUMNS * bytes_of, 64):
            place = b.add(cell, self.number((AHEAD + line) // bytes_of))
            b.call(ask, [b.bitcast(b.gep(self.values, [place]), pointer), *hints])

    def part(self, rows, kept, cell, ahead):
        """One vector of columns against the 4 rows."""
        b, e = self.b, self.e
        there = [e.load(x, b.add(self.column, ahead), e.real) for x in self.xs]
        taken = [None] * self.d
        for r in range(ROWS):
            at = b.add(cell, self.number(r * COLUMNS))
            apart = [b.fsub(x, y) for x, y in zip(rows[r], there, strict=True)]
            for k, gain in enumerate(self.gains(apart, at)):
                b.store(b.fadd(b.load(kept[r][k]), gain), kept[r][k])
                taken[k] = gain if taken[k] is None else b.fadd(taken[k], gain)
        if self.sides == ROW or taken[0] is None:
            return
        give = b.fadd if self.mode == "summary" else b.fsub
        place = b.add(self.place, ahead)
        for pointer, value in zip(self.columns, taken, strict=True):
            e.store(give(e.load(pointer, place, e.real), value), pointer, place)

    def gains(self, apart, at):
        """What a row gains of a vector of columns, for each k; totals gain as well."""
        b = self.b
        delta = self.e.load(self.values, at, self.dtype)
        if self.mode == "summary":
            return self.summarise(delta, self.weight(delta, at))
        if self.mode in ("stress", "heat"):
            self.sum_up(delta, self.weight(delta, at), apart)
            return []
        ratio = self.ratio(delta, self.weight(delta, at), apart)
        return [b.fmul(ratio, difference) for difference in apart]

    def summarise(self, delta, w):
        b, e = self.b, self.e
        zero, one = e.const(0.0), e.const(1.0)
        known = e.above(delta, zero)
        self.gain(0, b.fmul(b.fmul(known, known), w))
        self.gain(1, known)
        self.gain(2, b.select(b.fcmp_ordered(">", delta, zero), delta, e.const(np.inf)))
        self.gain(3, known)
        return [b.select(b.fcmp_ordered(">", w, zero), one, zero), w]

    def sum_up(self, delta, w, apart):
        b, e = self.b, self.e
        g = e.above(b.fsub(delta, self.tau), e.const(0.0))
        weighted = b.fmul(w, g)
        if self.mode == "heat":
            self.gain(0, b.fmul(weighted, g))
            return
        z = e.const(0.0)
        for difference in apart:
            z = e.fma(difference, difference, z)
        distance = e.call("llvm.sqrt", z)
        off = b.fsub(g, distance)
        for k, value in enumerate(
            (
                b.fmul(b.fmul(w, off), off), b.fmul(weighted, g), b.fmul(weighted, distance),
                b.fmul(w, z),
            )
        ):  # fmt: skip
            self.gain(k, value)

    def weight(self, delta, at):
        """w, or None where it is 1 or g is 0."""
        b, e = self.b, self.e
        if self.code == UNIT_CODE and self.mode == "guttman":
            return None
        if self.code == UNIT_CODE:
            w = e.const(1.0)
        elif self.code == GIVEN_CODE:
            w = e.load(self.weights, at, "float32")
        else:
            w = e.power(e.above(delta, self.floor), self.code - POWER_CODE)
        return b.select(b.fcmp_ordered(">=", delta, e.const(0.0)), w, e.const(0.0))

    def ratio(self, delta, w, apart):
        """e / FACTOR, but for the laplacian."""
        b, e = self.b, self.e
        if self.mode == "laplacian":
            return w
        z = e.const(TINY)
        for difference in apart:
            z = e.fma(difference, difference, z)
        g = e.above(b.fsub(delta, self.tau), e.const(0.0))
        if w is not None and self.code != UNIT_CODE:
            g = b.fmul(g, w)
        ratio = e.over_root(g, z)
        if self.mode == "guttman":
            return ratio
        self.gain(0, b.fmul(w, z))
        return e.fma(w, e.const(-1 / FACTOR[e.real]), ratio)


@intrinsic(prefer_literal=True)
def quad(
    typing, values, weights, at, code, mode, heat, xs, row, column, cells, columns, place, sums,
    sides,
):  # fmt: skip
    """One quad against `cells` cells.

    values, weights    packed; at: where the first cell begins
    code, mode         tuples whose lengths tell the weights (*_CODE) and what is done (MODES)
    heat               (tau, floor), reals as in xs
    xs                 d arrays: coordinates; row: of the quad's first row; column: of the first
                       cell's first column
    columns            d arrays of reals: what the columns gain, from `place` on
    sums (4 d + 4,)    float64: what each row gains, and TOTALS
    sides              a literal: ROW for cells on the diagonal, which give to rows only, or BOTH
    """
    whole = types.int64
    literal = sides.literal_value

    def codegen(context, builder, signature, args):
        _Quad(context, builder, signature, args, literal).emit()
        return context.get_dummy_value()

    given = (
        values, weights, whole, code, mode, heat, xs, whole, whole, whole, columns, whole, sums,
        sides,
    )  # fmt: skip
    return types.void(*given), codegen
