"""Multidimensional scaling by majorisation (SMACOF) on bands of a dissimilarity matrix.

The stress of a configuration X is the sum over the pairs i < j of w (delta - dist)^2. One Guttman
transform solves V X' = B(X) X, where v_ij = -w, b_ij = -w delta / dist, and the diagonals make the
rows sum to 0; no transform raises the stress. De Leeuw (1977); Borg and Groenen (2005), chapter 8.

    BC-calc       rows of B(X) X                 guttman_block
    X-calc        V P, for conjugate gradients   laplacian_block; not needed where all w are 1
    Stress-calc   the stress itself              stress_block; while iterating it follows from
                                                 B(X) X: const + tr X'VX - 2 tr X'B(X)X

A block is a band of rows of the upper triangle that gives to its rows and its columns, so that each
pair is read once. Distances are computed on the fly; weights are a second matrix, or a power of
delta, or 0 where delta is missing, and then nothing is stored for them.

Letters: n records, d dimensions of the map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels import _passes, _quads
from kernels._bands import STRIP, band_ranges, fill_band, new_band, packed_size, unpack
from kernels._jit import njit

__all__ = [
    "STRIP",
    "Band",
    "Summary",
    "Weighting",
    "band_of",
    "band_ranges",
    "fill_band",
    "guttman_block",
    "heated_block",
    "join_summaries",
    "laplacian_block",
    "new_band",
    "packed_size",
    "residual_block",
    "smacof",
    "stress_block",
    "summary_block",
    "unpack_band",
    "warm_up",
    "weighting_code",
    "weighting_of",
]

SAMMON_FLOOR = 1e-3  # of the mean dissimilarity: weights 1 / delta do not grow beyond
EXACT_RECORDS = 1000  # of so few, float64 costs nothing, and errors have less to cancel with
IN_DOUBLES = ("stress", "heat", "summary")
UNIT, GIVEN, POWER = 0, 1, 2  # kinds of weights
POWERS = 8  # weights delta^p for p in steps of a half, from -4 to 4


class Weighting(NamedTuple):
    """How pairs are weighted; missing ones always with 0.

    kind     'none': 1; 'given': by a matrix; 'power': max(delta, floor) ** power
    """

    kind: str = "none"
    power: float = 0.0
    floor: float = 0.0


class Band(NamedTuple):
    """Rows start..stop-1 of the upper triangle.

    values    packed by `fill_band`: dissimilarity / scale, float32, float64 or int16
    place     start, stop, n
    weights   packed float32, or None
    """

    values: np.ndarray
    place: tuple[int, int, int]
    scale: float = 1.0
    weights: np.ndarray | None = None

    @property
    def groups(self) -> int:
        return -(-self.place[2] // STRIP)

    @property
    def strips(self) -> tuple[int, int]:
        """(first, how many)."""
        start, stop, _ = self.place
        return start // STRIP, -(-(stop - start) // STRIP)


class Summary(NamedTuple):
    """Sums over pairs, of one band or all.

    counts, degrees (n,)   of each point: known pairs, and their weights
    squares                w delta^2;  total: delta;  low, high: smallest above 0 (inf: none), and
                           largest delta
    """

    counts: np.ndarray
    degrees: np.ndarray
    known: float
    squares: float
    total: float
    low: float
    high: float


def band_of(data: Mapping[str, np.ndarray]) -> Band:
    """The band in a dict of arrays: values, place (3,), scale (1,) and, where given, weights."""
    start, stop, n = (int(number) for number in data["place"])
    return Band(data["values"], (start, stop, n), float(data["scale"][0]), data.get("weights"))


def unpack_band(band: Band) -> np.ndarray:
    """(stop - start, n - start) float64: rows of the band, from its first column on. NaN: missing,
    the diagonal, and what is below it."""
    return unpack(band.values, band.place, band.scale)


def weighting_of(weights: str, mean: float) -> Weighting:
    """The weighting of 'none', 'given', 'sammon' or 'power:P'; mean: of all dissimilarities.

    'sammon' is 1 / max(delta, mean / 1000), 'power:P' is max(delta, mean / 1000) ** P with P in
    steps of a half from -4 to 4. Raises ValueError.
    """
    if weights in ("none", "given"):
        return Weighting(weights)
    name, _, exponent = ("power", ":", "-1") if weights == "sammon" else weights.partition(":")
    try:
        power = float(exponent)
    except ValueError:
        power = math.nan
    if name != "power" or not abs(power) * 2 <= POWERS or not (power * 2).is_integer():
        raise ValueError(
            f"weights is {weights!r}; choose none, sammon, power:P (P from -4 to 4 in steps of "
            "a half), or give a matrix"
        )
    return Weighting("power", power, SAMMON_FLOOR * mean if mean > 0 else 1.0)


def weighting_code(band: Band, weighting: Weighting) -> tuple[int, float, float]:
    """kind, power and floor as `weight_of` takes them, in units of the band's scale."""
    kind = {"none": UNIT, "given": GIVEN, "power": POWER}[weighting.kind]
    if kind == GIVEN and band.weights is None:
        raise ValueError("the weights of the band are not there")
    return kind, weighting.power, weighting.floor / band.scale


@njit
def weight_of(delta, given, kind, power, floor):
    """w of one pair, in float64: the definition that the passes follow."""
    if not delta >= 0:
        return 0.0
    if kind == UNIT:
        return 1.0
    if kind == GIVEN:
        return given
    return max(delta, floor) ** power


def _run(
    mode: str, band: Band, x: np.ndarray, tau: float, weighting: Weighting
) -> tuple[np.ndarray, np.ndarray]:
    """(what the rows gain (n, d), totals (4,)) of a pass, in units of the band's scale and of a
    weight whose dissimilarity is the scale; see `_quads`."""
    n, d = x.shape
    kind, power, floor = weighting_code(band, weighting)
    exact = band.values.dtype == np.float64 or n <= EXACT_RECORDS or mode in IN_DOUBLES
    real = np.float64 if exact else np.float32
    padded = np.zeros((band.groups * STRIP, d))
    padded[:n] = x / band.scale
    xs = tuple(np.ascontiguousarray(column) for column in padded.astype(real).T)
    columns = tuple(np.zeros(STRIP * _passes.TILE, real) for _ in xs)
    out = np.zeros((band.groups * STRIP, d))
    totals = _passes.run_pass(
        band.values, band.weights if kind == GIVEN else np.empty(0, np.float32),
        (0,) * _code(kind, power), (0,) * (1 + _quads.MODES.index(mode)),
        (real(tau / band.scale), real(floor)), *band.strips, n, xs, columns, out,
        math.inf if mode == "summary" else 0.0,
    )  # fmt: skip
    share = _quads.FACTOR[np.dtype(real).name] if mode in ("guttman", "residual") else 1.0
    return out[:n] * share, totals


def _code(kind: int, power: float) -> int:
    return {UNIT: _quads.UNIT_CODE, GIVEN: _quads.GIVEN_CODE}.get(
        kind, _quads.POWER_CODE + int(2 * power)
    )


def _unit(band: Band, weighting: Weighting) -> float:
    """The weight of a pair whose weight is 1 in units of the scale."""
    return band.scale**weighting.power if weighting.kind == "power" else 1.0


def summary_block(band: Band, weighting: Weighting = Weighting()) -> Summary:  # noqa: B008
    """What must be known of all pairs before the first transform."""
    gains, totals = _run("summary", band, np.zeros((band.place[2], 2)), 0.0, weighting)
    squares, total, low, high = totals.tolist()
    counts, scale, unit = gains[:, 0].copy(), band.scale, _unit(band, weighting)
    return Summary(
        counts, gains[:, 1] * unit, float(counts.sum()) / 2, squares * unit * scale**2,
        total * scale, low * scale, high * scale,
    )  # fmt: skip


def join_summaries(left: Summary, right: Summary) -> Summary:
    """Of the pairs of both."""
    return Summary(
        left.counts + right.counts, left.degrees + right.degrees, left.known + right.known,
        left.squares + right.squares, left.total + right.total, min(left.low, right.low),
        max(left.high, right.high),
    )  # fmt: skip


def guttman_block(
    band: Band, x: np.ndarray, tau: float = 0.0, weighting: Weighting = Weighting()  # noqa: B008
) -> np.ndarray:  # fmt: skip
    """(n, d) float64: what the band gives to the rows of B(X) X.

    x (n, d) float64   configuration; best with its mean at 0
    tau                dissimilarities are max(delta - tau, 0): those of a temperature
    """
    return _run("guttman", band, x, tau, weighting)[0] * (band.scale * _unit(band, weighting))


def residual_block(
    band: Band, x: np.ndarray, tau: float = 0.0, weighting: Weighting = Weighting()  # noqa: B008
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """What the band gives to B(X) X - V X, (n, d) float64, and to the sum of w dist^2, (1,)."""
    rows, totals = _run("residual", band, x, tau, weighting)
    unit = band.scale * _unit(band, weighting)
    return rows * unit, totals[:1] * (band.scale * unit)


def laplacian_block(
    band: Band, p: np.ndarray, weighting: Weighting = Weighting()  # noqa: B008
) -> np.ndarray:  # fmt: skip
    """(n, d) float64: what the band gives to V P, for p (n, d) float64."""
    return _run("laplacian", band, p, 0.0, weighting)[0] * (band.scale * _unit(band, weighting))


def stress_block(
    band: Band, x: np.ndarray, weighting: Weighting = Weighting(), tau: float = 0.0  # noqa: B008
) -> np.ndarray:  # fmt: skip
    """(4,) float64, sums over the pairs of the band, each pair computed in float64:
    w (delta - dist)^2, w delta^2, w delta dist, w dist^2; delta stands for max(delta - tau, 0)."""
    totals = _run("stress", band, x, tau, weighting)[1]
    return totals * (band.scale**2 * _unit(band, weighting))


def heated_block(
    band: Band, tau: float, weighting: Weighting = Weighting()  # noqa: B008
) -> np.ndarray:  # fmt: skip
    """(1,) float64: the sum of w max(delta - tau, 0)^2 over the pairs of the band."""
    totals = _run("heat", band, np.zeros((band.place[2], 1)), tau, weighting)[1]
    return totals[:1] * (band.scale**2 * _unit(band, weighting))


def smacof(
    dissimilarities: Any,
    *,
    n_components: int = 2,
    weights: str | np.ndarray = "none",
    init: str | np.ndarray = "classical",
    n_init: int = 1,
    anneal: bool = False,
    cooling: float = 0.95,
    relax: bool = True,
    max_iter: int = 300,
    tol: float = 1e-6,
    cg_tol: float = 0.1,
    scaling: str = "absolute",
    dtype: str = "auto",
    random_state: int = 0,
    n_threads: int | None = None,
) -> tuple[np.ndarray, float]:
    """Multidimensional scaling of a matrix in memory, on all cores of this machine.

    dissimilarities (n, n)  symmetric, 0 on the diagonal; NaN: missing, not negative otherwise
    weights        'none', 'sammon' (1 / delta), 'power:P' (delta^P) or (n, n) float, symmetric
    init           'classical' (Torgerson), 'random', or (n, d): where the first start begins; the
                   others begin at random
    n_init         starts, of which the one with the smallest stress is kept
    anneal         deterministic annealing, each temperature `cooling` times the one before
    relax          steps of twice the Guttman transform, wherever they lower the stress
    max_iter, tol  transforms at most; stop when one lowers the stress by less than tol times
                   the sum of w dist^2
    cg_tol         of the linear system of a weighted transform, relative to its first residual
    scaling        'absolute'; 'ratio': a common factor is free, and the map has the scale at which
                   the squared disparities have the mean 1; 'ordinal': any increasing function
                   (isotonic regression) of at most 5,000 records
    dtype          how dissimilarities are kept: int16 takes 2 bytes a pair, and rounds to 1/32767
                   of the largest; auto: as they are
    n_threads      None: one for each usable core

    Returns (embedding (n, d) float64, stress): the map with the smallest stress, the sum over the
    pairs of w (delta - dist)^2 of the scaled dissimilarities.
    Raises ValueError for what is not such a matrix, and for options that do not exist.
    """
    from kernels._mds_runs import run  # which stands on this module

    found = run(
        dissimilarities, n_components=n_components, weights=weights, init=init, n_init=n_init,
        anneal=anneal, cooling=cooling, relax=relax, max_iter=max_iter, tol=tol, cg_tol=cg_tol,
        scaling=scaling, dtype=dtype, random_state=random_state, n_threads=n_threads,
    )  # fmt: skip
    return found.embedding, found.stress


def warm_up(
    dtype: str = "float32", n_components: int = 3, weighting: Weighting = Weighting()  # noqa: B008
) -> None:  # fmt: skip
    """Compile, or load from the cache, every pass that such a run may need."""
    values = new_band(3, 0, 3, dtype)
    fill_band(values, (0, 3, 3), 0, 0, np.ones((3, 3), np.float32))
    weights = new_band(3, 0, 3, np.float32) if weighting.kind == "given" else None
    band = Band(values, (0, 3, 3), 1.0, weights)
    x = np.arange(3.0 * n_components).reshape(3, n_components)
    summary_block(band, weighting)
    guttman_block(band, x, 0.0, weighting)
    residual_block(band, x, 0.0, weighting)
    laplacian_block(band, x, weighting)
    stress_block(band, x, weighting)
