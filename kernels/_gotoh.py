"""Best local alignment keys of queries against lanes of targets, on explicit vectors.

A *key* is any integer that adds up along an alignment: the score, or the score with counts of
columns packed below it (kernels/_pairs.py). One function per *form* of lane: its width, and whether
the skew of the values (see _simd.py) is taken back at every group of rows and CHUNK of columns
(`rebased`), so that narrow lanes reach further, or runs on, which is faster.

Letters: L lanes, R rows held in registers, a the size of the alphabet; code a stands for padding.
"""

from typing import NamedTuple

import numpy as np

from kernels import _simd
from kernels._jit import njit
from kernels._simd import (
    gather_partial,
    gotoh_column,
    load_offsets,
    load_rows,
    rows_minus,
    store_rows,
    vadd,
    vadds,
    vload,
    vmax,
    vramp,
    vset,
    vstore,
    vsub,
    vtuple,
)

CHUNK = 16  # columns between two rebasings
ROWS = 6 if _simd.register_bytes() == 64 else 2  # AVX-512 has 32 registers, others 16
PROFILE_BYTES = 24 << 20  # of scores kept for a batch; longer targets are cut into tiles


class Form(NamedTuple):
    """A kind of lane: `bits` wide, with the skew taken back (`rebased`) or not.

    `narrow` lanes hold keys that may have several readings (see _keys.py): 1 with weights that the
    bound of the scores allows, 2 with larger ones, for scores to AIM of the bound.
    """

    bits: int
    rebased: bool
    narrow: int = 0

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(f"int{self.bits}")

    @property
    def lanes(self) -> int:
        return _simd.register_bytes() * 8 // self.bits


def key_range(form: Form, smallest: int, largest: int, gap_open: int, gap_extend: int, span: int):
    """(zero, most): where the value 0 lies in a lane, and the largest key that it holds exactly.

    smallest, largest   of the keys of one aligned column
    span                longest query + longest target
    `most` below 0 says that not even small keys fit.
    """
    if form.bits == 64:
        low, high = _simd.FLOATING, (1 << 62) - 1
    else:
        low, high = -(1 << (form.bits - 1)), (1 << (form.bits - 1)) - 1
    reach = ROWS + CHUNK + 2 if form.rebased else span + 2 * ROWS
    zero = low + gap_open + abs(min(smallest, 0)) + 6 * gap_extend + 1
    most = high - zero - gap_extend * reach - max(largest, 0) - 2 * gap_extend
    return zero, most


def _kernel(bits: int, rebased: bool):
    form = Form(bits, rebased)
    L, R, C = form.lanes, ROWS, CHUNK  # noqa: N806 - lengths, as in the module's docstring

    @njit
    def align_batch(
        codes, starts, lengths, targets, columns, table, used, tile, zero, gap_open, gap_extend, out
    ):
        """Best keys of every query against L targets.

        codes, starts, lengths   queries: query k is codes[starts[k]:starts[k] + lengths[k]]
        targets (columns * L,)   uint8 codes of the targets, column by column, padded with a
        table ((a + 1)^2,)       keys of one aligned column, skewed: key + 2 * gap_extend
        used (a + 1,)            which codes occur in queries; code a, the padding, does
        tile                     columns laid out at a time (a multiple of CHUNK)
        out (queries, L)         int64, filled with the keys
        """

        def align_tile(
            offsets, groups, profile, columns, first, hrow, frow, hside, eside, tiled,
            zero, gap_open, gap_extend, best,
        ):  # fmt: skip
            """All rows of one query against `columns` columns from `first` on; updates best[0:L].

            hrow, frow     (columns * L,) cells and gaps of the last row, from group to group
            hside, eside   (rows * L,) cells and gaps of the column before `first`, tile to tile
            """
            opening = vset(hrow, gap_open - gap_extend, L)
            step = vset(hrow, gap_extend, L)
            down = vset(hrow, gap_extend * R, L)
            left = vset(hrow, gap_extend * C, L)
            column = 0 if rebased else first
            value = vset(hrow, zero + gap_extend * (column - 1), L)
            for j in range(columns):
                vstore(hrow, j * L, value)
                vstore(frow, j * L, value)
                value = vadd(value, step)
                if rebased and (j + 1) % C == 0:
                    value = vsub(value, left)
            reached = vload(best, 0, L)
            corner = vset(hrow, zero + gap_extend * (column - 2), L)
            for group in range(groups):
                row = 0 if rebased else group * R
                places = load_offsets(offsets, group * R, R)
                ground = vset(hrow, zero + gap_extend * (row - 1), L)
                if first == 0:
                    h = vramp(ground, step, R)
                    e = h
                    above = vsub(ground, step)
                else:
                    h = load_rows(hside, group * R * L, L, R)
                    e = load_rows(eside, group * R * L, L, R)
                    above = corner
                    corner = vload(hside, (group * R + R - 1) * L, L)
                    if rebased:
                        corner = vsub(corner, down)
                zeros = vramp(vset(hrow, zero + gap_extend * (row + column), L), step, R)
                partial = vtuple(ground, R)
                top = vadds(reached, vset(hrow, gap_extend * (row + column - 1), L))
                start, last = 0, column - 1
                while start < columns:
                    stop = min(start + C, columns) if rebased else columns
                    for j in range(start, stop):
                        at = j * L
                        diagonal = above
                        above = vload(hrow, at, L)
                        h, e, partial, zeros, f = gotoh_column(
                            h, e, partial, zeros, diagonal, vload(frow, at, L),
                            profile, at, places, opening, step,
                        )  # fmt: skip
                        top = vmax(vadds(top, step), partial[0])
                        if rebased:
                            vstore(hrow, at, vsub(h[R - 1], down))
                            vstore(frow, at, vsub(f, down))
                        else:
                            vstore(hrow, at, h[R - 1])
                            vstore(frow, at, f)
                    last = last + stop - start
                    if rebased and stop == start + C:
                        h, e = rows_minus(h, left), rows_minus(e, left)
                        partial, zeros = rows_minus(partial, left), rows_minus(zeros, left)
                        above, top = vsub(above, left), vsub(top, left)
                        last = -1
                    start = stop
                top = gather_partial(top, partial, step)
                reached = vmax(reached, vsub(top, vset(hrow, gap_extend * (row + last), L)))
                if tiled:
                    store_rows(hside, group * R * L, h)
                    store_rows(eside, group * R * L, e)
            vstore(best, 0, reached)

        a1 = used.size
        slots = np.zeros(a1, np.int64)
        n_used = 0
        for code in range(a1):
            slots[code] = n_used
            n_used += used[code]
        longest = 0
        for k in range(lengths.size):
            longest = max(longest, lengths[k])
        rows = (longest + R - 1) // R * R
        width = min(tile, columns) * L
        tiled = tile < columns
        profile = np.empty(n_used * width, table.dtype)
        hrow = np.empty(width, table.dtype)
        frow = np.empty(width, table.dtype)
        hside = np.empty(rows * L if tiled else L, table.dtype)
        eside = np.empty(rows * L if tiled else L, table.dtype)
        offsets = np.empty(rows, np.int64)
        best = np.empty(L, table.dtype)
        laid_out = False
        for k in range(lengths.size):
            m = lengths[k]
            groups = (m + R - 1) // R
            for i in range(groups * R):
                code = codes[starts[k] + i] if i < m else a1 - 1
                offsets[i] = slots[code] * width
            for lane in range(L):
                best[lane] = zero
            for first in range(0, columns, tile):
                here = min(tile, columns - first)
                if tiled or not laid_out:
                    for code in range(a1):
                        if used[code]:
                            to, row = slots[code] * width, code * a1
                            for x in range(here * L):
                                profile[to + x] = table[row + targets[first * L + x]]
                    laid_out = True
                align_tile(
                    offsets, groups, profile, here, first, hrow, frow, hside, eside, tiled,
                    zero, gap_open, gap_extend, best,
                )  # fmt: skip
            for lane in range(L):
                out[k, lane] = np.int64(best[lane]) - zero

    return align_batch


_kernels: dict[Form, object] = {}


def kernel(form: Form):
    """The compiled function of a form (compiled, or loaded from the cache, when first called)."""
    form = form._replace(narrow=0)
    if form not in _kernels:
        _kernels[form] = _kernel(form.bits, form.rebased)
    return _kernels[form]


def tile_columns(form: Form, columns: int, used: int) -> int:
    """Columns of a tile, so that the scores of one tile stay within PROFILE_BYTES."""
    most = PROFILE_BYTES // (max(used, 1) * form.lanes * form.bits // 8)
    return columns if columns <= most else max(most // CHUNK, 1) * CHUNK
