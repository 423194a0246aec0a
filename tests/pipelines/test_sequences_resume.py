"""A run of several stages that was stopped goes on in the stage that it was in: the same bytes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import output_rules, sequences
from pipelines.engine import connect
from pipelines.errors import DamagedResult, UsageProblem
from pipelines.results import read_run
from pipelines.run_steps import open_results
from pipelines.verify import verify
from storage.folder import open_folder
from tests.pipelines.sequences_runs import (
    StopIn,
    no_reports,
    prepare,
    result_bytes,
    run,
    write_families,
)

OPTIONS = {"mode": "landmarks", "landmarks": 16, "n_clusters": 3}
STAGES = ["pool", "distances", "map", "clusters", "placed"]
SMALL = {"checkpoint_every": 1, "chunk_seconds": 0.0, "block_size": 10}


@pytest.fixture(autouse=True)
def without_reports(monkeypatch):
    no_reports(monkeypatch)


@pytest.fixture
def fasta(tmp_path):
    write_families(tmp_path / "seqs.fasta")
    return tmp_path / "seqs.fasta"


def stopped(fasta, out, stage, **options):
    """A run that is interrupted in a stage; the stages that began."""
    stop = StopIn(stage)
    with connect("serial", listeners=[stop]) as engine, pytest.raises(KeyboardInterrupt):
        run(fasta, out, engine, **{**OPTIONS, **SMALL, **options})
    return stop.seen


@pytest.mark.parametrize("stage", STAGES)
def test_resume__goes_on_in_the_stage_that_was_interrupted(fasta, tmp_path, stage):
    run(fasta, tmp_path / "whole", **OPTIONS, **SMALL)
    before = STAGES[: STAGES.index(stage)]
    assert stopped(fasta, tmp_path / "out", stage) == [*before, stage]
    states = {name: state_of(tmp_path / "out" / name) for name in before}
    assert set(states.values()) <= {"complete"}
    with pytest.raises(DamagedResult, match="is unfinished"):
        read_run(str(tmp_path / "out"))
    again = StopIn("none")
    with connect("serial", listeners=[again]) as engine:
        run(fasta, tmp_path / "out", engine, resume=True, **OPTIONS, **SMALL)
    assert again.seen == STAGES[STAGES.index(stage) :]
    assert result_bytes(tmp_path / "out") == result_bytes(tmp_path / "whole")
    assert verify(str(tmp_path / "out")).problems == []
    assert run(fasta, tmp_path / "out", resume=True, **OPTIONS, **SMALL) is None


def state_of(path):
    return output_rules.survey(open_folder(str(path)))[0]


def test_stop__before_anything_is_finished_leaves_nothing(fasta, tmp_path):
    job = prepare(fasta, tmp_path / "out", **OPTIONS)

    def stop(event):
        raise KeyboardInterrupt

    with connect("serial", listeners=[stop]) as engine, pytest.raises(KeyboardInterrupt):
        run_with(job, engine)
    assert not (tmp_path / "out").exists()


def run_with(job, engine):
    with open_results("sequences", job, job.config, job.options) as results:
        sequences.run(job, engine, results)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"landmarks": 12}, "with landmarks=16, not 12"),
        ({"mode": "all-pairs", "landmarks": "auto"}, "with mode=landmarks, not all-pairs"),
        ({"landmark_choice": "random"}, "with landmark_choice=maximin, not random"),
        ({"n_clusters": 2}, "with n_clusters=3, not 2"),
        ({"linkage": "ward"}, "with linkage=average, not ward"),
        ({"n_init": 2}, "with n_init=1, not 2"),
        ({"random_state": 5}, "with random_state=0, not 5"),
        ({"gap_open": 10}, "with gap_open=16, not 10"),
    ],
)
def test_resume__with_another_option_is_refused_by_name(fasta, tmp_path, changes, text):
    stopped(fasta, tmp_path / "out", "distances")
    with pytest.raises(UsageProblem, match=text):
        run(fasta, tmp_path / "out", **{**OPTIONS, **SMALL, "resume": True, **changes})


def test_resume__keeps_what_auto_has_decided(fasta, tmp_path):
    auto = {"mode": "auto", "landmarks": "auto", "n_clusters": 3, "max_minutes": 0.0}
    with pytest.raises(UsageProblem, match="more than 8 landmarks"):
        prepare(fasta, tmp_path / "out", **(auto | {"n_clusters": 9}))
    stopped(fasta, tmp_path / "out", "map", **auto)
    job = prepare(fasta, tmp_path / "out", resume=True, **(auto | {"max_minutes": 60.0}))
    assert (job.choice.mode, job.choice.landmarks) == ("landmarks", 8)
    told = run(fasta, tmp_path / "out", resume=True, **(auto | SMALL | {"max_minutes": 60.0}))
    assert (told["mode"], told["landmarks"]) == ("landmarks", 8)
    assert json.loads((tmp_path / "out/run.json").read_text())["options"]["landmarks"] == 8


@pytest.mark.parametrize("complete", [True, False])
def test_overwrite__starts_anew(fasta, tmp_path, complete):
    if complete:
        run(fasta, tmp_path / "out", **OPTIONS)
    else:
        stopped(fasta, tmp_path / "out", "map")
    with pytest.raises(UsageProblem, match="run of sequences"):
        run(fasta, tmp_path / "out", n_clusters=3)
    told = run(fasta, tmp_path / "out", n_clusters=3, overwrite=True)
    assert told["mode"] == "all-pairs"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"pool", "placed", "pool.fasta", "placed.fasta"}
    assert [path.name for path in tmp_path.iterdir() if "deleted" in path.name] == []


def test_overwrite__never_deletes_what_is_not_ours(fasta, tmp_path):
    run(fasta, tmp_path / "out", n_clusters=3)
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(UsageProblem, match=r"not ours: notes\.txt"):
        run(fasta, tmp_path / "out", n_clusters=3, overwrite=True)


def test_verify__finds_damage_in_a_stage(fasta, tmp_path):
    run(fasta, tmp_path / "out", n_clusters=3)
    with (tmp_path / "out/map/coordinates.npy").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DamagedResult, match=r"map: coordinates\.npy is not as it was written"):
        verify(str(tmp_path / "out"))
    (tmp_path / "out/distances/run.json").unlink()
    with pytest.raises(DamagedResult, match=r"distances/run\.json is missing"):
        verify(str(tmp_path / "out"))


KILLER = """
import os, signal, sys
from pipelines.engine import connect
from tests.pipelines.sequences_runs import StopIn, run
class Kill(StopIn):
    def __call__(self, event):
        try:
            super().__call__(event)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGKILL)
fasta, out, stage = sys.argv[1:]
with connect("serial", listeners=[Kill(stage)]) as engine:
    run(fasta, out, engine, mode="landmarks", landmarks=16, n_clusters=3, checkpoint_every=1,
        chunk_seconds=0.0, block_size=10)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["distances", "map", "placed"])
def test_sigkill__then_resume_gives_the_same_bytes(fasta, tmp_path, stage):
    run(fasta, tmp_path / "whole", **OPTIONS, **SMALL)
    out, root = tmp_path / "out", Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLER, str(fasta), str(out), stage]
    died = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert (out / ".lock").exists()
    assert (out / stage / ".lock").exists()
    run(fasta, out, resume=True, **OPTIONS, **SMALL)
    assert result_bytes(out) == result_bytes(tmp_path / "whole")
    assert verify(str(out)).problems == []
    assert not [path for path in out.rglob("*") if path.name in (".lock", ".work")]
    assert os.listdir(tmp_path / "whole") != []
