import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.cloud import Cloud, drawn
from pipelines.report.groups import Groups, cluster_order, matrix_section, size_section
from tests.pipelines.report.maps import cluster, distances_of, families
from tests.pipelines.report.samples import Page
from tests.pipelines.report.test_kmeans import cells


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 9))
def test_cluster_order__keeps_each_cluster_together(n, k, seed):
    draw = np.random.default_rng(seed)
    clusters = draw.integers(1, k + 1, n)
    distances = distances_of(draw.random((n, 2)))
    distances[draw.random((n, n)) < 0.2] = np.nan
    order = cluster_order(distances, clusters)
    assert sorted(order.tolist()) == list(range(n))
    assert (np.diff(clusters[order]) != 0).sum() == len(set(clusters.tolist())) - 1


def test_cluster_order__near_clusters_are_neighbours():
    places = np.array([0.0, 10.0, 1.0, 11.0])  # clusters 1 and 3, 2 and 4 are near
    clusters = np.repeat([1, 2, 3, 4], 3)
    points = np.repeat(places, 3)[:, None] + np.linspace(0, 0.1, 12)[:, None]
    order = clusters[cluster_order(distances_of(points), clusters)]
    found = order[np.r_[True, np.diff(order) != 0]].tolist()
    assert {frozenset(found[:2]), frozenset(found[2:])} == {frozenset({1, 3}), frozenset({2, 4})}


def test_groups__have_the_colours_of_the_map():
    points, clusters = families(80, 4)
    shown = drawn(Cloud(points, [""] * 80, {"cluster": clusters}))
    column = shown.columns[0]
    assert Groups(clusters, shown).colours == column.colours
    assert Groups(clusters).colours == ["--c0", "--c1", "--c2", "--c3"]


def test_groups__records_in_no_cluster_are_not_counted():
    assert Groups([0, 1, 1, 2, -1]).sizes.tolist() == [2, 1]
    assert len(Groups([])) == 0


def test_medoids__stand_with_sizes_and_distances():
    page = cluster(60, run={})
    rows = cells(page, "Clusters and their medoids")
    sizes = np.bincount(families(60)[1])[1:]
    assert [int(row[1]) for row in rows] == sizes.tolist()
    assert [row[4] for row in rows] == [f"seq{c}" for c in range(1, len(sizes) + 1)]


def test_sizes__of_very_many_clusters_share_bars():
    clusters = np.repeat(np.arange(1, 3_001), 1)
    section = size_section(Groups(clusters), [])
    assert len(section.parts[0].tips["texts"][0]) == 500
    assert "the 500 largest of 3,000" in section.parts[1].folded


@pytest.mark.parametrize("clusters", [[], [1], [1, 1, 1]])
def test_sizes__without_a_choice_are_told_in_words(clusters):
    section = size_section(Groups(clusters), [])
    assert section.parts[0].kind == "text"


def test_matrix__without_distances_says_so():
    sample = {"rows": [0, 1], "distances": [[0, np.nan], [np.nan, 0]]}
    section = matrix_section(sample, ["a", "b"], None, 2)[0]
    assert "needs two records" in section.parts[0].text
    assert matrix_section(None, [], None, 0) == []


def test_cluster_report__draws_its_figures():
    names = sorted(Page(cluster()).drawings)
    assert names == ["dendrogram", "matrix", "silhouettes", "sizes"]
    without = Page(cluster(coordinates=None, linkage=None, sample=None, run={}))
    assert sorted(without.drawings) == ["sizes"]


def test_cluster_report__leaves_may_be_some_of_the_records():
    rows = np.arange(0, 60, 3)
    points, clusters = families(60)
    from scipy.cluster.hierarchy import linkage

    page = Page(cluster(60, linkage=linkage(points[rows], "average"), leaves=rows))
    tips = page.drawings["dendrogram"]["tips"]["texts"][1]
    for text in tips:
        row = int(text.split(" · seq")[1].split("\n")[0])
        assert row % 3 == 0
        assert text.startswith(f"cluster {clusters[row]} ")
