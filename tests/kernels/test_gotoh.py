"""The vector kernel by itself: keys of any weights, to the limits of every kind of lane."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import _gotoh
from kernels._gotoh import CHUNK, Form
from tests import strategies
from tests.kernels import truth

REBASED = [Form(8, True), Form(16, True), Form(32, True)]
PLAIN = [Form(16, False), Form(32, False), Form(64, False)]
LIMITS = {8: 200, 16: 60_000, 32: 4_000_000_000, 64: 1 << 58}  # keys that a lane could about hold


def best_keys(form, queries, targets, weights, gap_open, gap_extend, tile=None):
    """(keys (queries, targets), most) from the kernel; sequences are lists of codes."""
    a, columns = len(weights), max(*(len(t) for t in targets), 1)
    span = max(len(q) for q in queries) + columns
    smallest, largest = min(weights.min(), -gap_extend), weights.max()
    zero, most = _gotoh.key_range(form, int(smallest), int(largest), gap_open, gap_extend, span)
    lanes = np.full((columns, form.lanes), a, np.uint8)
    for lane, target in enumerate(targets):
        lanes[: len(target), lane] = target
    table = np.full((a + 1, a + 1), -gap_extend, np.int64)
    table[:a, :a] = weights
    starts = np.cumsum([0, *(len(q) for q in queries)])[:-1]
    codes = np.array([c for q in queries for c in q] or [0], np.uint8)
    keys = np.empty((len(queries), form.lanes), np.int64)
    _gotoh.kernel(form)(
        codes, starts, np.array([len(q) for q in queries]), lanes.ravel(), columns,
        (table + 2 * gap_extend).astype(form.dtype).ravel(), np.ones(a + 1, np.int64),
        tile or columns, zero, gap_open, gap_extend, keys,
    )  # fmt: skip
    return keys[:, : len(targets)], most


def true_keys(queries, targets, weights, gap_open, gap_extend):
    plain = np.zeros_like(weights)
    return np.array(
        [
            [
                truth.align(
                    np.array(q, int), np.array(t, int), weights, plain, gap_open, gap_extend
                )[0]
                for t in targets
            ]
            for q in queries
        ]
    )


@st.composite
def problems(draw, form):
    """Sequences, weights and costs whose keys lie on both sides of what the lane holds."""
    limit = LIMITS[form.bits]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high, cost = (max(int(limit * 10 ** -draw(st.floats(0.4, 4))), 1) for _ in range(3))
    cost = min(cost, 1 << 50)
    weights = rng.integers(-low, high + 1, (4, 4))
    if draw(st.booleans()):
        np.fill_diagonal(weights, high)
    weights = np.maximum(weights, weights.T)
    gap_extend = int(rng.integers(1, max(cost // 10, 1) + 1))
    gap_open = gap_extend + int(rng.integers(0, cost + 1))
    ancestor = rng.integers(0, 4, 60)
    sequences = []
    for length in rng.integers(0, 60, 10):
        piece = ancestor[60 - length :].copy()
        piece[rng.random(length) < 0.1] = 1
        sequences.append(piece.tolist())
    return sequences[:5], sequences[5:], weights, gap_open, gap_extend


def assert_sound(form, problem, tile=None):
    """Keys within the range are exact; in rebased lanes, the others are told apart."""
    got, most = best_keys(form, *problem, tile=tile)
    expected = true_keys(*problem)
    if most < 0:  # the form does not fit the weights, and says so
        return
    within = expected <= most
    assert np.array_equal(got[within], expected[within])
    if form.rebased:
        assert (got[~within] > most).all()


@pytest.mark.parametrize("form", [*REBASED, *PLAIN], ids=str)
@strategies.steady(60)
@given(data=st.data())
def test_kernel__is_exact_within_its_range_and_flags_the_rest(form, data):
    problem = data.draw(problems(form))
    assert_sound(form, problem, data.draw(st.sampled_from([None, CHUNK, 2 * CHUNK])))


@pytest.mark.parametrize("form", REBASED, ids=str)
@pytest.mark.parametrize("beyond", [0, 1, 2, 100, 10_000_000_000], ids="most+{}".format)
def test_kernel__holds_the_largest_key_and_not_one_more(form, beyond):
    largest = 1 if form.bits == 8 else LIMITS[form.bits] // 40
    weights = np.full((3, 3), -1)
    np.fill_diagonal(weights, [largest, 1, 0])
    _, most = best_keys(form, [[0]], [[0]], weights, 2, 1)
    wanted = min(most + beyond, 50 * largest if form.bits > 8 else 1000)
    whole, rest = divmod(wanted, largest)
    if rest:
        np.fill_diagonal(weights, [largest, rest, 0])
    sequence = [0] * whole + [1] * (rest > 0)
    (key,), again = best_keys(form, [sequence], [sequence], weights, 2, 1)
    assert again == most
    assert key == wanted if wanted <= most else key > most


@pytest.mark.parametrize("form", PLAIN, ids=str)
def test_kernel__is_exact_where_the_skew_of_long_sequences_fills_the_lane(form):
    gap_extend = min(1 << form.bits, 1 << 62) // 400
    for length in range(100, 500, 10):
        sequence, other = [0] * 80 + [1] * (length - 80), [0] * 80
        weights = np.full((2, 2), -1)
        problem = [sequence], [other], weights, 2 * gap_extend, gap_extend
        _, most = best_keys(form, *problem)
        if most < 82:
            assert length > 140
            return
        np.fill_diagonal(weights, most // 82)
        (key,), _ = best_keys(form, *problem)
        assert key == 80 * weights[0, 0]
    pytest.fail("the lane never filled")


def test_kernel__tiles_change_nothing(rng):
    sequences = [rng.integers(0, 4, n).tolist() for n in (90, 33, 64, 1, 0, 17)]
    weights = np.where(np.eye(4, dtype=bool), 5, -4)
    problem = (sequences, sequences, weights, 8, 2)
    for form in (*REBASED[1:], *PLAIN):
        whole, _ = best_keys(form, *problem)
        for tile in (CHUNK, 2 * CHUNK, 3 * CHUNK, 5 * CHUNK, 6 * CHUNK):
            assert np.array_equal(best_keys(form, *problem, tile=tile)[0], whole)
    assert np.array_equal(whole, true_keys(*problem))


def test_tile_columns__bounds_the_bytes(monkeypatch):
    monkeypatch.setattr(_gotoh, "PROFILE_BYTES", 1 << 16)
    for form in (*REBASED, *PLAIN):
        tile = _gotoh.tile_columns(form, 10**6, 16)
        assert tile % CHUNK == 0
        assert CHUNK <= tile <= max((1 << 16) // (16 * form.lanes * form.bits // 8), CHUNK)
        assert _gotoh.tile_columns(form, 10, 16) == 10
