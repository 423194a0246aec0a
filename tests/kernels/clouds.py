"""What the KMeans tests share: sets of points, blocks of them, iterations, open data."""

import gzip
import itertools
import json

import numpy as np
from hypothesis import strategies as st

from kernels import kmeans
from tests.kernels import truth

KINDS = {}


def kind(function):
    KINDS[function.__name__] = function
    return function


@kind
def normal(rng, n, d):
    return rng.normal(size=(n, d))


@kind
def blobs(rng, n, d):
    return rng.normal(size=(7, d))[rng.integers(0, 7, n)] * 10 + rng.normal(size=(n, d)) * 0.01


@kind
def integers(rng, n, d):
    """A small grid: many exact ties and repeated points."""
    return rng.integers(-2, 3, (n, d)).astype(float)


@kind
def far_away(rng, n, d):
    return 1e6 + rng.normal(size=(n, d))


@kind
def outlier(rng, n, d):
    points = rng.normal(size=(n, d))
    points[n // 2] = 1e12
    return points


@kind
def denormal(rng, n, d):
    """In float32; in float64 only as small as its squares allow."""
    return rng.normal(size=(n, d)) * 1e-41


@kind
def large(rng, n, d):
    return rng.normal(size=(n, d)) * 1e30


@kind
def constant_columns(rng, n, d):
    points = rng.normal(size=(n, d))
    points[:, ::2] = 3.7
    return points


@kind
def many_scales(rng, n, d):
    return rng.normal(size=(n, d)) * 10.0 ** rng.integers(-9, 9, d)


@kind
def heavy_tails(rng, n, d):
    return rng.standard_cauchy((n, d))


@kind
def all_equal(rng, n, d):
    return np.tile(rng.normal(size=d), (n, 1))


@kind
def near_planes(rng, n, d):
    """Points that lie within rounding errors halfway between two of a few sites."""
    sites = rng.normal(size=(9, d))
    one, two = sites[rng.integers(0, 9, (2, n))]
    return (one + two) / 2 * (1 + rng.integers(-4, 5, (n, 1)) * 2.0**-24)


def cloud(name, n, d, dtype, seed=0):
    return KINDS[name](np.random.default_rng(seed), n, d).astype(dtype)


def centroids_for(points, k, rng, how="rows"):
    """(k, d) float64: 'rows' of the points, 'near' rows, 'means' of two rows, 'copies' of few."""
    rows = points[rng.integers(0, len(points), k)].astype(np.float64)
    if how == "near":
        return rows + rng.normal(size=rows.shape) * points.std(axis=0, dtype=np.float64) * 0.1
    if how == "means":
        return (rows + points[rng.integers(0, len(points), k)]) / 2
    return rows[np.arange(k) // 2] if how == "copies" else rows


PLACES = ("rows", "near", "means", "copies")


@st.composite
def problems(draw, most_rows=300):
    """(points, centroids, weights or None) of every kind, small."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = draw(st.one_of(st.integers(1, 70), st.integers(1, most_rows)))
    d, k = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    points = cloud(draw(st.sampled_from(sorted(KINDS))), n, d, dtype, seed)
    centroids = centroids_for(points, k, rng, draw(st.sampled_from(PLACES)))
    return points, centroids, draw(st.sampled_from([None, *WEIGHTS])), rng


def whole_weights(rng, n):
    return rng.integers(0, 4, n).astype(np.float64)


def any_weights(rng, n):
    return rng.random(n) * 10.0 ** rng.integers(-3, 3, n)


WEIGHTS = (whole_weights, any_weights)


def blocks_of(points, weights=None, cuts=None):
    """Blocks as they are cut, or at these rows; nothing is remembered yet."""
    if cuts is None:
        ranges = kmeans.block_ranges(len(points))
    else:
        ranges = list(itertools.pairwise([0, *cuts, len(points)]))
    points = np.ascontiguousarray(points)
    return [
        kmeans.Block(points[a:b], a, None if weights is None else weights[a:b]) for a, b in ranges
    ]


def frame_of(blocks):
    summaries = [kmeans.summary_block(block) for block in blocks]
    return kmeans.frame_of(kmeans.joined(kmeans.join_summaries, summaries))


def one_block(points, weights=None):
    """(block, frame) of all points."""
    block = kmeans.Block(np.ascontiguousarray(points), 0, weights)
    return block, frame_of([block])


def iterate(blocks, state, frame, bounds=True):
    """The next state: an iteration, with empty clusters seeded anew."""
    parts = [kmeans.partial_sums(b, state.centroids, frame, bounds=bounds) for b in blocks]
    total = kmeans.joined(lambda a, b: tuple(x + y for x, y in zip(a, b, strict=True)), parts)
    sums, weights, inertia = total
    state, empty = kmeans.merge_step(state, sums, weights, float(inertia[0]), frame)
    if empty:
        far = [kmeans.farthest_block(b, state.centroids, frame, empty) for b in blocks]
        state = kmeans.reseed_step(state, kmeans.joined(kmeans.join_farthest, far), frame)
    return state


def over(blocks):
    """What a start asks of blocks."""
    return lambda function, *args: [function(block, *args) for block in blocks]


def inertia(blocks, centroids, frame):
    """Exact, of the nearest centroids."""
    total = 0.0
    for block in blocks:
        distances = kmeans.assign_block(block, centroids, frame)[1]
        weights = 1.0 if block.sample_weight is None else block.sample_weight
        total += float((distances * weights).sum())
    return total


def open_points(name):
    """(n, d) float64 of an open set."""
    raw = (truth.DATA / "points" / f"{name}.txt.gz").read_bytes()
    return np.array([line.split() for line in gzip.decompress(raw).splitlines() if line], float)


def best_inertia():
    return json.loads((truth.DATA / "points" / "best_inertia.json").read_text())


def bytes_of(*arrays):
    return b"|".join(np.ascontiguousarray(a).tobytes() for a in arrays)
