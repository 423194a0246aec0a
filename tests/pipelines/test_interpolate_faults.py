"""Drills of `run interpolate`: workers and commands that die, a full disk. The same bytes, or a run
that goes on to them."""

import json
import signal

import pytest

from pipelines.engine import TaskEnded, TaskFailed, connect
from pipelines.engine.errors import MemoryRefused
from pipelines.errors import UsageProblem
from pipelines.verify import verify
from storage.errors import NoSpace
from storage.folder import open_folder
from tests import faults
from tests.cli.drill import start_command, wait_until
from tests.faults import Fault
from tests.pipelines.interpolate_runs import Scene, prepare, result_bytes, run
from tests.pipelines.swg_runs import Stop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("scene"), 300)


@pytest.fixture(scope="module")
def expected(scene):
    """Bytes of an undisturbed run in 43 blocks."""
    scene.run("whole", block_size=7)
    return result_bytes(scene.folder / "whole")


def test_workers__that_die_or_raise_change_no_byte(scene, tmp_path, expected, nothing_left):
    table = [Fault((3,), "die"), Fault((17,), "poison", times=2), Fault((40,), "die")]
    with connect("tasks", nworkers=2, dashboard_address=None) as engine:
        engine.run_everywhere(faults.install_place, table, tmp_path)
        told = scene.run(tmp_path / "out", engine, block_size=7)
    assert told["workers_lost"] == 2
    assert told["blocks"]["repeated"] >= 4
    assert told["blocks"]["done"] == told["blocks"]["total"] == 43
    assert result_bytes(tmp_path / "out") == expected
    assert verify(str(tmp_path / "out")).problems == []


@pytest.mark.parametrize("nworkers", [1, 3])
def test_number_of_workers__changes_no_byte(scene, tmp_path, expected, nworkers):
    with connect("tasks", nworkers=nworkers, dashboard_address=None) as engine:
        scene.run(tmp_path / "out", engine, block_size=7)
    assert result_bytes(tmp_path / "out") == expected


def test_block__that_always_fails_ends_the_run_which_can_go_on(scene, tmp_path, expected):
    with connect("tasks", nworkers=2, dashboard_address=None) as engine:
        engine.run_everywhere(faults.install_place, [Fault((30,), "poison", times=99)], tmp_path)
        with pytest.raises(TaskFailed, match=r"place-30 failed 3 times.*Poison") as failed:
            scene.run(tmp_path / "out", engine, block_size=7)
    assert failed.value.exit_code == 6
    told = scene.run(tmp_path / "out", block_size=7, resume=True)
    assert 1 <= told["blocks"]["done_before"] < 43
    assert result_bytes(tmp_path / "out") == expected


@pytest.mark.parametrize("stops", [(1,), (20, 22), (43,)])
def test_stopped_run__goes_on_without_placing_twice(scene, tmp_path, expected, stops):
    placed = 0
    for number, blocks in enumerate(stops):
        stop(scene, tmp_path / "out", blocks, resume=number > 0)
        placed += blocks
    seen = []
    with connect("serial", listeners=[seen.append]) as engine:
        told = scene.run(tmp_path / "out", engine, block_size=7, resume=True)
    assert told["blocks"]["done_before"] == placed
    assert sum(isinstance(event, TaskEnded) for event in seen) == 43 - placed
    assert result_bytes(tmp_path / "out") == expected
    assert not open_folder(str(tmp_path / "out")).exists(".work")


class StopPlacing(Stop):
    """Ends the run after so many blocks, as Ctrl-C does."""

    prefix = "place"


def stop(scene, out, blocks, **options):
    """A run that ends after so many blocks."""
    with (
        connect("serial", listeners=[StopPlacing(blocks)]) as engine,
        pytest.raises(KeyboardInterrupt),
    ):
        scene.run(out, engine, block_size=7, **options)


def test_full_disk__ends_the_run_which_can_go_on(scene, tmp_path, expected, monkeypatch):
    from storage.directory import Directory

    put, kept = Directory.put_parts, []

    def full(self, key, parts):
        kept.append(key)
        raise NoSpace("the disk is full")

    monkeypatch.setattr(Directory, "put_parts", full)
    with pytest.raises(NoSpace):
        scene.run(tmp_path / "out", block_size=7)
    assert kept == ["coordinates.npy"]
    monkeypatch.setattr(Directory, "put_parts", put)
    told = scene.run(tmp_path / "out", block_size=7, resume=True)
    assert told["blocks"]["done_before"] == 43
    assert result_bytes(tmp_path / "out") == expected


def test_killed_command__is_resumed_to_the_same_bytes(scene, tmp_path, expected):
    words = ["run", "interpolate", str(scene.new), "--onto", str(scene.map), "-o", "out"]
    words += ["--landmarks", str(scene.vectors), "--block-size", "7", "--executor", "serial"]
    words += ["--n-far", "0"]
    process = start_command(*words, cwd=tmp_path)
    marks = tmp_path / "out" / ".work" / "blocks"
    assert wait_until(lambda: marks.is_dir() and len(list(marks.iterdir())) > 3, 120)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    process = start_command(*words, "--resume", cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "out\n"), err
    assert json.loads((tmp_path / "out" / "run.json").read_text())["blocks"]["done_before"] > 3
    assert result_bytes(tmp_path / "out") == expected


def test_bucket__holds_the_same_bytes(scene, expected, s3):
    scene.run(f"{s3}/out", block_size=7)
    assert result_bytes(f"{s3}/out") == expected
    folder = open_folder(f"{s3}/out")
    assert not [key for key in folder.list() if ".work" in key or "parts" in key]
    stop(scene, f"{s3}/more", 5)
    told = scene.run(f"{s3}/more", block_size=7, resume=True)
    assert told["blocks"]["done_before"] == 5
    assert result_bytes(f"{s3}/more") == expected


def test_other_options__are_not_gone_on_with(scene, tmp_path):
    stop(scene, tmp_path / "out", 5)
    with pytest.raises(UsageProblem, match="holds a run with k=10, not 5"):
        scene.run(tmp_path / "out", block_size=7, k=5, resume=True)
    scene.save("other.npy", scene.points[::-1])
    with pytest.raises(UsageProblem, match=r"holds a run of .*new\.npy with sha256"):
        run(
            scene.folder / "other.npy", scene.map, tmp_path / "out", block_size=7, resume=True,
            landmarks=str(scene.vectors),
        )  # fmt: skip


def test_memory__that_cannot_hold_a_block_is_refused(scene, tmp_path):
    job = prepare(scene.new, scene.map, tmp_path / "out", landmarks=str(scene.vectors))
    assert job.worker_bytes > 300 << 20
    small = {"nworkers": 1, "memory_limit": "200MiB", "dashboard_address": None}
    with (
        connect("tasks", **small) as engine,
        pytest.raises(MemoryRefused, match=r"a worker needs .* its limit is 200 MiB"),
    ):
        scene.run(tmp_path / "out", engine)
