"""One tree, whatever the order, the threads and the ranks that its leaves come from."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.tree import Folding, nodes_of, reduce_pairwise


def bracket(left, right):
    return f"({left} {right})"


def leaves_under(n, node):
    level, k = node
    return range(k << level, min(n, (k + 1) << level))


@settings(deadline=None)
@given(st.integers(1, 40), st.randoms(use_true_random=False))
def test_folding__is_the_pairwise_tree_for_every_order(n, random):
    order = random.sample(range(n), n)
    folding = Folding(len(order), bracket)
    for leaf in order:
        folding.add((0, leaf), str(leaf))
    assert folding.total == reduce_pairwise(bracket, map(str, range(len(order))))


@settings(deadline=None)
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_nodes_of__are_what_a_folding_is_left_with(case):
    n, mine = case
    folding = Folding(n, bracket)
    for leaf in mine:
        folding.add((0, leaf), str(leaf))
    nodes = nodes_of(n, mine)
    assert sorted(folding.nodes) == sorted(nodes)
    assert [leaf for node in nodes for leaf in leaves_under(n, node)] == sorted(mine)
    if len(mine) < n:
        with pytest.raises(ValueError, match=r"not combined|missing"):
            _ = folding.total


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_nodes_of_ranks__combine_to_the_whole(owners):
    n = len(owners)
    total = Folding(n, bracket)
    for rank in {2, 0, 1}:
        mine = Folding(n, bracket)
        for leaf in [leaf for leaf, owner in enumerate(owners) if owner == rank]:
            mine.add((0, leaf), str(leaf))
        for node, value in mine.nodes.items():
            total.add(node, value)
    assert total.total == reduce_pairwise(bracket, map(str, range(n)))


def test_threads__may_add_at_the_same_time():
    n = 4096
    folding = Folding(n, bracket)
    go = threading.Barrier(8)

    def add(first):
        go.wait()
        for leaf in range(first, n, 8):
            folding.add((0, leaf), str(leaf))

    threads = [threading.Thread(target=add, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folding.total == reduce_pairwise(bracket, map(str, range(n)))
