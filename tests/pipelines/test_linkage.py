"""Linkages against merging by the definitions, cuts against scipy's, medoids by a scan."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from pipelines import linkage as own
from pipelines.linkage import METHODS, cut, linkage_of, medoids, numbered, spread_of

SIZES = [2, 3, 4, 17, 40]


def apart(method, square, a, b):
    """The distance of two groups of records, from all distances between their members."""
    across = square[np.ix_(a, b)]
    if method != "ward":
        return {"average": np.mean, "complete": np.max, "single": np.min}[method](across)
    within = [(square[np.ix_(group, group)] ** 2).mean() / 2 for group in (a, b)]
    centres = (across**2).mean() - sum(within)  # squared distance of the means
    return np.sqrt(2 * len(a) * len(b) / (len(a) + len(b)) * centres)


def merged(method, square):
    """(heights, partitions): the nearest two groups become one, again and again."""
    groups = [[k] for k in range(len(square))]
    heights, partitions = [], [list(groups)]
    while len(groups) > 1:
        pairs = list(itertools.combinations(groups, 2))
        found = [apart(method, square, a, b) for a, b in pairs]
        a, b = pairs[int(np.argmin(found))]
        heights.append(min(found))
        groups = [g for g in groups if g is not a and g is not b] + [sorted(a + b)]
        partitions.append(list(groups))
    return heights, partitions


def as_sets(labels):
    return {frozenset(np.flatnonzero(labels == k).tolist()) for k in set(labels.tolist())}


def cloud(n, seed=1):
    return pdist(np.random.default_rng(seed).normal(size=(n, 3)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", SIZES)
def test_linkage__merges_by_the_definition(method, n):
    tree = linkage_of(cloud(n), method)
    heights, partitions = merged(method, squareform(cloud(n)))
    np.testing.assert_allclose(tree[:, 2], heights, rtol=1e-9)
    for k in range(1, n + 1):
        expected = {frozenset(group) for group in partitions[n - k]}
        assert as_sets(cut(tree, n_clusters=k)) == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", SIZES)
def test_cut__is_that_of_scipy(method, n):
    tree = linkage_of(cloud(n), method)
    for height in [0.0, *tree[:, 2], tree[-1, 2] + 1]:
        expected = hierarchy.fcluster(tree, height, "distance")
        assert as_sets(cut(tree, threshold=height)) == as_sets(expected)
    for k in range(1, n + 1):
        expected = hierarchy.fcluster(tree, k, "maxclust")
        assert as_sets(cut(tree, n_clusters=k)) == as_sets(expected)


def test_cut__of_equal_distances_gives_the_number_asked_for():
    tree = linkage_of(np.ones(45))
    for k in range(1, 11):
        assert cut(tree, n_clusters=k).max() == k


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_clusters__are_numbered_by_size_then_by_first_record(labels):
    labels = np.array(labels)
    found = numbered(labels)
    assert as_sets(found) == as_sets(labels)
    sizes = np.bincount(found)[1:].tolist()
    firsts = [int(np.argmax(found == k)) for k in range(1, len(sizes) + 1)]
    order = list(zip([-size for size in sizes], firsts, strict=True))
    assert order == sorted(order)


@pytest.mark.parametrize("n", [1, *SIZES])
def test_medoids__have_the_least_sum_of_distances(n):
    distances = cloud(n)
    square = squareform(distances) if n > 1 else np.zeros((1, 1))
    labels = numbered(np.random.default_rng(n).integers(0, 4, n))
    found = spread_of(distances, labels)
    np.testing.assert_array_equal(medoids(distances, labels), found.medoids)
    for k in range(1, labels.max() + 1):
        members = np.flatnonzero(labels == k)
        within = square[np.ix_(members, members)]
        assert found.medoids[k - 1] == members[within.sum(axis=1).argmin()]
        pairs = within[np.triu_indices(len(members), 1)]
        assert found.means[k - 1] == pytest.approx(pairs.mean() if len(pairs) else 0)
        assert found.largest[k - 1] == pairs.max(initial=0)


def test_medoid__of_equal_records_is_the_first():
    assert medoids(np.full(6, 0.1), np.ones(4, np.int64)).tolist() == [0]
    assert medoids(np.zeros(3), np.ones(3, np.int64)).tolist() == [0]


@pytest.mark.parametrize("n", [1, *SIZES])
def test_rows__are_those_of_the_square(n):
    distances = cloud(n)
    square = squareform(distances) if n > 1 else np.zeros((1, 1))
    chosen = np.random.default_rng(0).permutation(n)
    np.testing.assert_array_equal(own.rows_of(distances, chosen), square[chosen])
    starts, stripes = zip(*own.stripes_of(distances, 7), strict=True)
    assert starts == tuple(range(0, n, 7))
    np.testing.assert_array_equal(np.concatenate(stripes), square)


@pytest.mark.parametrize("method", METHODS)
def test_cophenetic_correlation__is_that_of_scipy(method, monkeypatch):
    monkeypatch.setattr(own, "_CHUNK", 50)
    distances = cloud(40)
    tree = linkage_of(distances, method)
    expected, _ = hierarchy.cophenet(tree, distances)
    assert own.cophenetic_correlation(distances, tree) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("distances", [[], [0.3], [0.3, 0.3, 0.3], [0.0] * 6])
def test_cophenetic_correlation__needs_distances_that_differ(distances):
    tree = linkage_of(np.array(distances))
    assert own.cophenetic_correlation(np.array(distances), tree) is None


def test_negative_share__tells_euclidean_distances():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(500, 4))
    assert own.negative_share(pdist(points), rng) < 1e-12
    rounded = np.rint(pdist(points) * 2000) / 2000  # about as int16 has them
    assert own.negative_share(rounded, rng) < 1e-3
    for metric in ("cityblock", "cosine"):
        assert own.negative_share(pdist(points, metric), rng) > 0.1
    assert own.negative_share(np.zeros(0), rng) == own.negative_share(np.zeros(6), rng) == 0


def test_cut_heights__lie_about_the_cut():
    tree = linkage_of(cloud(10))
    assert own.cut_heights(tree, 1) == (tree[-1, 2], None)
    assert own.cut_heights(tree, 4) == (tree[5, 2], tree[6, 2])
    assert own.cut_heights(tree, 10) == (0.0, tree[0, 2])
    assert own.cut_heights(np.zeros((0, 4)), 1) == (0.0, None)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: linkage_of(np.ones(2)), "2 distances are not those of all pairs"),
        (lambda: linkage_of(np.ones(3), "centroid"), "choose one of average, complete"),
        (lambda: linkage_of(np.array([1, np.nan, 1])), "known, finite and not negative"),
        (lambda: linkage_of(np.array([1, np.inf, 1])), "known, finite and not negative"),
        (lambda: linkage_of(np.array([1, -0.1, 1])), "known, finite and not negative"),
        (lambda: cut(np.zeros((2, 4)), n_clusters=4), "n_clusters is 4; 1 to 3 are possible"),
        (lambda: cut(np.zeros((2, 4))), "give either n_clusters or threshold"),
        (lambda: cut(np.zeros((2, 4)), n_clusters=1, threshold=1), "give either"),
    ],
)
def test_what_makes_no_sense__is_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@given(st.integers(1, 12), st.integers(0, 99), st.sampled_from(METHODS[:3]))
def test_threshold__parts_or_joins_by_height(n, seed, method):
    distances = np.random.default_rng(seed).integers(0, 4, n * (n - 1) // 2) / 4  # with ties
    tree = linkage_of(distances, method)
    coarse, fine = cut(tree, threshold=0.5), cut(tree, threshold=0.25)
    assert all(any(small <= large for large in as_sets(coarse)) for small in as_sets(fine))
    spread = spread_of(distances, coarse)
    assert method != "complete" or (spread.largest <= 0.5).all()
