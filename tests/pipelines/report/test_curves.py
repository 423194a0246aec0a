import numpy as np
import pytest

from pipelines.report.curves import STILL_LINES, Curve, curves
from tests.pipelines.report.test_figures import decoded


def figure(*lines, **changes):
    return curves("c", "C", lines, **({"summary": "", "x_title": "x", "y_title": "y"} | changes))


def test_curves__keep_their_numbers_and_gaps():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([5.0, np.nan, 2.0])
    trace = figure(Curve(x, y)).graph["data"][0]
    np.testing.assert_array_equal(decoded(trace["x"]), x)
    np.testing.assert_array_equal(decoded(trace["y"]), y)


def test_curves__offer_a_logarithmic_scale_around_what_is_above_zero():
    part = figure(Curve(np.arange(4.0), np.array([0.0, 8.0, 2.0, np.nan])))
    assert part.log_top == 8
    assert 1.5 < part.log_low < 2
    assert figure(Curve(np.arange(2.0), np.zeros(2))).log_top == 0
    assert figure(Curve(np.arange(2.0), np.ones(2)), log=True).log_top == 0


def test_curves__still_breaks_where_a_value_is_missing():
    part = figure(Curve(np.arange(5.0), np.array([1.0, 2.0, np.nan, 3.0, 4.0])))
    path = part.still.split(' d="')[1].split('"')[0]
    assert path.count("M") == 2
    assert path.count("L") == 2
    assert "nan" not in part.still


def test_curves__still_shows_the_last_lines_only():
    lines = [Curve(np.arange(2.0), np.ones(2) * n) for n in range(100)]
    assert figure(*lines).still.count("<path") == STILL_LINES


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0])
def test_curves__of_a_single_value_show_a_dot(value):
    part = figure(Curve(np.ones(1), np.full(1, value)))
    assert part.graph["data"][0]["mode"] == "lines+markers"
    assert part.still.count("h0") == 1


def test_curves__mark_stands_on_the_side_with_more_room():
    line = Curve(np.arange(11.0), np.ones(11))
    sides = [
        figure(line, marked=(at, "here")).graph["layout"]["annotations"][0]["xanchor"]
        for at in (1.0, 9.0)
    ]
    assert sides == ["left", "right"]
