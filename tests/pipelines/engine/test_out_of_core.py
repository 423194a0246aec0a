"""A process whose share of memory is a quarter of the points: its peak, its reads, its answers."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.pipelines.engine.sweeper import SWEEPS

N = 24
MIB = 1 << 20
PARTITION = 12 * MIB
SHARE = N * PARTITION // 4
BASE = 4 * MIB  # stacks of threads, and what the allocator keeps of small arrays


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "points.bin"
    with path.open("wb") as file:
        for index in range(N):
            file.write(np.random.default_rng(index).random(PARTITION // 8).tobytes())
    return path


def sweep(points, folder, n_threads=1, kept=0):
    numbers = [str(each) for each in (points, N, SHARE, folder, n_threads, kept)]
    command = [sys.executable, "-m", "tests.pipelines.engine.sweeper", *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    told = json.loads(done.stdout)
    rows = PARTITION // 8
    truth = [float(np.fromfile(points, np.float64, rows, offset=k * PARTITION).sum())
             for k in range(N)]  # fmt: skip
    assert told["totals"] == [truth] * SWEEPS
    return told


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
def test_peak__is_the_share_and_a_partition_per_thread(points, tmp_path, n_threads):
    told = sweep(points, tmp_path, n_threads)
    assert told["peak"] <= SHARE + n_threads * PARTITION + BASE
    assert told["reads"] == N
    assert told["memory"] == SWEEPS * N // 4
    assert told["disk"] == SWEEPS * (N - N // 4)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_peak__has_what_maps_keep_within_the_share(points, tmp_path):
    kept = PARTITION // 8  # of all partitions, so half the share
    told = sweep(points, tmp_path, kept=kept)
    assert told["peak"] <= SHARE + PARTITION + kept + BASE
    assert told["reads"] == N
    assert told["spilled"] == (N - N // 8) * PARTITION


@pytest.mark.slow
def test_peak__without_a_disk_cache(points):
    told = sweep(points, "")
    assert told["peak"] <= SHARE + PARTITION + BASE
    assert told["reads"] == N + SWEEPS * (N - N // 4)
