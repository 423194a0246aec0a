"""What is wrong with dissimilarities is told in one line, with the pair; what is only odd, in a
warning."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.dissimilarities import open_dissimilarities, open_weights
from pipelines.formats.dissimilarities_triples import sample, share_of
from tests.pipelines.formats.dissimilarity_bands import assert_holds, loaded, upper
from tests.pipelines.result_folders import symmetric

DATA = Path(__file__).parents[4] / "shared" / "data" / "mds"


def saved(tmp_path, values):
    np.save(tmp_path / "d.npy", values)
    return str(tmp_path / "d.npy")


def refusal(path, **options):
    """(text without the path, remedy) of the refusal."""
    with pytest.raises(InputProblem) as caught:
        loaded(open_dissimilarities(path, **options))
    assert path in str(caught.value)
    return str(caught.value).replace(path, "FILE"), caught.value.remedy


@pytest.fixture(params=[10, 2**28], ids=["loaded", "opened"])
def looked_at(request, monkeypatch):
    """Where the numbers are looked at."""
    monkeypatch.setattr("pipelines.formats.dissimilarities.CHECKED_BYTES", request.param)


@pytest.mark.usefixtures("looked_at")
def test_not_symmetric__the_worst_pair_is_named(tmp_path):
    values = np.zeros((9, 9))
    values[3, 7], values[7, 3] = 0.31, 0.29
    values[1, 2], values[2, 1] = 0.5, 0.5 + 1e-5
    text, remedy = refusal(saved(tmp_path, values))
    assert text == "FILE is not symmetric: d[3,7]=0.31, d[7,3]=0.29 (worst of 2 pairs)."
    assert remedy == "Average them with --symmetrize."
    values[2, 1] = 0.5 + 1e-8
    text, _ = refusal(saved(tmp_path, values))
    assert text == "FILE is not symmetric: d[3,7]=0.31, d[7,3]=0.29 (one pair)."


@pytest.mark.usefixtures("looked_at")
def test_weights__are_told_as_such_and_may_have_a_diagonal(tmp_path):
    values = symmetric(40) + np.eye(40, dtype=np.float32) * np.nan
    values[0, 0] = -1
    path = saved(tmp_path, values)
    np.testing.assert_array_equal(loaded(open_weights(path)), upper(values))
    assert open_weights(path).warnings == []
    values[3, 4] = values[4, 3] = -0.5
    with pytest.raises(InputProblem, match=r"d\[3,4\].* is -0.5; a weight is 0 or more"):
        loaded(open_weights(saved(tmp_path, values)))
    values[3, 4] = 0.75
    with pytest.raises(InputProblem) as caught:
        loaded(open_weights(saved(tmp_path, abs(values))))
    assert "is not symmetric" in str(caught.value)
    assert caught.value.remedy == "Average them first."


@pytest.mark.usefixtures("looked_at")
def test_not_symmetric__in_fortran_order_the_same_pair_is_named(tmp_path):
    values = np.zeros((5, 5))
    values[1, 4], values[4, 1] = 2, 3
    text, _ = refusal(saved(tmp_path, np.asfortranarray(values)))
    assert "d[1,4]=2, d[4,1]=3 (one pair)" in text


@pytest.mark.usefixtures("looked_at")
def test_known_on_one_side_only__is_not_symmetric(tmp_path):
    values = symmetric(40)
    values[3, 7], values[7, 3] = 0.25, np.nan
    text, _ = refusal(saved(tmp_path, values))
    assert "d[3,7]=0.25, d[7,3]=nan (one pair)" in text


@pytest.mark.usefixtures("looked_at")
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_symmetrize__takes_the_mean(tmp_path, dtype):
    values = np.rint(np.random.default_rng(2).random((60, 60)) * 1000).astype(dtype)
    np.fill_diagonal(values, 0)
    expected = (values.astype(float) + values.T) / 2
    opened = open_dissimilarities(saved(tmp_path, values), symmetrize=True)
    assert opened.symmetrize
    assert_holds(opened, expected)


def test_symmetrize__takes_the_one_that_is_known(tmp_path):
    values = symmetric(20).astype(np.float64)
    expected = values.copy()
    values[3, 7] = np.nan
    values[5, 6] = values[6, 5] = expected[5, 6] = expected[6, 5] = np.nan
    opened = open_dissimilarities(saved(tmp_path, values), symmetrize=True)
    assert opened.missing == 1
    assert_holds(opened, expected)


@pytest.mark.usefixtures("looked_at")
@pytest.mark.parametrize("symmetrize", [False, True])
@pytest.mark.parametrize(("value", "shown"), [(-0.5, "-0.5"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_odd_value__is_named(tmp_path, value, shown, symmetrize):
    values = symmetric(40)
    values[9, 30] = values[30, 9] = value
    text, remedy = refusal(saved(tmp_path, values), symmetrize=symmetrize)
    assert text == f"FILE: d[9,30] (counted from 0) is {shown}; a distance is 0 or more."
    assert remedy == "Write NaN where a distance is not known."


def test_odd_values__are_counted(tmp_path):
    values = symmetric(40)
    values[9, 30] = values[30, 9] = -1
    values[10, 31] = values[31, 10] = values[8, 9] = values[9, 8] = np.inf
    text, _ = refusal(saved(tmp_path, values))
    assert "d[8,9] (counted from 0) is inf, the first of 2 infinite and 1 negative ones;" in text


@pytest.mark.usefixtures("looked_at")
def test_diagonal_that_is_not_zero__is_perhaps_of_a_similarity(tmp_path):
    values = 1 - symmetric(30)
    text, remedy = refusal(saved(tmp_path, values))
    assert text == "FILE: d[0,0] is 1, not 0, the first of 30 on the diagonal."
    assert remedy.startswith("Is it a similarity?")


def test_diagonal__may_be_missing_or_nearly_zero(tmp_path):
    values = symmetric(30).astype(np.float64)
    values[4, 4], values[5, 5] = np.nan, 1e-9
    opened = open_dissimilarities(saved(tmp_path, values))
    np.fill_diagonal(values, 0)
    assert_holds(opened, values)


def test_int16__negative_numbers_are_missing(tmp_path):
    values = np.rint(symmetric(20) * 100).astype(np.int16)
    values[2, 3] = values[3, 2] = -7
    opened = open_dissimilarities(saved(tmp_path, values))
    assert opened.missing == 1
    expected = values.astype(np.float64)
    expected[values < 0] = np.nan
    assert_holds(opened, expected)
    values[3, 2] = 5
    text, _ = refusal(saved(tmp_path, values))
    assert "d[2,3]=missing, d[3,2]=5 (one pair)" in text


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 4), "FILE is 3 x 4, not square: a row and a column per record are expected."),
        ((2, 2, 2), "FILE is 2 x 2 x 2, not square: a row and a column per record are expected."),
        ((0, 0), "FILE holds no numbers."),
        ((0,), "FILE holds no numbers."),
        ((7,), "FILE holds 7 numbers in one dimension, and no number of records has so many "
               "pairs: 4 have 6."),
    ],
)  # fmt: skip
def test_not_square__is_refused(tmp_path, shape, message):
    assert refusal(saved(tmp_path, np.zeros(shape)))[0] == message


def test_other_input__is_refused(tmp_path):
    with pytest.raises(UsageProblem, match="distances are not read from standard input"):
        open_dissimilarities("-")
    with pytest.raises(UsageProblem, match="does not exist"):
        open_dissimilarities(str(tmp_path / "nothing.npy"))
    with pytest.raises(UsageProblem, match="kind is 'raw'; choose one of auto, salsa-int16-be"):
        open_dissimilarities(saved(tmp_path, symmetric(3)), kind="raw")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "d.npy").read_bytes()[:-1])
    assert refusal(str(tmp_path / "cut.npy"))[0] == "FILE ends early: 163 bytes of 164."


@pytest.mark.parametrize("layout", ["rows reversed", "right"])
def test_reversed_rows__raise_the_warning(tmp_path, layout):
    points = np.random.default_rng(5).normal(size=(300, 2))
    values = cdist(points, points)
    if layout == "rows reversed":  # each row's known half, as a triangle is copied the wrong way
        for row in range(1, 300):
            values[row, :row] = values[:row, row] = values[row, :row][::-1].copy()
    opened = open_dissimilarities(saved(tmp_path, values))
    assert (opened.warnings != []) == (layout == "rows reversed")
    if opened.warnings:
        assert opened.breaks > 0.1
        assert opened.warnings[0] == (
            f"{100 * opened.breaks:.0f} % of sampled triples break the triangle inequality; "
            "is the order of rows right?"
        )


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data/mds")
def test_cities__of_which_one_copy_is_wrong():
    wrong = open_dissimilarities(str(DATA / "sgb128_dist.txt"))
    right = open_dissimilarities(str(DATA / "sgb128_dist_fixed.csv"))
    wish = open_dissimilarities(str(DATA / "wish_dissimilarity9_12.csv"))
    assert "is the order of rows right?" in wrong.warnings[0]
    assert (right.warnings, right.breaks, wish.warnings) == ([], 0.0, [])
    assert (right.n, right.ids[0], wish.ids[-1]) == (128, "Youngstown OH", "Yugoslavia")
    np.testing.assert_array_equal(wrong.rows([0])[0, :3], [0, 966, 1513])
    np.testing.assert_array_equal(right.rows([0])[0, :3], [0, 966, 2410])


def test_share__is_that_of_all_triples():
    values = symmetric(25, missing=[(3, 9)]).astype(np.float64)
    sides = [(values[a, b], values[b, c], values[a, c]) for a, b, c in combinations(range(25), 3)]
    known = [sorted(each) for each in sides if not np.isnan(each).any()]
    share = np.mean([low + middle < high for low, middle, high in known])
    assert share_of(values, 0.0) == pytest.approx(share, abs=0.01)
    assert share_of(np.full((5, 5), np.nan), 0.0) is None


def test_sample__is_of_few_chunks():
    chosen = sample(100_000, (1000, 1000), 2)
    assert len(np.unique(chosen)) == len(chosen) >= 200
    stripes = len(np.unique(chosen // 1000))
    assert 3 <= stripes <= 12
    assert stripes * (stripes + 1) // 2 * 2_000_000 <= 160 << 20
    np.testing.assert_array_equal(sample(50, (1000, 1000), 2), np.arange(50))
    assert len(sample(100_000, (1, 100_000), 4)) == 240
