"""Who is slow, and which leaves go where: a simulated gang runs by the decisions."""

import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.stragglers import (
    BACK_UP_LEAST_S,
    ROWS,
    is_slow,
    ranks_to_evict,
    rebalance,
    should_back_up,
)

N = 12


def halves(n_ranks=3):
    """Leaves in runs, each with a second holder: the next rank."""
    owner = [leaf * n_ranks // N for leaf in range(N)]
    return owner, [(rank, (rank + 1) % n_ranks) for rank in owner]


def seconds_of(owner, paces, costs=(1.0,) * N):
    return [
        pace * sum(costs[leaf] for leaf, rank in enumerate(owner) if rank == number)
        for number, pace in enumerate(paces)
    ]


def run(paces_by_iteration, owner, holders):
    """The slowest rank's seconds in every iteration, and all owner lists, by the decisions."""
    history, slowest, owners = [], [], [owner]
    for paces in paces_by_iteration:
        history.append(seconds_of(owner, paces))
        slowest.append(max(history[-1]))
        changed = rebalance(history, owner, holders, (1.0,) * N)
        if changed != owner:
            owner, history = changed, []
            owners.append(owner)
    return slowest, owners


def test_rebalance__relieves_a_slow_rank_and_gives_back_when_it_recovered():
    owner, holders = halves()
    slow, well = (0.01, 0.04, 0.01), (0.01,) * 3
    slowest, owners = run([slow] * 20 + [well] * 20, owner, holders)
    assert slowest[0] == 0.16
    assert slowest[19] <= 0.07
    assert slowest[-1] <= 0.05
    assert len(owners) <= 6


def test_rebalance__changes_once_in_a_steady_state():
    owner, holders = halves()
    assert len(run([(0.01, 0.04, 0.01)] * 50, owner, holders)[1]) == 2


def test_rebalance__is_not_shaken_by_noise():
    owner, holders = halves()
    draw = random.Random(3)
    noisy = [[0.01 * draw.uniform(0.95, 1.05) for _ in range(3)] for _ in range(200)]
    hiccup = [[0.01, 0.2, 0.01]]
    assert run(noisy + hiccup + noisy, owner, holders)[1] == [owner]


def test_rebalance__is_off_without_second_copies():
    owner, _ = halves()
    history = [seconds_of(owner, (0.01, 0.4, 0.01))] * 10
    assert rebalance(history, owner, [(rank,) for rank in owner], (1.0,) * N) == owner


def test_rebalance__is_off_for_gains_that_nobody_notices():
    owner, holders = halves()
    assert run([(1e-5, 4e-5, 1e-5)] * 20, owner, holders)[1] == [owner]


def test_rebalance__waits_for_enough_iterations():
    owner, holders = halves()
    row = seconds_of(owner, (0.01, 0.04, 0.01))
    assert rebalance([row] * (ROWS - 1), owner, holders, (1.0,) * N) == owner
    assert rebalance([row] * ROWS, owner, holders, (1.0,) * N) != owner


def test_rebalance__takes_leaves_beside_those_that_a_rank_has():
    owner, holders = [0] * 6 + [1] * 6, [(0, 1)] * N
    history = [seconds_of(owner, (0.02, 0.01))] * 5
    assert rebalance(history, owner, holders, (1.0,) * N) == [0] * 4 + [1] * 8


def test_rebalance__gives_nothing_to_a_rank_of_unknown_pace():
    owner, holders = [0] * 6 + [1] * 6, [(0, 1, 2)] * N
    history = [[0.12, 0.06, 0.0]] * 5
    assert 2 not in rebalance(history, owner, holders, (1.0,) * N)


@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=10),
    st.lists(st.sampled_from([0.0, 1.0, 5.0]), min_size=10, max_size=10),
)
def test_rebalance__never_makes_it_slower_and_asks_holders_only(row, holders, costs):
    owner = [ranks[0] for ranks in holders]
    changed = rebalance([row] * 5, owner, holders, costs)
    assert all(rank in ranks for rank, ranks in zip(changed, holders, strict=True))
    paces = [
        second / load if (load := seconds_of(owner, [1] * 4, costs)[rank]) else 0.0
        for rank, second in enumerate(row)
    ]
    after = seconds_of(changed, paces, costs)
    # a rank without work is as slow as its row says, whatever it gets or not
    worked = [rank for rank in range(4) if seconds_of(owner, [1] * 4, costs)[rank]]
    before = max((row[rank] for rank in worked), default=0)
    assert max((after[rank] for rank in worked), default=0) <= before * (1 + 1e-12)
    assert changed == rebalance([tuple(row)] * 5, tuple(owner), holders, tuple(costs))


def test_rebalance__costs_microseconds_while_all_is_well():
    owner = [leaf // 16 for leaf in range(64)]
    holders, history = [(rank, (rank + 1) % 4) for rank in owner], [[0.01] * 4] * 5
    started = time.thread_time()
    for _ in range(200):
        rebalance(history, owner, holders, (1.0,) * 64)
    assert (time.thread_time() - started) / 200 < 200e-6


def test_is_slow__compares_with_the_median_of_others():
    assert is_slow(3.1, [1, 1, 9])
    assert not is_slow(2.9, [1, 1, 9])
    assert not is_slow(1e9, [])


@pytest.mark.parametrize(
    ("rows", "evicted"),
    [
        ([(1, 4, 1)] * 5, [1]),
        ([(1, 4, 1)] * 4, []),
        ([(1, 4, 1)] * 4 + [(1, 2, 1)], []),
        ([(1, 2, 1)] + [(1, 4, 1)] * 5, [1]),
        ([(1, 2.9, 1)] * 9, []),
        ([(0, 0, 0)] * 9, []),
    ],
)
def test_ranks_to_evict__needs_five_slow_iterations_in_a_row(rows, evicted):
    assert ranks_to_evict(rows, [0, 1, 2], [1.0] * 3) == evicted


def test_ranks_to_evict__goes_by_pace_not_by_what_a_rank_has_left():
    owner, costs = [0] * 5 + [1] + [2] * 6, [1.0] * 12
    assert ranks_to_evict([(5, 4, 6)] * 5, owner, costs) == [1]
    assert ranks_to_evict([(5, 1, 6)] * 5, owner, costs) == []


def test_ranks_to_evict__never_names_all():
    for row in itertools.product((1, 10, 100), repeat=3):
        assert len(ranks_to_evict([row] * 5, [0, 1, 2], [1.0] * 3)) < 3
    assert ranks_to_evict([(7.0,)] * 9, [0], [1.0]) == []


@pytest.mark.parametrize(
    ("running", "others", "idle", "answer"),
    [
        (2.1, [1, 1], 1, True),
        (1.9, [1, 1], 1, False),
        (2.1, [1, 1], 0, False),
        (9.0, [], 1, False),
        (0.4, [0.01], 3, False),
        (BACK_UP_LEAST_S, [0.01], 3, True),
    ],
)
def test_should_back_up__when_slow_and_somebody_is_idle(running, others, idle, answer):
    assert should_back_up(running, others, idle) is answer
