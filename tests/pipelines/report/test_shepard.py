import numpy as np
import pytest
from scipy.stats import spearmanr

from pipelines.report.shepard import Pairs, ideal_line, shepard_figure, shepard_section
from tests.pipelines.report.maps import families, pairs
from tests.pipelines.report.test_figures import decoded


def test_shepard__cells_hold_every_pair():
    sample = pairs(families(100)[0], 5_000, noise=0.4)
    data = shepard_figure(Pairs(sample)).graph["data"]
    heights = decoded(data[0]["z"])
    counts = np.nan_to_num(10**heights, nan=0.0)
    assert counts.sum() == pytest.approx(5_000, rel=1e-3)
    grid = np.rint(counts.reshape(90, 90))
    np.testing.assert_array_equal(grid.sum(axis=0), decoded(data[2]["y"]))  # margin above
    np.testing.assert_array_equal(grid.sum(axis=1), decoded(data[3]["x"]))  # margin beside


def test_shepard__given_distances_run_to_the_right():
    data = shepard_figure(Pairs({"delta": [1.0], "distance": [0.25]})).graph["data"]
    row, column = np.argwhere(np.isfinite(decoded(data[0]["z"]).reshape(90, 90)))[0]
    assert decoded(data[0]["x"])[column] == pytest.approx(1, abs=0.01)
    assert decoded(data[0]["y"])[row] == pytest.approx(0.25, abs=0.01)


def test_shepard__correlations_equal_those_of_scipy():
    sample = pairs(families(60)[0], 500, noise=1.0)
    found = Pairs(sample)
    assert found.correlation == pytest.approx(
        np.corrcoef(sample["delta"], sample["distance"])[0, 1]
    )
    expected = spearmanr(sample["delta"], sample["distance"]).statistic
    assert found.rank_correlation == pytest.approx(expected)


def test_shepard__line_is_fitted_where_the_scale_is_free():
    sample = {"delta": np.array([1.0, 2.0, 4.0]), "distance": np.array([3.0, 6.0, 12.0])}
    assert Pairs(sample, "absolute").slope == 1
    assert Pairs(sample, "ratio").slope == pytest.approx(3)


def test_shepard__pairs_without_a_distance_are_left_out():
    found = Pairs({"delta": [1.0, np.nan, 2.0], "distance": [1.0, 1.0, np.inf]})
    assert found.delta.tolist() == [1.0]


def test_shepard__columns_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="2 given distances and 1 on the map"):
        Pairs({"delta": [1.0, 2.0], "distance": [1.0]})


@pytest.mark.parametrize("m", [0, 1, 2])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_shepard__of_few_pairs(m, value):
    section = shepard_section({"delta": np.full(m, value), "distance": np.full(m, value)})[0]
    assert section.title == "Shepard diagram"
    assert (len(section.aside) > 0) == (m > 0)


def test_shepard__without_a_sample_there_is_no_section():
    assert shepard_section(None) == []


def test_shepard__line_of_ordinal_scaling_only_rises():
    sample = {"delta": np.array([1.0, 2.0, 3.0, 4.0]), "distance": np.array([1.0, 8.0, 6.0, 9.0])}
    x, y = ideal_line(Pairs(sample, "ordinal"), 4.0, 9.0)
    assert x.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(y, [1, 7, 7, 9])  # of two that fall, the mean
    many = pairs(families(50)[0], 20_000)
    assert len(ideal_line(Pairs(many, "ordinal"), 1.0, 1.0)[0]) <= 2_000
