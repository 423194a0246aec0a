"""Placement: balanced, in runs where subtrees end, and still where nothing forces a move."""

import itertools
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.engine.placement import UNMOVED, contiguous_cuts, host_of, place, run_nodes
from pipelines.engine.tree import nodes_of


def named(*threads):
    return {f"tcp://10.0.0.{k % 2}:{4000 + k}": width for k, width in enumerate(threads)}


def owners(placed):
    return [placed[leaf][0] for leaf in range(len(placed))]


def slowest(owner, costs, workers):
    load = dict.fromkeys(workers, 0.0)
    for leaf, name in enumerate(owner):
        load[name] += costs[leaf]
    return max(load[name] / workers[name] for name in workers)


def best_cuts(costs, threads):
    """(slowest share, subtrees) of the best runs: all cuts tried."""
    n, ways = len(costs), []
    for inner in itertools.combinations_with_replacement(range(n + 1), len(threads) - 1):
        cuts = [0, *inner, n]
        runs = list(itertools.pairwise(cuts))
        share = max(sum(costs[a:b]) / width for (a, b), width in zip(runs, threads, strict=True))
        ways.append((share, sum(len(nodes_of(n, range(a, b))) for a, b in runs)))
    share = min(ways)[0]
    return share, min(nodes for each, nodes in ways if each <= share * 1.01)


some_costs = st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.0, 3.0, 20.0]), max_size=40)
some_threads = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 16, 18, 31, 33])
def test_run_nodes__counts_what_nodes_of_finds(n):
    for start, stop in itertools.combinations_with_replacement(range(n + 1), 2):
        assert run_nodes(n, start, stop) == len(nodes_of(n, range(start, stop)))


@given(st.lists(st.integers(1, 5), max_size=9), st.lists(st.integers(1, 3), min_size=1, max_size=4))
@settings(max_examples=60)
def test_contiguous_cuts__are_the_best_of_all(costs, threads):
    cuts = contiguous_cuts(costs, threads)
    runs = list(itertools.pairwise([0, *cuts]))
    share = max(sum(costs[a:b]) / width for (a, b), width in zip(runs, threads, strict=True))
    best, nodes = best_cuts(costs, threads)
    assert best <= share <= best * 1.0101
    assert sum(run_nodes(len(costs), a, b) for a, b in runs) == nodes


@pytest.mark.parametrize(
    ("n", "threads", "runs"),
    [
        (64, (1, 1), (32, 32)),
        (64, (1, 1, 1), (20, 22, 22)),  # (21, 22, 21) is as fast, but has more subtrees
        (64, (1, 3), (16, 48)),
        (5, (1,), (5,)),
        (1, (1, 1), (1,)),
        (0, (1, 1), ()),
    ],
)
def test_place__cuts_fresh_leaves_into_even_runs(n, threads, runs):
    owner = owners(place(n, None, named(*threads), {}))
    assert tuple(len(list(group)) for _, group in itertools.groupby(owner)) == runs
    assert len(set(owner)) == len(runs)


def test_place__lets_the_rest_stay_when_a_worker_is_lost():
    before = place(64, None, named(1, 1, 1, 1), {})
    left = dict(list(named(1, 1, 1, 1).items())[1:])
    after = place(64, None, left, before)
    stayed = [leaf for leaf in range(64) if before[leaf][0] in left]
    assert all(before[leaf] == after[leaf] for leaf in stayed)
    assert sorted(Counter(owners(after)).values()) == [21, 21, 22]


def test_place__moves_only_the_share_of_a_worker_that_joins():
    before = place(64, None, named(1, 1), {})
    after = place(64, None, named(1, 1, 1), before)
    moved = [leaf for leaf in range(64) if before[leaf] != after[leaf]]
    assert moved == list(range(moved[0], moved[0] + 20))
    assert {after[leaf][0] for leaf in moved} == set(named(1, 1, 1)) - set(named(1, 1))


def test_place__gives_a_lost_run_to_the_replacement_in_one_piece():
    before = place(60, None, named(1, 1, 1), {})
    first, *rest = named(1, 1, 1)
    after = place(60, None, {**dict.fromkeys(rest, 1), "tcp://10.0.0.9:1": 1}, before)
    moved = {leaf for leaf in range(60) if before[leaf] != after[leaf]}
    assert moved == {leaf for leaf in range(60) if before[leaf] == [first]}
    assert {after[leaf][0] for leaf in moved} == {"tcp://10.0.0.9:1"}


@given(some_costs, some_threads, some_threads, st.booleans())
@settings(max_examples=300)
def test_place__is_balanced_and_moves_only_from_the_overloaded(costs, threads, later, other_end):
    workers, n = named(*threads), len(costs)
    held = place(n, costs, workers, {})
    changed = named(*later)
    if other_end:  # the first ones are gone
        changed = dict(list(named(*later, 2, 1).items())[-len(later) :])
    after = place(n, costs, changed, held)
    assert after == place(n, costs, changed, held)
    weights = costs if sum(costs) else [1.0] * n
    fresh = slowest(owners(place(n, costs, changed, {})), weights, changed)
    most = fresh * (1 + UNMOVED) * 1.02 + max(weights, default=0) / min(changed.values())
    assert slowest(owners(after), weights, changed) <= most
    calm = {
        name
        for name in changed
        if sum(weights[leaf] for leaf in range(n) if held[leaf] == [name])
        <= fresh * changed[name] * (1 + UNMOVED) / 1.03
    }
    assert all(after[leaf] == held[leaf] for leaf in range(n) if held[leaf][0] in calm)


@given(some_costs, some_threads, st.sampled_from([1, 2]))
@example([1.0] * 14, [1] * 5, 2)  # one worker gets more than a quarter over its share
def test_place__moves_nothing_where_it_has_just_placed(costs, threads, replicas):
    held = place(len(costs), costs, named(*threads), {}, replicas)
    assert place(len(costs), costs, named(*threads), held, replicas) == held


@given(some_costs, some_threads, some_threads)
def test_place__has_two_holders_on_two_hosts_where_it_can(costs, threads, later):
    held = place(len(costs), costs, named(*threads), {}, 2)
    for workers, placed in (
        (named(*threads), held),
        (named(*later), place(len(costs), costs, named(*later), held, 2)),
    ):
        for holders in placed.values():
            assert len(set(holders)) == len(holders) == min(2, len(workers))
            assert len({host_of(name) for name in holders}) == min(2, len(workers))


def test_place__keeps_second_copies_and_uses_them_first():
    before = place(64, None, named(1, 1, 1), {}, 2)
    assert place(64, None, named(1, 1, 1), before, 2) == before
    left = dict(list(named(1, 1, 1).items())[:2])
    after = place(64, None, left, before, 2)
    lost = [leaf for leaf in range(64) if before[leaf][0] not in left]
    assert sum(after[leaf][0] == before[leaf][1] for leaf in lost) >= len(lost) // 2


def test_place__spreads_second_copies():
    placed = place(64, None, named(1, 1, 1, 1), {}, 2)
    assert max(Counter(holders[1] for holders in placed.values()).values()) <= 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, None, {}, {}), "no workers"),
        ((2, [1.0], {"a": 1}, {}), "2 partitions, but 1 costs"),
        ((1, [float("nan")], {"a": 1}, {}), "costs must be"),
        ((1, None, {"a": 1}, {}, 3), "replicas must be 1 or 2, not 3"),
    ],
)
def test_place__refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        place(*arguments)


def test_host_of__reads_addresses_and_nothing_else():
    assert host_of("tls://node-7:123") == "node-7"
    assert host_of("tcp://[::1]:123") == "[::1]"
    assert host_of("worker-0") == ""
