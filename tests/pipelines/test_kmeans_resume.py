"""A run of KMeans that was stopped goes on where it was and ends with the same bytes."""

import numpy as np
import pytest

from pipelines import kmeans_results, kmeans_trials, trials
from pipelines.engine import connect
from pipelines.errors import UsageProblem
from pipelines.kmeans_trials import Trial
from pipelines.trials import read_trial, trial_bytes
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.kmeans_runs import StopAt, blobs, prepare, result_bytes, run, save, table

SLOWLY = {
    "n_clusters": 20, "init": "random", "tol": 0, "checkpoint_every": 1, "chunk_seconds": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(kmeans_results, "kmeans_report", lambda *args: b"<html>")


@pytest.fixture
def points(tmp_path):
    return save(tmp_path / "points.npy", blobs(2000, spread=3.0)[0])


def stopped(points, out, *, runs=0, iterations=4, **options):
    """A run that is interrupted once so many starts were over, some iterations later."""
    stop = StopAt(runs, iterations)
    with connect("serial", listeners=[stop]) as engine, pytest.raises(KeyboardInterrupt):
        run(points, out, engine, **{**SLOWLY, **options})


def iterations(out):
    """(run, iteration) of each line of inertia.tsv, and the inertia."""
    return [(row["run"], row["iteration"], row["inertia"]) for row in table(out, "inertia.tsv")]


def test_resume__goes_on_from_the_checkpoint(points, tmp_path, monkeypatch):
    whole = run(points, tmp_path / "whole", **SLOWLY)
    stopped(points, tmp_path / "out")
    kept = sorted(p.name for p in (tmp_path / "out/.work/checkpoints/20-0").iterdir())
    assert 1 <= len(kept) <= 2
    monkeypatch.setattr(kmeans_trials.Trials, "_start", None)  # is not called again
    told = run(points, tmp_path / "out", resume=True, **SLOWLY)
    assert told["n_iter"] == whole["n_iter"]
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")
    assert iterations(tmp_path / "out") == iterations(tmp_path / "whole")
    assert verify(str(tmp_path / "out")).problems == []
    assert not (tmp_path / "out/.work").exists()
    assert run(points, tmp_path / "out", resume=True, **SLOWLY) is None


def test_resume__twice_keeps_every_iteration(points, tmp_path):
    run(points, tmp_path / "whole", **SLOWLY)
    stopped(points, tmp_path / "out", iterations=2)
    stopped(points, tmp_path / "out", iterations=3, resume=True, nworkers=2)
    run(points, tmp_path / "out", resume=True, **SLOWLY)
    assert iterations(tmp_path / "out") == iterations(tmp_path / "whole")
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")


def test_resume__does_not_repeat_runs_that_are_over(points, tmp_path, monkeypatch):
    options = {"n_init": 3, "n_clusters": "2:3"}
    whole = run(points, tmp_path / "whole", **{**SLOWLY, **options})
    stopped(points, tmp_path / "out", runs=2, iterations=1, **options)
    over = sorted(p.name for p in (tmp_path / "out/.work/trials").glob("*.npz"))
    assert over[:2] == ["2-0.npz", "2-1.npz"]
    ran = []
    original = trials.iterate
    monkeypatch.setattr(
        trials, "iterate", lambda *args, **more: ran.append(1) or original(*args, **more)
    )
    told = run(points, tmp_path / "out", resume=True, **{**SLOWLY, **options})
    assert len(ran) == 6 - len(over)
    assert len({row["run"] for row in table(tmp_path / "out", "inertia.tsv")}) == 6
    assert told["inertia"] == whole["inertia"]
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")
    assert iterations(tmp_path / "out") == iterations(tmp_path / "whole")


def test_damaged_checkpoint_and_trial__are_done_again(points, tmp_path):
    run(points, tmp_path / "whole", **{**SLOWLY, "n_init": 2})
    stopped(points, tmp_path / "out", runs=1, n_init=2)
    for path in (tmp_path / "out/.work").glob("*/*/*.npz"):
        path.write_bytes(b"torn")
    for path in (tmp_path / "out/.work/trials").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    run(points, tmp_path / "out", resume=True, **{**SLOWLY, "n_init": 2})
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_clusters": 21}, "with n_clusters=20, not 21"),
        ({"init": "k-means++"}, r"with init=random, not k-means\+\+"),
        ({"tol": 0.5}, "with tol=0, not 0.5"),
        ({"random_state": 3}, "with random_state=0, not 3"),
        ({"block_size": 50}, "with block_size=100, not 50"),
    ],
)
def test_resume__with_another_option_is_refused_by_name(points, tmp_path, changes, text):
    stopped(points, tmp_path / "out")
    with pytest.raises(UsageProblem, match=text):
        run(points, tmp_path / "out", **{**SLOWLY, "resume": True, **changes})


def test_resume__with_other_points_is_refused(points, tmp_path):
    stopped(points, tmp_path / "out")
    save(points, blobs(2000, seed=6)[0])
    with pytest.raises(UsageProblem, match=r"holds a run of .*points.npy with sha256"):
        run(points, tmp_path / "out", resume=True, **SLOWLY)


def test_stop__without_a_checkpoint_leaves_nothing(points, tmp_path):
    job = prepare(points, tmp_path / "out")
    with pytest.raises(ZeroDivisionError), connect("serial", listeners=[fail]) as engine:
        run(points, tmp_path / "out", engine)
    assert not (tmp_path / "out").exists()
    assert job.points.n == 2000


def fail(event):
    raise ZeroDivisionError


def test_unfinished_run__may_be_overwritten(points, tmp_path):
    stopped(points, tmp_path / "out")
    with pytest.raises(UsageProblem, match=r"holds an unfinished run of kmeans\."):
        run(points, tmp_path / "out", **SLOWLY)
    (tmp_path / "out/elbow.tsv").write_text("of a run that was killed while it finished")
    told = run(points, tmp_path / "out", overwrite=True, n_clusters=2)
    assert told["n_clusters"] == 2
    assert not (tmp_path / "out/elbow.tsv").exists()


def test_trial__is_kept_without_a_change(tmp_path):
    trial = Trial(3, 1, np.arange(6.0).reshape(3, 2) / 7, 0.1, 12, "until", 1)
    rows = [{"run": 4, "iteration": 1, "seconds": [0.5]}]
    folder = open_folder(str(tmp_path))
    folder.put("trials/3-1.npz", trial_bytes(trial, rows))
    found, told = read_trial(folder, "trials/3-1.npz", Trial)
    np.testing.assert_array_equal(found.centroids, trial.centroids)
    assert found.inertia == 0.1
    assert (found.n_clusters, found.run, found.n_iter, found.reason) == (3, 1, 12, "until")
    assert told == rows
    assert read_trial(folder, "trials/3-2.npz", Trial) is None
