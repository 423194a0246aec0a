import numpy as np

from pipelines.report import timeline as module
from pipelines.report.timeline import busy, lanes, timeline
from tests.pipelines.report.samples import timed_blocks
from tests.pipelines.report.test_figures import decoded


def test_timeline__without_times_is_no_figure():
    assert timeline([]) is None
    assert timeline([{"i": 0, "j": 0, "worker": "a", "started": None}]) is None


def test_timeline__draws_one_bar_per_block_from_the_first_start():
    part = timeline(timed_blocks(7))
    done = part.graph["data"][0]
    np.testing.assert_allclose(decoded(done["base"]), np.arange(7))
    np.testing.assert_allclose(decoded(done["x"]), 1.5)
    assert part.summary == "7 blocks on 2 workers in 7.5 s."


def test_timeline__marks_repeated_and_lost_blocks():
    blocks = timed_blocks(5)
    blocks[1]["attempt"] = 2
    blocks[3]["lost"] = True
    part = timeline(blocks, [{"name": "w-1", "at": 103.0}])
    assert [len(decoded(trace["base"])) for trace in part.graph["data"]] == [3, 1, 1]
    assert "1 repeated, 1 lost, 1 worker lost" in part.summary
    assert [shape["x0"] for shape in part.graph["layout"]["shapes"]] == [3.0]


def test_timeline__tasks_have_the_colour_of_their_kind():
    tasks = timed_blocks(6)
    for n, task in enumerate(tasks):
        task["kind"] = "load" if n < 4 else "<b>chunk"
    tasks[1]["attempt"] = 2
    part = timeline(tasks)
    found = [(t["marker"]["color"], len(decoded(t["base"]))) for t in part.graph["data"]]
    assert found == [("--accent", 3), ("--c0", 2), ("--accent", 0), ("--second", 1), ("--lost", 0)]
    assert part.summary == "6 tasks on 2 workers in 6.5 s: 1 repeated."
    assert part.tips["texts"][1][0].startswith("<b>chunk\n")


def test_timeline__worker_names_are_escaped_for_plotly_and_in_order():
    blocks = timed_blocks(3, workers=3)
    for block, name in zip(blocks, ("w-10", "w-2", "<b>"), strict=True):
        block["worker"] = name
    assert timeline(blocks).graph["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;", "w-2", "w-10"]


def test_timeline__beyond_5000_bars_shows_density():
    assert timeline(timed_blocks(5_000)).graph["data"][0]["type"] == "bar"
    part = timeline(timed_blocks(5_001))
    assert [trace["type"] for trace in part.graph["data"]] == ["heatmap"]
    assert decoded(part.graph["data"][0]["z"]).shape == (2, module.TIME_BINS)


def test_timeline__of_very_many_workers_keeps_few_lanes():
    part = timeline(timed_blocks(6_000, workers=3_000))
    assert len(decoded(part.graph["data"][0]["z"])) <= module.MOST_LANES


def test_lanes__blocks_of_one_thread_share_a_lane_and_others_do_not_overlap():
    started = np.array([0.0, 1.0, 0.5, 2.0, 0.0])
    stopped = np.array([1.0, 2.0, 1.5, 3.0, 9.0])
    placed = lanes(["a", "a", "a", "a", "b"], started, stopped)
    assert placed == [("a", 0), ("a", 0), ("a", 1), ("a", 0), ("b", 0)]


def test_busy__is_the_overlap_of_blocks_and_bins():
    draw = np.random.default_rng(0)
    started = draw.random(50) * 8
    stopped = np.minimum(started + draw.random(50) * 3, 10)
    row = draw.integers(0, 3, 50)
    edges = np.linspace(0, 10, module.TIME_BINS + 1)
    naive = np.zeros((3, module.TIME_BINS))
    for a, b, r in zip(started, stopped, row, strict=True):
        overlap = np.minimum(b, edges[1:]) - np.maximum(a, edges[:-1])
        naive[r] += np.maximum(overlap, 0) / (10 / module.TIME_BINS)
    np.testing.assert_allclose(busy(started, stopped, row, 3, 10.0), naive, atol=1e-9)
