"""Counts of whole blocks: every kind of lane, re-runs, tiles, turned jobs, threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import _gotoh, _keys, _pairs, sequences
from kernels._gotoh import Form
from tests import strategies
from tests.kernels import truth

KINDS = ("score", "identical", "columns")
STEPS = [(kind, step) for kind in KINDS for step in range(len(_pairs.LADDERS[kind]))]
STEP_FORMS = {kind: tuple(_pairs.LADDERS[kind]) for kind in KINDS}
WIDEST = Form(64, False)
EDGE_PROTEINS = ["", "A", "W", "a", "arndcqeghilkmfpstwyvbzx*", "X" * 50, "W" * 40, "W" * 300,
                 "*" * 10, "ARNDCQEGHILKMFPSTWYVBZX*", "OUJ", "K" * 13 + "R" * 7]  # fmt: skip
EDGE_NUCLEOTIDES = ["", "A", "n", "ACGTN", "acgtnryswkmbdhv", "N" * 50, "A" * 300, "UUAACC",
                    "ATGCSWRYKMBVHDN", "ACGT" * 20, "TTAACC", "AC" * 30]  # fmt: skip


def edge_set(alphabet, n=40):
    rng = np.random.default_rng(7)
    letters = sequences.letters(alphabet)
    edge = EDGE_PROTEINS if alphabet == "protein" else EDGE_NUCLEOTIDES
    plain = strategies.random_sequences(rng, letters, rng.integers(1, 80, n // 2))
    return edge + plain + strategies.relatives(rng, letters[:4], n // 2, 60)


def force(monkeypatch, kind, form):
    """Only this form, and the widest for what it cannot hold."""
    ladder = (form,) if form == WIDEST else (form, WIDEST)
    monkeypatch.setitem(_pairs.LADDERS, kind, ladder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("alphabet", "costs"),
    [
        ("protein", (None, None, None)),
        ("dna", (None, None, None)),
        ("dna", ("EDNAFULL", 4, 4)),
        ("protein", ("PAM250", 5, 5)),
        ("dna", (sequences.match_mismatch(1, -1, "dna"), 1, 1)),
        ("dna", (sequences.match_mismatch(2, -3, "dna"), 5, 2)),
        ("rna", (sequences.match_mismatch(5, -4, "rna"), 12, 4)),
    ],
)
def test_counts__equal_the_definition_on_edge_cases(kind, alphabet, costs):
    texts = edge_set(alphabet)
    truth.assert_true(truth.fill(texts, alphabet, kind, costs), texts, alphabet, costs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alphabet", ["dna", "protein"])
@strategies.steady(40)
@given(data=st.data())
def test_counts__equal_the_definition_for_any_sequences_and_costs(kind, alphabet, data):
    texts = data.draw(strategies.sequence_sets(alphabet, least=2))
    costs = data.draw(strategies.costs(alphabet))
    truth.assert_true(truth.fill(texts, alphabet, kind, costs), texts, alphabet, costs)


@pytest.mark.parametrize(("kind", "step"), STEPS, ids=lambda value: str(value))
@pytest.mark.parametrize("alphabet", ["dna", "protein"])
def test_counts__are_the_same_in_every_form(kind, step, alphabet, monkeypatch):
    form = _pairs.LADDERS[kind][step]
    texts, costs = edge_set(alphabet, 60), (None, None, None)
    if form.narrow and kind == "columns":  # such keys need mismatches that cost an extension
        costs = (sequences.match_mismatch(5, -4, alphabet), 16, 4)
    expected = truth.found_pairs(truth.fill(texts, alphabet, kind, costs))
    force(monkeypatch, kind, form)
    used = truth.forms_used(monkeypatch)
    assert truth.found_pairs(truth.fill(texts, alphabet, kind, costs)) == expected
    if alphabet == "dna" or kind == "score":
        assert form in used


@pytest.mark.parametrize(("kind", "step"), STEPS, ids=lambda value: str(value))
def test_counts__survive_overflow_in_every_form(kind, step, monkeypatch, rng):
    form = _pairs.LADDERS[kind][step]
    force(monkeypatch, kind, form)
    texts = strategies.relatives(rng, "ACGT", 40, 120, change=0.05)
    texts += strategies.random_sequences(rng, "ACGT", rng.integers(1, 120, 40))
    for match in (2, 5, 40, 500, 9000, 150_000):
        costs = (sequences.match_mismatch(match, -match + 1, "dna"), 3 * match, match)
        counts = truth.fill(texts, "dna", kind, costs)
        truth.assert_true(counts, texts, "dna", costs, sample=40, seed=match)


def test_counts__rerun_only_what_overflowed(monkeypatch, rng):
    force(monkeypatch, "score", Form(8, True))
    texts = strategies.relatives(rng, "ACGT", 2, 100, change=0.02)
    texts += strategies.random_sequences(rng, "ACGT", [100] * 30)
    counts = truth.fill(texts, "dna", "score")
    assert counts.repeated == 1
    truth.assert_true(counts, texts, "dna")


def test_counts__leave_a_hopeless_form_early(monkeypatch, rng):
    used = truth.forms_used(monkeypatch)
    texts = strategies.relatives(rng, "ACGT", 90, 100, change=0.02)
    counts = truth.fill(texts, "dna", "score")
    assert Form(8, True) in used
    assert 0 < counts.repeated < 90 * 89 / 2
    truth.assert_true(counts, texts, "dna", sample=200)


def test_counts__hold_scores_beyond_16_bits(rng):
    base = "".join(rng.choice(list("ACGT"), 6800))
    texts = [base, base[100:5000] + "A" * 100 + base[5010:], "ACGT" * 10]
    counts = [truth.fill(texts, "dna", kind) for kind in KINDS]
    truth.assert_true(counts[2], texts, "dna")
    assert counts[2].score.max() > 32767
    assert np.array_equal(counts[0].score, counts[2].score)
    assert np.array_equal(counts[1].identical, counts[2].identical)


def test_counts__hold_scores_beyond_32_bits(rng):
    base = "".join(rng.choice(list("ACGT"), 2100))
    texts = [base, base[:1500] + "A" * 100, base[5:]]
    costs = (sequences.match_mismatch(2**20 - 1, -(2**20) + 1, "dna"), 2**20 - 1, 3)
    for kind in KINDS:
        counts = truth.fill(texts, "dna", kind, costs)
        truth.assert_true(counts, texts, "dna", costs)
        assert counts.score.max() >= 2**31


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_bytes", [1, 50_000, 200_000])
def test_counts__are_the_same_in_tiles(kind, n_bytes, monkeypatch, rng):
    texts = strategies.relatives(rng, "ACGT", 20, 400) + ["A" * 35, "", "ACGTN" * 200]
    expected = truth.found_pairs(truth.fill(texts, "dna", kind))
    monkeypatch.setattr(_gotoh, "PROFILE_BYTES", n_bytes)
    assert truth.found_pairs(truth.fill(texts, "dna", kind)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_counts__are_true_where_lengths_differ_much(kind, rng):
    """Short queries against a few long targets: jobs are turned round."""
    lengths = [3, 5, 8, 20, 20, 30, 90, 700, 2500] * 6
    texts = strategies.random_sequences(rng, "ACGT", lengths)
    texts += [texts[-1][400:900], texts[-1][::2], ""]
    truth.assert_true(truth.fill(texts, "dna", kind), texts, "dna", sample=150)


@pytest.mark.parametrize("kind", KINDS)
def test_counts__are_true_for_the_longest_against_the_shortest(kind, rng):
    """The skew of so long a sequence exceeds half of a 16-bit lane."""
    texts = strategies.random_sequences(rng, "ACGT", [11_000, 40, 35, 9_000])
    texts.append(texts[0][7000:7030])
    counts = truth.fill(texts, "dna", kind, rows=[0, 3], columns=[1, 2, 4])
    truth.assert_true(counts, texts, "dna")


@pytest.mark.parametrize("kind", KINDS)
def test_counts__of_a_rectangle_are_those_of_the_triangle(kind):
    texts = edge_set("protein")
    whole = truth.found_pairs(truth.fill(texts, "protein", kind))
    rows, columns = np.arange(0, len(texts), 2), np.arange(1, len(texts), 2)
    part = truth.found_pairs(truth.fill(texts, "protein", kind, rows=rows, columns=columns))
    assert len(part) == rows.size * columns.size
    assert part == {pair: whole[pair] for pair in part}


@pytest.mark.parametrize("kind", KINDS)
def test_counts__are_the_same_on_three_threads(kind, monkeypatch):
    monkeypatch.setattr(_pairs, "MOST_QUERIES", 7)
    texts = edge_set("dna", 150)
    one, three = (truth.fill(texts, "dna", kind, n_threads=n) for n in (1, 3))
    for name in ("score", "identical", "others"):
        assert getattr(one, name).tobytes() == getattr(three, name).tobytes()


@pytest.mark.parametrize(
    "costs",
    [
        (np.full((15, 15), -1), 2, 1),  # nothing scores
        (np.zeros((15, 15)), 1, 1),
        (np.full((15, 15), -100), 200, 1),  # narrow lanes cannot hold their zero
        (np.full((15, 15), 3), 4, 2),  # everything scores
        (sequences.match_mismatch(-4, 5, "dna"), 6, 2),  # mismatches score, matches cost
        (sequences.match_mismatch(0, -1, "dna"), 1, 1),  # identical columns for nothing
        (sequences.match_mismatch(2**20 - 1, 1 - 2**20, "dna"), 2**20 - 1, 2**20 - 1),
        (sequences.match_mismatch(1, 1 - 2**20, "dna"), 1, 1),
        (sequences.match_mismatch(2**20 - 1, -1, "dna"), 1, 1),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_counts__are_true_for_extreme_costs(kind, costs):
    texts = edge_set("dna", 50)
    truth.assert_true(truth.fill(texts, "dna", kind, costs), texts, "dna", costs, sample=300)


@pytest.mark.parametrize("kind", KINDS)
def test_counts__are_true_for_repeats_with_cheap_gaps(kind, rng):
    texts = strategies.random_sequences(rng, "AC", rng.integers(1, 100, 40))
    for costs in ((None, 3, 1), (None, 1, 1), (sequences.match_mismatch(2, -1, "dna"), 2, 1)):
        counts = truth.fill(texts, "dna", kind, costs)
        truth.assert_true(counts, texts, "dna", costs, sample=300)


@pytest.mark.parametrize("alphabet", ["dna", "protein"])
def test_narrow_and_full_keys__agree_on_every_pair(alphabet):
    """Identical columns alone, and with the others, on near and far pairs, in their own lanes."""
    rng = np.random.default_rng(3)
    letters = sequences.letters(alphabet)
    texts = [
        text
        for change in (0.01, 0.1, 0.3, 0.6)
        for text in strategies.relatives(rng, letters[:20], 25, 90, change)
    ]
    found = [truth.found_pairs(truth.fill(texts, alphabet, kind)) for kind in KINDS]
    for pair, (score, identical, _) in found[2].items():
        assert found[0][pair][0] == score
        assert found[1][pair][1] == identical


def test_counts__keep_input_arrays_as_they_are(rng):
    codes = rng.integers(0, 4, 300).astype(np.uint8)
    offsets = np.arange(0, 301, 30)
    scores, *gaps = sequences.scoring("dna")
    for array in (codes, offsets, scores):
        array.flags.writeable = False
    counts = _pairs.Counts(
        _pairs.group(codes, offsets, scores, *gaps),
        np.arange(10), np.arange(10), triangle=True, kind="identical",
    )  # fmt: skip
    counts.fill()
    assert counts.identical.any()


@pytest.mark.parametrize(
    ("kind", "form"),
    [(kind, form) for kind, step in STEPS if (form := _pairs.LADDERS[kind][step]).narrow],
    ids=str,
)
@pytest.mark.parametrize(
    ("match", "mismatch", "gap_open", "gap_extend"),
    [(5, -4, 16, 4), (5, -4, 4, 4), (1, -1, 1, 1), (2, -1, 1, 1), (1, -3, 3, 3), (7, -2, 3, 2),
     (4, -2, 2, 2), (20, -1, 1, 1), (3, -9, 10, 9)],
)  # fmt: skip
def test_keys_with_several_readings__are_read_rightly_or_aligned_again(
    kind, form, match, mismatch, gap_open, gap_extend, monkeypatch
):
    rng = np.random.default_rng(match)
    texts = strategies.random_sequences(rng, "AC", rng.integers(50, 400, 16))
    for change in (0.02, 0.2, 0.5):
        texts += strategies.relatives(rng, "ACGT", 16, 250, change)
    costs = (sequences.match_mismatch(match, mismatch, "dna"), gap_open, gap_extend)
    force(monkeypatch, kind, WIDEST)
    expected = truth.found_pairs(truth.fill(texts, "dna", kind, costs))
    force(monkeypatch, kind, form)
    used = truth.forms_used(monkeypatch)
    assert truth.found_pairs(truth.fill(texts, "dna", kind, costs)) == expected
    assert form in used


@pytest.mark.parametrize("length", [20, 100, 400, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_keys_with_several_readings__allow_for_identical_columns_that_earn_less(
    length, seed, monkeypatch
):
    """N with N costs, but counts as identical; so may any letter in a matrix of one's own."""
    rng = np.random.default_rng([seed, length])
    texts = strategies.relatives(rng, "ACGT", 12, length, 0.02)
    for share in (0.01, 0.1, 0.4):
        blank = rng.random(2 * length) < share
        texts += ["".join(np.where(blank[: len(t)], "N", list(t))) for t in texts[:8]]
    scores = sequences.substitution_matrix("EDNAFULL", "dna")
    if seed:
        scores = np.minimum(scores, 0) * 2
        np.fill_diagonal(scores, rng.integers(-3 * (seed == 3), 8, 15))
    costs = (scores, 16, 4)
    force(monkeypatch, "identical", WIDEST)
    expected = truth.found_pairs(truth.fill(texts, "dna", "identical", costs))
    for form in [form for form in STEP_FORMS["identical"] if form.narrow]:
        force(monkeypatch, "identical", form)
        assert truth.found_pairs(truth.fill(texts, "dna", "identical", costs)) == expected


@pytest.fixture
def daring_weights(monkeypatch):
    """Weights that leave several readings more often."""
    monkeypatch.setattr(_keys, "LEAST_SHARE", 4)
    _keys.choose.cache_clear()
    yield
    _keys.choose.cache_clear()


@pytest.mark.parametrize("gap_open", [4, 6, 9])
@pytest.mark.usefixtures("daring_weights")
def test_keys_with_several_readings__allow_for_a_gap_in_every_other_place(
    gap_open, monkeypatch, rng
):
    """As many gaps as identical columns can pay for: their count runs into that of the columns."""
    base = "".join(rng.choice(list("ACGT"), 1200))
    texts = [base, base[::-1], base[:500]]
    for every in (2, 3, 4, 5, 7):
        pieces = [base[k : k + every] for k in range(0, len(base), every)]
        texts += [rng.choice(list("ACGT")).join(pieces), "".join(piece[1:] for piece in pieces)]
    costs = (sequences.match_mismatch(5, -4, "dna"), gap_open, 4)
    force(monkeypatch, "columns", WIDEST)
    expected = truth.found_pairs(truth.fill(texts, "dna", "columns", costs))
    for form in [form for form in STEP_FORMS["columns"] if form.narrow]:
        force(monkeypatch, "columns", form)
        counts = truth.fill(texts, "dna", "columns", costs)
        assert truth.found_pairs(counts) == expected
        assert counts.repeated > 0 or gap_open > 4
