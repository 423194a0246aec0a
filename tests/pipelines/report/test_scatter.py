import numpy as np
import pytest

from pipelines.report.scatter import matched_colours, spread_colours


@pytest.mark.parametrize("k", [1, 5, 12])
def test_spread_colours__with_enough_colours_each_has_its_own(k):
    places = np.random.default_rng(k).random((k, 2))
    assert spread_colours(places, np.ones(k), 12).tolist() == list(range(k))


@pytest.mark.parametrize("k", [13, 100, 500])
def test_spread_colours__neighbours_differ(k):
    places = np.random.default_rng(k).random((k, 2))
    chosen = spread_colours(places, np.ones(k), 12)
    assert set(chosen.tolist()) == set(range(12))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (chosen[apart.argmin(axis=1)] != chosen).all()
    same = np.where(chosen[:, None] == chosen[None], apart, np.inf).min(axis=1)
    assert np.median(same) > 2.5 * np.median(apart.min(axis=1))


def test_matched_colours__a_label_takes_the_colour_of_its_cluster():
    clusters = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    codes = np.array([2, 2, 0, 0, 0, 1, 1, -1])
    found = matched_colours(codes, clusters, np.array([7, 3, 5]), np.zeros((8, 2)))
    assert found.tolist() == [3, 5, 7]


def test_matched_colours__labels_that_share_a_cluster_differ():
    codes = np.array([0, 0, 0, 1, 1, 2])
    places = np.arange(12.0).reshape(6, 2)
    found = matched_colours(codes, np.zeros(6, dtype=int), np.array([4]), places)
    assert found[0] == 4
    assert len(set(found.tolist())) == 3


def test_matched_colours__without_a_label_there_is_none():
    nothing = matched_colours(np.full(3, -1), np.zeros(3, int), np.array([0]), np.zeros((3, 2)))
    assert nothing.tolist() == []
