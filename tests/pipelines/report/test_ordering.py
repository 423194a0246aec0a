from itertools import pairwise

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from pipelines.report.ordering import similarity_order
from tests.pipelines.report.samples import families


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50])
def test_order__is_a_permutation(n):
    order = similarity_order(families(n)[0])
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_order__puts_families_together():
    distances, labels = families(60, 4)
    ordered = [labels[leaf] for leaf in similarity_order(distances)]
    changes = sum(a != b for a, b in pairwise(ordered))
    assert changes == 3


def test_order__keeps_every_branch_of_the_tree_in_one_piece():
    distances, _ = families(40, 5, seed=3)
    place = np.argsort(similarity_order(distances))
    members = {leaf: [leaf] for leaf in range(40)}
    for merge, (a, b) in enumerate(linkage(squareform(distances), "average")[:, :2].astype(int)):
        members[40 + merge] = members[a] + members[b]
        places = place[members[40 + merge]]
        assert places.max() - places.min() == len(places) - 1


def test_order__turns_branches_so_that_a_line_stays_a_line():
    points = np.random.default_rng(2).permutation(30)
    ordered = points[similarity_order(np.abs(points[:, None] - points).astype(float))]
    assert (np.abs(np.diff(ordered)) == 1).all()


def test_order__missing_pairs_count_as_the_farthest():
    distances, labels = families(30, 2)
    across = np.array(labels)[:, None] != np.array(labels)
    distances[across] = np.nan
    ordered = [labels[leaf] for leaf in similarity_order(distances)]
    assert sum(a != b for a, b in pairwise(ordered)) == 1


def test_order__is_that_of_the_input_when_everything_is_missing():
    assert similarity_order(np.full((4, 4), np.nan)).tolist() == [0, 1, 2, 3]


def test_order__does_not_change_its_input():
    distances, _ = families(20)
    distances[3, 4] = distances[4, 3] = np.nan
    before = distances.copy()
    similarity_order(distances)
    np.testing.assert_array_equal(distances, before)
