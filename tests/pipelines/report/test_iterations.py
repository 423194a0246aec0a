import numpy as np
import pytest

from pipelines.report import iteration_figures as module
from pipelines.report.iteration_rows import Iterations, pieces
from pipelines.report.iterations import iteration_section
from pipelines.report.partitions import data_section
from tests.pipelines.report.runs import RUN, iteration_rows, tasks
from tests.pipelines.report.test_figures import decoded


def table(section, title):
    parts = [part for part in section.parts if part.kind == "table"]
    return next(part for part in parts if title in (part.caption, part.folded)).rows


def test_iterations__overhead_is_what_the_slowest_map_did_not_take():
    told = Iterations(iteration_rows(6, ranks=3, runs=2, map_s=0.02, overhead_s=0.004))
    np.testing.assert_allclose(told.slowest, 0.022, rtol=1e-6)
    np.testing.assert_allclose(told.mean, 0.021, rtol=1e-6)
    np.testing.assert_allclose(told.overhead, 0.004, rtol=1e-6)  # not the 5 s between the runs


def test_iterations__a_pause_between_two_iterations_is_overhead_of_the_second():
    rows = iteration_rows(3, ranks=1)
    for time in ("started", "mapped", "stopped"):
        rows[2][time] += 0.5
    np.testing.assert_allclose(Iterations(rows).overhead, [0.001, 0.001, 0.501], rtol=1e-5)


def test_iterations__clocks_that_differ_give_no_negative_overhead():
    rows = iteration_rows(2, ranks=2)
    rows[1]["seconds"] = (9.0, 0.1)
    assert Iterations(rows).overhead.min() == 0


def test_iterations__of_rows_that_lack_everything():
    told = Iterations(
        [{}, {"seconds": 0.5, "started": 1.0, "stopped": 2.0}, "junk", {"seconds": ()}]
    )
    assert len(told) == 3
    np.testing.assert_array_equal(told.known.any(axis=1), [False, True, False])
    assert told.slowest[1] == told.overhead[1] == 0.5
    assert np.isnan(told.overhead[[0, 2]]).all()


def test_pieces__first_median_and_longest():
    rows = iteration_rows(5, ranks=2, map_s=0.010, overhead_s=0.002)
    rows[0]["seconds"], rows[3]["seconds"] = (0.008, 0.012), (0.001, 0.003)
    found = dict(pieces(Iterations(rows)))
    assert list(found) == ["first", "later, median", "later, longest"]
    np.testing.assert_allclose(found["first"], [0.010, 0.002, 0.001], atol=1e-9)
    np.testing.assert_allclose(found["later, median"], [0.0105, 0.0005, 0.002], atol=1e-9)
    assert list(dict(pieces(Iterations(rows[:1])))) == ["first"]


def test_task_times__counts_every_map_once():
    figure = module.task_times(Iterations(iteration_rows(7, ranks=3)))
    assert decoded(figure.graph["data"][0]["y"]).sum() == 21
    assert figure.graph["layout"]["xaxis"]["title"]["text"] == "ms for a map"


@pytest.mark.parametrize("seconds", [0.0, 3e-6, 2.0, 4_000.0])
def test_task_times__of_any_length(seconds):
    rows = iteration_rows(4, ranks=1, map_s=seconds)
    assert decoded(module.task_times(Iterations(rows)).graph["data"][0]["y"]).sum() == 4


def test_task_times__far_apart_are_drawn_on_a_logarithmic_scale():
    rows = iteration_rows(50, ranks=1)
    rows[0]["seconds"] = (30.0,)
    figure = module.task_times(Iterations(rows))
    assert "logarithmic" in figure.graph["layout"]["xaxis"]["title"]["text"]
    assert decoded(figure.graph["data"][0]["y"]).sum() == 50


def test_at_work__steps_are_the_number_of_open_intervals():
    draw = np.random.default_rng(1)
    started = draw.random(40) * 9
    stopped = started + draw.random(40)
    x, y = module.at_work(started, stopped, 10.0, True)
    assert (np.diff(x) >= 0).all()
    for at in draw.random(100) * 10:
        level = y[np.searchsorted(x, at) - 1]
        assert level == ((started <= at) & (at < stopped)).sum()


@pytest.mark.parametrize("exact", [True, False])
def test_at_work__area_is_the_work(exact):
    draw = np.random.default_rng(2)
    started = draw.random(300) * 9
    stopped = started + draw.random(300)
    x, y = module.at_work(started, stopped, 10.0, exact)
    assert np.trapezoid(y, x) == pytest.approx((stopped - started).sum(), rel=1e-3)


def test_executing__takes_maps_from_the_timeline_where_it_has_them():
    told = Iterations(iteration_rows(3, ranks=2))
    alone = module.executing(told, [])
    assert "123 ms of maps" in alone.summary
    assert len(alone.graph["data"]) == 1
    assert len(module.executing(told, tasks(4)).graph["data"]) == 2
    assert "4.0 s of maps" in module.executing(told, tasks(4, "map")).summary
    assert module.executing(told, tasks(4, "chunk")) == alone


def test_overhead__of_very_many_iterations_stays_small():
    figure = module.overhead(Iterations(iteration_rows(2_500)))
    most, middle = (decoded(trace["y"]) for trace in figure.graph["data"])
    assert len(most) == len(middle) == module.MOST_PLACES
    np.testing.assert_allclose(middle, 1.0, rtol=1e-4)
    assert figure.log_low < 1.0 < figure.log_top * 1.01


def test_section__tells_how_much_was_not_spent_in_maps():
    section = iteration_section(iteration_rows(10, ranks=2, map_s=0.02, overhead_s=0.021), tasks())
    assert "10 iterations took 420 ms; 50 % of that" in section.intro
    ranks = table(section, "Ranks")
    assert [row[0] for row in ranks] == ["0", "1"]
    assert [row[-1] for row in ranks] == ["0 %", "100 %"]
    assert [part.kind for part in section.parts[:2]] == ["row", "row"]


def test_section__ranks_that_come_and_go():
    rows = iteration_rows(4, ranks=3)
    rows[2]["seconds"], rows[3]["seconds"] = (0.5,), (0.4, 0.1)
    ranks = table(iteration_section(rows), "Ranks")
    assert [row[-1] for row in ranks] == ["50 %", "0 %", "50 %"]


def test_data_section__partitions_and_their_reads():
    rows = {row[0]: row[1:] for row in table(data_section(RUN), "Partitions")}
    assert rows["partitions"] == ("8", "")
    assert rows["data in partitions"] == ("8 MiB", "1 MiB each")
    assert rows["read from the source"] == ("9", "1 again")
    assert rows["found in memory"] == ("30", "75 % of all uses after loading")
    assert rows["written to the disk cache"][0] == "1 MiB"


def test_data_section__chunks_with_the_same_ranks_share_a_row():
    rows = table(data_section(RUN), "Ranks by chunk")
    assert [row[:4] for row in rows] == [("1–2", "10", "2", "w-0, w-1"), ("3", "2", "1", "w-0")]


def test_data_section__rollbacks_and_losses():
    rows = table(data_section(RUN), "Rollbacks, losses, moves")
    assert rows[0] == ("rolled back", "to iteration 10", "the connection to w-1 was closed")
    assert rows[1][:2] == ("worker lost", "w-1")
    counted = table(data_section({"rollbacks": 2, "workers_lost": 0}), "Rollbacks, losses, moves")
    assert counted == [("rolled back", "2 times", "")]
    assert "Nothing was rolled back" in data_section({}).parts[0].text
