"""Measures of clusters against their definitions and against scikit-learn's numbers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import cluster_quality as quality

LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=12)


def table_of(a, b, k=4):
    return quality.contingency([(0, np.array(a))], np.array(b), k, k)


def rand_by_pairs(a, b):
    """(agreeing share - expected) / (largest - expected) over all pairs of rows."""
    pairs = list(itertools.combinations(range(len(a)), 2))
    same_a = [a[i] == a[j] for i, j in pairs]
    same_b = [b[i] == b[j] for i, j in pairs]
    together = sum(x and y for x, y in zip(same_a, same_b, strict=True))
    expected = sum(same_a) * sum(same_b) / len(pairs)
    most = (sum(same_a) + sum(same_b)) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def silhouettes_by_definition(points, labels):
    scores = []
    for i, label in enumerate(labels):
        apart = [math.dist(points[i], other) for other in points]
        mates = [apart[j] for j in range(len(labels)) if labels[j] == label and j != i]
        if not mates:
            scores.append(0.0)
            continue
        inner = sum(mates) / len(mates)
        others = []
        for c in set(labels) - {label}:
            reached = [apart[j] for j in range(len(labels)) if labels[j] == c]
            others.append(sum(reached) / len(reached))
        nearest = min(others)
        scores.append((nearest - inner) / max(inner, nearest) if max(inner, nearest) else 0.0)
    return scores


@given(LABELS, st.randoms(use_true_random=False))
def test_adjusted_rand__is_that_of_all_pairs(a, shuffler):
    b = list(a)
    shuffler.shuffle(b)
    found = quality.adjusted_rand(table_of(a, b))
    assert found == pytest.approx(rand_by_pairs(a, b))
    assert quality.adjusted_rand(table_of(b, a)) == pytest.approx(found)


@given(LABELS, st.permutations(range(4)))
def test_agreement__of_renamed_labels_is_1(a, names):
    table = table_of(a, [names[x] for x in a])
    assert quality.adjusted_rand(table) == pytest.approx(1.0)
    assert quality.normalized_mutual_information(table) == pytest.approx(1.0)


def test_agreement__of_published_examples():
    """scikit-learn's documentation gives these numbers."""
    a, b = [0, 0, 1, 1], [0, 0, 1, 2]
    assert quality.adjusted_rand(table_of(a, b)) == pytest.approx(0.57142857)
    assert quality.adjusted_rand(table_of([0, 0, 0, 0], [0, 1, 2, 3])) == 0.0
    assert quality.adjusted_rand(table_of([0, 0, 1, 1], [0, 1, 0, 1])) == pytest.approx(-0.5)
    assert quality.normalized_mutual_information(table_of([0, 0, 0, 0], [0, 1, 2, 3])) == 0.0
    assert quality.normalized_mutual_information(table_of(a, b)) == pytest.approx(0.8)


def test_contingency__leaves_out_rows_without_a_class():
    chunks = [(0, np.array([0, 1])), (2, np.array([1, 1]))]
    table = quality.contingency(chunks, np.array([0, -1, 1, 1]), 2, 2)
    np.testing.assert_array_equal(table, [[1, 0], [0, 2]])
    empty = quality.contingency(chunks, np.full(4, -1), 2, 2)
    assert math.isnan(quality.adjusted_rand(empty))
    assert math.isnan(quality.normalized_mutual_information(empty))


@pytest.mark.parametrize("n", [3, 40, 300])
def test_silhouette__is_that_of_the_definition(rng, n, monkeypatch):
    monkeypatch.setattr(quality, "ROWS", 64)
    points, labels = rng.normal(size=(n, 3)), rng.integers(0, 3, n)
    labels[:3] = (0, 1, 1)
    expected = silhouettes_by_definition(points, labels)
    np.testing.assert_allclose(quality.silhouettes(points, labels * 5), expected, atol=1e-12)


@pytest.mark.parametrize(("points", "labels"), [([0.0], [0]), ([1.0, 2.0], [0, 0]),
                                                ([1.0, 2.0], [0, 1])])  # fmt: skip
def test_silhouette__needs_two_clusters_and_a_pair(points, labels):
    assert quality.silhouettes(np.array(points)[:, None], np.array(labels)) is None


def test_silhouette__of_equal_points_is_0():
    assert quality.silhouettes(np.ones((4, 2)), np.array([0, 0, 1, 1])).tolist() == [0.0] * 4


def test_means__of_a_label_that_nobody_has_is_none():
    means = quality.means_by(np.array([1.0, 2.0, 6.0]), np.array([2, 0, 2]), 4)
    assert means == [2.0, None, 3.5, None]


@pytest.mark.parametrize("equal", [False, True])
def test_one_nn__counts_points_with_a_class_only(rng, equal):
    points, codes = rng.normal(size=(40, 2)), rng.integers(-1, 3, 40)
    if equal:  # many points at one place, many equally near: the first other one counts
        points = points.round()
    known = np.flatnonzero(codes >= 0)
    agree = 0
    for i in known:
        others = known[known != i]
        apart = [math.dist(points[i], points[j]) for j in others]
        agree += codes[others[int(np.argmin(apart))]] == codes[i]
    assert quality.one_nn(points, codes) == agree / len(known)
    assert math.isnan(quality.one_nn(points[:3], np.array([-1, 2, -1])))
