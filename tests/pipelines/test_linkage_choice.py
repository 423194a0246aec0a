"""How many clusters: silhouettes of nested cuts against those of scikit-learn and by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_samples

from pipelines.linkage import METHODS, cut, linkage_of
from pipelines.linkage_choice import best_cut, cut_qualities, numbers_tried


def clouds(n, k, *, seed=3, spread=0.4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(k, 3))[np.arange(n) % k] * 20 + spread * rng.normal(size=(n, 3))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [3, 4, 37, 300])
def test_silhouettes__are_those_of_scikit_learn(method, n):
    distances = pdist(clouds(n, 5, spread=6.0))
    tree = linkage_of(distances, method)
    tried = cut_qualities(distances, tree, numbers_tried(n))
    assert [one.n_clusters for one in tried] == numbers_tried(n)
    for one in tried:
        labels = cut(tree, n_clusters=one.n_clusters)
        scores = silhouette_samples(squareform(distances), labels, metric="precomputed")
        assert one.silhouette == pytest.approx(scores.mean(), abs=1e-12)
        means = [scores[labels == c].mean() for c in range(1, one.n_clusters + 1)]
        assert one.of_clusters == pytest.approx(means, abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 7, 18, 47])
def test_best_cut__finds_the_clouds(k):
    distances = pdist(clouds(200, k, seed=k))
    tree = linkage_of(distances, "average")
    assert best_cut(cut_qualities(distances, tree, numbers_tried(200))) == k


def test_numbers_tried__reach_half_of_the_records():
    assert numbers_tried(49) == list(range(2, 21))
    assert numbers_tried(50) == [*range(2, 21), 25]
    assert numbers_tried(100) == [*range(2, 21), 25, 31, 38, 47]
    many = numbers_tried(100_000)
    assert len(many) < 60
    assert 50_000 / 1.25 < many[-1] <= 50_000


def test_few_outliers__do_not_hide_many_small_families(rng):
    families = rng.normal(size=(60, 5))[np.arange(240) % 60] * 10
    points = np.concatenate([families + 0.3 * rng.normal(size=(240, 5)), [[30.0] * 5]])
    distances = pdist(points)
    found = cut_qualities(distances, linkage_of(distances), numbers_tried(241))
    assert found[0].silhouette > found[5].silhouette  # one far-off record against the rest
    assert 50 <= best_cut(found) <= 75


@pytest.mark.parametrize(("n", "tried"), [(0, []), (1, []), (2, []), (3, [2]), (4, [2, 3])])
def test_few_records(n, tried):
    assert list(numbers_tried(n)) == tried
    distances = pdist(clouds(max(n, 1), 2))
    found = cut_qualities(distances, linkage_of(distances), numbers_tried(n))
    assert [one.n_clusters for one in found] == tried
    assert best_cut(found) in (tried or [1])


def test_all_distances_zero__have_no_silhouette():
    distances = np.zeros(10)
    found = cut_qualities(distances, linkage_of(distances), numbers_tried(5))
    assert {one.silhouette for one in found} == {0.0}
    assert best_cut(found) == 2


@given(st.integers(3, 24), st.integers(0, 99))
def test_silhouettes__lie_within_one(n, seed):
    distances = np.random.default_rng(seed).random(n * (n - 1) // 2)
    for one in cut_qualities(distances, linkage_of(distances), numbers_tried(n)):
        assert -1 <= one.silhouette <= 1
