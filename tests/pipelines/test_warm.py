"""Kernels are compiled by one process, loaded by the others."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kernels import _jit
from pipelines.warm import compiled_once

ROOT = Path(__file__).parents[2]
WORKER = """
import json, sys
from numba.core import event
from pipelines.swg_blocks import warm_up
with event.install_recorder("numba:compile") as compiled:
    warm_up("identity-longer", "dna", "one")
    from kernels import swg
    found = swg.distance_matrix(["ACGTT", "ACGT", "TTGA"], n_threads=1).tolist()
print(json.dumps([len(compiled.buffer), found]))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(_jit, "cache_dir", lambda: tmp_path)
    return tmp_path


def test_first__goes_alone_and_the_others_follow_together(cache):
    together, arrived = threading.Barrier(3), []

    def work(k):
        with compiled_once("x"):
            arrived.append(k)
            if len(arrived) > 1:
                together.wait(timeout=20)

    with compiled_once("x"):
        threads = [threading.Thread(target=work, args=[k]) for k in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        assert arrived == []
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(arrived) == [0, 1, 2, 3]
    assert not together.broken


def test_failure__lets_the_next_one_compile(cache):
    with pytest.raises(ZeroDivisionError), compiled_once("x"):
        raise ZeroDivisionError
    assert not (cache / ".warm-x").exists()
    with compiled_once("x"):
        pass
    assert (cache / ".warm-x").exists()


def test_no_home_folder__keeps_nobody_out(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(_jit, "cache_dir", homeless)
    with compiled_once("x"):
        pass


def test_cache_that_is_not_there__keeps_nobody_out(cache, monkeypatch):
    monkeypatch.setattr(_jit, "cache_dir", lambda: cache / "missing" / "deeper")
    for _ in range(2):
        with compiled_once("x"):
            pass


@pytest.mark.slow
def test_two_workers__that_meet_an_empty_cache_compile_once(tmp_path):
    def start():
        return subprocess.Popen(
            [sys.executable, "-c", WORKER],
            cwd=ROOT,
            env={**os.environ, "WHORL_CACHE_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )

    pair = [start(), start()]
    answers = [json.loads(process.communicate(timeout=100)[0]) for process in pair]
    later = json.loads(start().communicate(timeout=100)[0])
    compiled = sorted(count for count, _ in answers)
    assert compiled[0] == 0 < compiled[1]
    assert later == [0, answers[0][1]]
    assert answers[0][1] == answers[1][1]
