"""A run of MDS that was stopped goes on where it was and ends with the same bytes."""

import numpy as np
import pytest

from pipelines import mds_results, mds_trials, trials
from pipelines.engine import connect
from pipelines.errors import UsageProblem
from pipelines.mds_trials import Trial
from pipelines.trials import read_trial, trial_bytes
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.iterative_runs import StopAt
from tests.pipelines.mds_runs import distances, lasting_bytes, run, save

SLOWLY = {"init": "random", "tol": 0.0, "max_iter": 150, "checkpoint_every": 1, "chunk_seconds": 0}
WAYS = {
    "plain": {},
    "holes": {"weights": "sammon"},
    "annealed": {"anneal": True, "cooling": 0.3},
    "ordinal": {"scaling": "ordinal"},
}


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have their own tests."""
    monkeypatch.setattr(mds_results, "mds_report", lambda *args, **kwargs: b"<html>")


@pytest.fixture
def given(tmp_path):
    return save(tmp_path / "d.npy", distances(90, holes=0.1)[0])


def stopped(given, out, *, runs=0, iterations=4, **options):
    """A run that is interrupted once so many starts were over, some iterations later."""
    stop = StopAt(runs, iterations)
    with connect("serial", listeners=[stop]) as engine, pytest.raises(KeyboardInterrupt):
        run(given, out, engine, **{**SLOWLY, **options})


def not_again(trials, run):
    raise AssertionError("a checkpoint is there to go on from")


@pytest.mark.parametrize("name", WAYS)
def test_resume__goes_on_from_the_checkpoint(given, tmp_path, monkeypatch, name):
    options = {**SLOWLY, **WAYS[name]}
    whole = run(given, tmp_path / "whole", **options)
    stopped(given, tmp_path / "out", iterations=9, **options)
    kept = sorted(path.suffix for path in (tmp_path / "out/.work/checkpoints/0").iterdir())
    assert kept in ([".state"], [".state", ".state"])
    monkeypatch.setattr(mds_trials.Trials, "_start", not_again)
    told = run(given, tmp_path / "out", resume=True, **options)
    assert (told["n_iter"], told["stress"]) == (whole["n_iter"], whole["stress"])
    assert lasting_bytes(tmp_path / "out") == lasting_bytes(tmp_path / "whole")
    assert verify(str(tmp_path / "out")).problems == []
    assert not (tmp_path / "out/.work").exists()
    assert run(given, tmp_path / "out", resume=True, **options) is None


def test_resume__twice_keeps_every_iteration(given, tmp_path):
    run(given, tmp_path / "whole", **SLOWLY)
    stopped(given, tmp_path / "out", iterations=2)
    stopped(given, tmp_path / "out", iterations=5, resume=True)
    run(given, tmp_path / "out", resume=True, **SLOWLY)
    assert lasting_bytes(tmp_path / "out") == lasting_bytes(tmp_path / "whole")


def test_resume__does_not_repeat_runs_that_are_over(given, tmp_path, monkeypatch):
    options = {**SLOWLY, "n_init": 4}
    run(given, tmp_path / "whole", **options)
    stopped(given, tmp_path / "out", runs=2, iterations=1, n_init=4)
    over = sorted(path.name for path in (tmp_path / "out/.work/trials").glob("*.npz"))
    assert over[:2] == ["0.npz", "1.npz"]
    ran = []
    original = trials.iterate
    monkeypatch.setattr(
        trials, "iterate", lambda *args, **more: ran.append(1) or original(*args, **more)
    )
    run(given, tmp_path / "out", resume=True, **options)
    assert len(ran) == 4 - len(over)
    assert lasting_bytes(tmp_path / "out") == lasting_bytes(tmp_path / "whole")


def test_damaged_checkpoint_and_run__are_done_again(given, tmp_path):
    options = {**SLOWLY, "n_init": 2}
    run(given, tmp_path / "whole", **options)
    stopped(given, tmp_path / "out", runs=1, n_init=2)
    for path in (tmp_path / "out/.work/checkpoints").rglob("*.state"):
        path.write_bytes(b"torn")
    for path in (tmp_path / "out/.work/trials").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    run(given, tmp_path / "out", resume=True, **options)
    assert lasting_bytes(tmp_path / "out") == lasting_bytes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_components": 2}, "with n_components=3, not 2"),
        ({"init": "classical"}, "with init=random, not classical"),
        ({"anneal": True}, "with anneal=false, not true"),
        ({"weights": "sammon"}, "with weights=none, not sammon"),
        ({"random_state": 3}, "with random_state=0, not 3"),
        ({"dtype": "int16"}, "with dtype=float64, not int16"),
    ],
)
def test_resume__with_another_option_is_refused_by_name(given, tmp_path, changes, text):
    stopped(given, tmp_path / "out")
    with pytest.raises(UsageProblem, match=text):
        run(given, tmp_path / "out", **{**SLOWLY, "resume": True, **changes})
    run(given, tmp_path / "out", **SLOWLY, resume=True, block_size=7)  # which changes no byte


def test_resume__with_other_distances_is_refused(given, tmp_path):
    stopped(given, tmp_path / "out")
    save(given, distances(90, seed=6)[0])
    with pytest.raises(UsageProblem, match=r"holds a run of .*d.npy with sha256"):
        run(given, tmp_path / "out", resume=True, **SLOWLY)


def test_resume__of_packed_distances_reads_what_was_staged(tmp_path):
    matrix, _ = distances(90)
    with (tmp_path / "d.npz").open("wb") as file:
        np.savez_compressed(file, d=matrix)
    whole = run(tmp_path / "d.npz", tmp_path / "whole", **SLOWLY)
    stopped(tmp_path / "d.npz", tmp_path / "out")
    assert list((tmp_path / "out/.work/staged-matrix").iterdir())
    told = run(tmp_path / "d.npz", tmp_path / "out", resume=True, **SLOWLY)
    assert told["stress"] == whole["stress"]
    assert not (tmp_path / "out/.work").exists()


def test_unfinished_run__may_be_overwritten(given, tmp_path):
    stopped(given, tmp_path / "out")
    with pytest.raises(UsageProblem, match=r"holds an unfinished run of mds\."):
        run(given, tmp_path / "out", **SLOWLY)
    told = run(given, tmp_path / "out", overwrite=True, n_components=1)
    assert told["n_components"] == 1


def test_trial__is_kept_without_a_change(tmp_path):
    trial = Trial(1, np.arange(6.0).reshape(3, 2) / 7, 0.1, 12, True)
    rows = [{"run": 1, "iteration": 1, "seconds": [0.5]}]
    folder = open_folder(str(tmp_path))
    folder.put("trials/1.npz", trial_bytes(trial, rows))
    found, told = read_trial(folder, "trials/1.npz", Trial)
    np.testing.assert_array_equal(found.x, trial.x)
    assert (found.run, found.stress, found.n_iter, found.converged) == (1, 0.1, 12, True)
    assert told == rows
    assert read_trial(folder, "trials/2.npz", Trial) is None
