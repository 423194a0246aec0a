import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import dendrogram as drawn_by_scipy
from scipy.cluster.hierarchy import fcluster, linkage

from pipelines.report.dendrogram import Top, _cut, dendrogram
from tests.pipelines.report.test_figures import decoded


def tree(m, seed=0):
    return linkage(np.random.default_rng(seed).random((m, 3)), "average")


@given(st.integers(2, 30), st.integers(2, 40), st.integers(0, 9))
def test_top__ends_part_all_records(m, most, seed):
    found = Top(tree(m, seed), most)
    assert sum(size for size, *_ in found.ends) == m
    assert len(found.ends) == min(m, most)
    assert len(found.joins) == len(found.ends) - 1
    records = [record for _, record, _ in found.ends]
    assert len(set(records)) == len(records)


@pytest.mark.parametrize("m", [2, 7, 25])
def test_top__joins_are_those_of_scipy(m):
    given_tree = tree(m)
    expected = drawn_by_scipy(given_tree, no_plot=True)
    heights = sorted(join[4] for join in Top(given_tree).joins)
    np.testing.assert_allclose(heights, sorted(max(y) for y in expected["dcoord"]))
    low = sorted(min(join[2:4]) for join in Top(given_tree).joins)
    np.testing.assert_allclose(low, sorted(min(y[0], y[3]) for y in expected["dcoord"]))


def test_top__an_end_and_its_record_belong_together():
    given_tree = tree(40)
    clusters = fcluster(given_tree, 5, "maxclust")
    for size, record, _ in Top(given_tree, 5).ends:
        assert (clusters == clusters[record]).sum() == size


@pytest.mark.parametrize("k", [2, 3, 7])
def test_cut__leaves_so_many_clusters(k):
    given_tree = tree(20)
    height = _cut(given_tree[:, 2], k)
    assert len(set(fcluster(given_tree, height, "distance"))) == k


@pytest.mark.parametrize(("k", "m"), [(1, 20), (20, 20), (21, 20), (0, 20)])
def test_cut__at_the_ends(k, m):
    heights = tree(m)[:, 2]
    height = _cut(heights, k)
    if k == m:
        assert 0 <= height <= heights.min()
    else:
        assert height is None


def test_dendrogram__tells_and_paints_the_cluster_of_each_end():
    given_tree = tree(100)
    names = {record: f"cluster {record % 3}" for record in range(100)}
    paint = {record: f"--c{record % 3}" for record in range(100)}
    figure = dendrogram(given_tree, 3, names, paint)
    ends = figure.graph["data"][1]
    assert len(ends["marker"]["color"]) == len(figure.tips["texts"][1]) == 60
    for text, colour in zip(figure.tips["texts"][1], ends["marker"]["color"], strict=True):
        assert text.startswith(f"cluster {colour[3:]}\n")
    assert decoded(ends["x"]).tolist() == list(range(60))


def test_dendrogram__of_nothing_to_merge():
    assert dendrogram(np.zeros((0, 4)), 1) is None
    assert dendrogram(np.array([[0, 1, 0.0, 2]]), 1) is not None


def test_dendrogram__a_chain_of_many_records_is_no_deep_recursion():
    m = 5_000
    chain = np.zeros((m - 1, 4))
    chain[0] = (0, 1, 1, 2)
    for merge in range(1, m - 1):
        chain[merge] = (m + merge - 1, merge + 1, merge + 1, merge + 2)
    assert sum(size for size, *_ in Top(chain).ends) == m
