"""One step of majorisation for ITEMS items at once: each lane of the vectors is an item.

Only operations that every CPU rounds alike are used (no fused ones), each lane by itself: an item
gets the same bytes on every machine and whatever the other lanes hold.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels._tiles import data_of, literal, load, splat, store

ITEMS = 8
_DOUBLES = ir.VectorType(ir.DoubleType(), ITEMS)
_ZERO, _ONE = (ir.Constant(_DOUBLES, [value] * ITEMS) for value in (0.0, 1.0))


def _at(builder, pointer, *place):
    """Where a vector of an array begins: place c, or i, d, c for place i * d + c."""
    index = place[-1]
    if len(place) == 3:
        index = builder.add(builder.mul(place[0], place[1]), index)
    return builder.gep(pointer, [builder.mul(index, literal(ITEMS))])


def _slot(builder, value):
    slot = cgutils.alloca_once(builder, value.type)
    builder.store(value, slot)
    return slot


def _add_to(builder, slot, value):
    builder.store(builder.fadd(builder.load(slot), value), slot)


@intrinsic
def step_lanes(typing, sizes, anchors, deltas, shares, items, z, mean, moved, rules):
    """Move the items in all lanes; returns which of them have arrived, as bits of an int64.

    sizes        (k, d) int64
    anchors      (k, d, ITEMS) float64, flat, as all arrays: positions of the landmarks
    deltas       (k, ITEMS): distances to them;  shares (k, ITEMS): 1, or 0 where none is known
    items        (4, ITEMS): 1 / number of known distances, 1 / sum of their squares, the stress
                 before, and the steps that are left; the last two are updated
    z, mean      (d, ITEMS): the items, updated unless they have arrived; the mean of the landmarks
    moved        (d, ITEMS): scratch
    rules        (1,): the fall of the stress below which an item has arrived
    """

    def codegen(context, builder, signature, args):
        k, d = cgutils.unpack_tuple(builder, args[0])
        anchors_, deltas_, shares_, items_, z_, mean_, moved_, rules_ = (
            data_of(context, builder, kind, arg)
            for kind, arg in zip(signature.args[1:], args[1:], strict=True)
        )
        zero, stress = literal(0), _slot(builder, _ZERO)
        with cgutils.for_range(builder, d) as axis:
            store(builder, _ZERO, _at(builder, moved_, axis.index), zero)
        with cgutils.for_range(builder, k) as anchor:
            squares = _slot(builder, _ZERO)
            with cgutils.for_range(builder, d) as axis:
                apart = _apart(builder, z_, anchors_, anchor.index, d, axis.index)
                _add_to(builder, squares, builder.fmul(apart, apart))
            delta = load(builder, _at(builder, deltas_, anchor.index), zero, _DOUBLES)
            share = load(builder, _at(builder, shares_, anchor.index), zero, _DOUBLES)
            distance = _root(builder, builder.load(squares))
            misfit = builder.fsub(distance, delta)
            _add_to(builder, stress, builder.fmul(share, builder.fmul(misfit, misfit)))
            apart_at_all = builder.fcmp_ordered(">", distance, _ZERO)
            ratio = builder.select(apart_at_all, builder.fdiv(delta, distance), _ZERO)
            with cgutils.for_range(builder, d) as axis:
                apart = _apart(builder, z_, anchors_, anchor.index, d, axis.index)
                _add_to_vector(
                    builder, _at(builder, moved_, axis.index), builder.fmul(ratio, apart)
                )
            lifted = builder.select(apart_at_all, _ZERO, delta)
            _add_to_vector(builder, moved_, lifted)
        number, scale, before, left = (
            load(builder, items_, literal(i * ITEMS), _DOUBLES) for i in range(4)
        )
        now = builder.fmul(builder.load(stress), scale)
        tol = splat(builder, builder.load(rules_), _DOUBLES)
        falls = builder.fcmp_ordered(">=", builder.fsub(before, now), tol)
        goes_on = builder.and_(falls, builder.fcmp_ordered(">", left, _ZERO))
        store(builder, now, items_, literal(2 * ITEMS))
        store(builder, builder.fsub(left, _ONE), items_, literal(3 * ITEMS))
        with cgutils.for_range(builder, d) as axis:
            here, there, to = (_at(builder, p, axis.index) for p in (mean_, moved_, z_))
            mean_here, sum_here, old = (load(builder, p, zero, _DOUBLES) for p in (here, there, to))
            new = builder.fadd(mean_here, builder.fmul(number, sum_here))
            store(builder, builder.select(goes_on, new, old), to, zero)
        arrived = builder.not_(goes_on)
        return builder.zext(builder.bitcast(arrived, ir.IntType(ITEMS)), ir.IntType(64))

    given = (sizes, anchors, deltas, shares, items, z, mean, moved, rules)
    return types.int64(*given), codegen


def _apart(builder, z, anchors, i, d, c):
    here = load(builder, _at(builder, z, c), literal(0), _DOUBLES)
    there = load(builder, _at(builder, anchors, i, d, c), literal(0), _DOUBLES)
    return builder.fsub(here, there)


def _root(builder, squares):
    name = f"llvm.sqrt.v{ITEMS}f64"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_DOUBLES, [_DOUBLES]), name
    )
    return builder.call(function, [squares])


def _add_to_vector(builder, pointer, value):
    total = builder.fadd(load(builder, pointer, literal(0), _DOUBLES), value)
    store(builder, total, pointer, literal(0))
