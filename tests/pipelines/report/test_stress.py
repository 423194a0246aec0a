import numpy as np

from pipelines.report.iteration_rows import Iterations
from pipelines.report.stress import stress_section
from tests.pipelines.report.maps import mds, stress_rows
from tests.pipelines.report.samples import Page
from tests.pipelines.report.test_figures import decoded
from tests.pipelines.report.test_kmeans import cells


def figure(rows, run=None):
    return stress_section(run or {}, Iterations(rows))[0].parts[0]


def test_stress__falls_and_is_told_in_words():
    found = figure(stress_rows(20))
    values = decoded(found.graph["data"][0]["y"])
    assert len(values) == 20
    assert (np.diff(values) < 0).all()
    assert found.summary.startswith("0.52 to 0.045 in 20 iterations")


def test_stress__temperature_has_an_axis_of_its_own():
    found = figure(stress_rows(20, heat=3.0))
    line, heat = found.graph["data"]
    assert heat["yaxis"] == "y2"
    assert "yaxis" not in line
    assert decoded(heat["y"]).max() == 3.0
    assert found.graph["layout"]["yaxis2"]["side"] == "right"
    assert len(found.tips["columns"]) == 2
    assert "var(--second)" in found.still
    assert len(figure(stress_rows(20)).graph["data"]) == 1


def test_stress__the_best_start_is_bold():
    found = figure(stress_rows(10, runs=3))
    assert [trace["line"]["width"] for trace in found.graph["data"]] == [1, 1, 2.6]
    kept = figure(stress_rows(10, runs=3), {"best_run": 2})
    assert kept.graph["data"][-1]["y"] != found.graph["data"][-1]["y"]


def test_stress__rows_of_jobs_without_one_are_left_out():
    rows = stress_rows(10)
    for row in rows[::2]:
        row["job"] = "solve"
        del row["stress"], row["normalized"]
    found = figure(rows)
    assert np.isfinite(decoded(found.graph["data"][0]["y"])).sum() == 5
    assert decoded(found.graph["data"][0]["x"]).tolist() == [1, 2, 3, 4, 5]


def test_stress__raw_where_there_is_no_other():
    rows = [{"iteration": n, "stress": 10.0 - n} for n in range(3)]
    assert figure(rows).graph["layout"]["yaxis"]["title"]["text"] == "stress"


def test_stress__without_a_record_says_so():
    section = stress_section({}, Iterations([]))[0]
    assert "left no record" in section.parts[0].text


def test_mds_report__tables_and_figures():
    page = mds(rows=stress_rows(12, runs=2, heat=1.0))
    assert sorted(Page(page).drawings) == [
        "executing", "first-later", "matrix", "overhead", "shepard", "stress", "task-times",
        "timeline",
    ]  # fmt: skip
    assert [row[0] for row in cells(page, "Starts")] == ["0", "1"]
    assert len(cells(page, "Iterations in numbers")) == 12


def test_mds_report__headline_tells_the_result():
    text = " ".join("".join(Page(mds()).text).split())
    for words in ("200 points in 3 dimensions", "weights sammon", "best of 2 starts", "0.0321",
                  "0.1234", "0.997", "3.2 s", "converged"):  # fmt: skip
        assert words in text


def test_mds_report__warns_where_iterations_were_stopped():
    assert b"--max-iter" in mds(run={"converged": False})
    told = {"converged": False, "warnings": ["it did not converge"]}
    assert b"(--max-iter)" not in mds(run=told)
