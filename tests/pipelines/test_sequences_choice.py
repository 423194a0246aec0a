"""All pairs or landmarks: what decides, what is refused, and which landmarks."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ResourceProblem, UsageProblem
from pipelines.sequences_choice import (
    FEWEST,
    MOST,
    Limits,
    choose,
    drawn,
    maximin,
    pool_of,
)

HOUR = 3600.0
ROOMY = Limits(n=2_000, seconds=10.0, allowed_seconds=HOUR, memory_bytes=16 << 30)
SLOW = dataclasses.replace(ROOMY, n=100_000, seconds=50 * HOUR)


def config(**changes):
    values = {
        "mode": "auto", "landmarks": "auto", "landmark_choice": "maximin", "max_minutes": 75.0,
        "n_clusters": None,
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


def test_auto__takes_all_pairs_that_fit():
    found = choose(config(), ROOMY, {})
    assert (found.mode, found.landmarks, found.pool, found.warnings) == ("all-pairs", 0, 0, ())
    assert found.text == "all pairs"


@pytest.mark.parametrize("how", ["maximin", "random"])
def test_auto__takes_landmarks_for_time(how):
    found = choose(config(landmark_choice=how), SLOW, {})
    assert found.mode == "landmarks"
    assert FEWEST <= found.landmarks <= MOST
    assert found.pool == (2 * found.landmarks if how == "maximin" else 0)
    assert "would take about 50 h and --max-minutes is 75" in found.text
    taken = SLOW.landmark_seconds(found.landmarks, found.pool)
    more = SLOW.landmark_seconds(found.landmarks + 100, found.pool)
    assert taken <= HOUR < more


def test_auto__takes_landmarks_for_memory():
    limits = dataclasses.replace(ROOMY, n=100_000)
    found = choose(config(), limits, {})
    assert (found.mode, found.landmarks) == ("landmarks", MOST)
    assert "would take 79.2 GiB of memory, and 16.0 GiB may be used" in found.text


def test_auto__warns_when_the_fewest_landmarks_are_slow():
    found = choose(config(), dataclasses.replace(SLOW, seconds=5_000 * HOUR), {})
    assert found.landmarks == FEWEST
    assert found.warnings == (
        "even 500 landmarks take about 50 h, --max-minutes is 75",
    )  # fmt: skip


def test_given_landmarks__are_taken():
    found = choose(config(landmarks=30), ROOMY, {})
    assert (found.mode, found.landmarks, found.pool) == ("landmarks", 30, 60)
    assert choose(config(landmarks=1_500), ROOMY, {}).pool == 2_000
    assert choose(config(landmarks=2_000), ROOMY, {}).mode == "all-pairs"


@pytest.mark.parametrize(("n", "landmarks"), [(3, 2), (194, 38), (2_000, 400), (9_999, 1_900)])
def test_mode_landmarks__takes_a_fifth_at_most(n, landmarks):
    found = choose(config(mode="landmarks"), dataclasses.replace(ROOMY, n=n), {})
    assert (found.mode, found.landmarks) == ("landmarks", landmarks)


def test_mode__is_obeyed_and_all_pairs_beyond_memory_are_refused():
    assert (
        choose(config(mode="all-pairs"), dataclasses.replace(SLOW, n=9_000), {}).mode == "all-pairs"
    )
    with pytest.raises(
        ResourceProblem, match=r"100,000 sequences takes 79.2 GiB \(17 bytes a pair"
    ):
        choose(config(mode="all-pairs"), SLOW, {})


def test_more_clusters_than_landmarks__are_refused():
    with pytest.raises(UsageProblem, match="--n-clusters 40 is more than 30 landmarks"):
        choose(config(landmarks=30, n_clusters=40), ROOMY, {})


def test_resumed__does_what_was_decided():
    before = {"mode": "landmarks", "landmarks": 700}
    found = choose(config(), ROOMY, before)
    assert (found.mode, found.landmarks) == ("landmarks", 700)
    assert choose(config(), SLOW, {"mode": "landmarks", "landmarks": 900}).landmarks == 900
    asked = choose(config(mode="all-pairs"), ROOMY, before)
    assert asked.mode == "all-pairs"  # which the result folder refuses by name


def matrix_of(distances):
    return SimpleNamespace(n=len(distances), rows=lambda start, stop: distances[start:stop])


def naive_maximin(distances, m, first):
    chosen = [first]
    while len(chosen) < m:
        left = [k for k in range(len(distances)) if k not in chosen]
        chosen.append(max(left, key=lambda k: (min(distances[k][c] for c in chosen), -k)))
    return chosen


@given(st.integers(1, 14), st.integers(0, 99), st.data())
def test_maximin__is_what_the_definition_says(n, seed, data):
    distances = np.random.default_rng(seed).integers(0, 5, (n, n)).astype(float)
    distances = np.triu(distances, 1) + np.triu(distances, 1).T
    m, first = data.draw(st.integers(1, n)), data.draw(st.integers(0, n - 1))
    found = maximin(matrix_of(distances), m, first)
    assert found.tolist() == naive_maximin(distances, m, first)


def test_maximin__finds_every_family_where_drawing_would_not(rng):
    sizes = [400, 5, 5, 5, 5]
    family = np.repeat(np.arange(5), sizes)
    points = rng.normal(size=(5, 3))[family] * 9 + 0.1 * rng.normal(size=(420, 3))
    distances = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    chosen = maximin(matrix_of(distances), 8, 3)
    assert set(family[chosen]) == set(range(5))


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 9))
def test_drawn__are_different_and_depend_on_the_seed_only(n, m, seed):
    found = drawn(n, m, seed)
    assert len(set(found.tolist())) == len(found) == min(n, m)
    assert found.tolist() == drawn(n, m, seed).tolist()
    assert found.tolist() == drawn(n, n, seed)[:m].tolist()  # more are the same and others


def test_sizes():
    assert [pool_of("maximin", 5, n) for n in (4, 9, 100)] == [4, 9, 10]
    assert pool_of("random", 5, 100) == 0
