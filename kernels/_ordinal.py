"""The Guttman transform of ordinal scaling: dissimilarities count by their order only."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import isotonic
from kernels._jit import njit
from kernels.isotonic import Order
from kernels.mds import Band, unpack_band


def guttman_block(
    band: Band, x: np.ndarray, first: bool, memory: dict[str, Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """What residual_block gives, for the disparities in place of the dissimilarities.

    band     the whole matrix
    first    the first transform takes the dissimilarities themselves, scaled as disparities are
    memory   where the order of the pairs is kept from call to call
    """
    memory = {} if memory is None else memory
    if "order" not in memory:
        whole = unpack_band(band)
        order = isotonic.order_pairs(whole)
        memory["order"], memory["deltas"] = order, whole[order.rows, order.columns]
    order: Order = memory["order"]
    if first:
        deltas = memory["deltas"]
        squares = float(np.square(deltas).sum())
        wanted = deltas * np.sqrt(len(deltas) / squares) if squares > 0 else np.ones(len(deltas))
    else:
        wanted = isotonic.disparities(order, x)
    out = np.zeros(x.shape)
    eta = _residual(order.rows, order.columns, wanted, np.ascontiguousarray(x), out)
    return out, np.array([eta])


@njit
def _residual(rows, columns, wanted, x, out):
    eta = 0.0
    for pair in range(len(rows)):
        i, j = rows[pair], columns[pair]
        square = 0.0
        for k in range(x.shape[1]):
            square += (x[i, k] - x[j, k]) ** 2
        eta += square
        ratio = (wanted[pair] / np.sqrt(square) if square > 0 else 0.0) - 1.0
        for k in range(x.shape[1]):
            gain = ratio * (x[i, k] - x[j, k])
            out[i, k] += gain
            out[j, k] -= gain
    return eta
