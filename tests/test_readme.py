"""The application that the README shows runs as it is written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
HEADING = "## Write your own iterative application"


def example():
    """The program under the heading."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split(HEADING)[1]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


def test_example__is_short():
    assert len(example().splitlines()) < 60


@pytest.mark.parametrize(
    "executor",
    ["serial", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tasks", "gang"))],
)
def test_example__finds_the_axis(tmp_path, executor):
    (tmp_path / "axis.py").write_text(example(), encoding="utf-8")
    points = np.random.default_rng(1).normal(size=(12_345, 4)) * [1, 5, 2, 1] + 3
    points[:, 0] += points[:, 1]
    np.save(tmp_path / "points.npy", points)
    done = subprocess.run(
        [sys.executable, "axis.py", "points.npy", executor],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    first, axis = done.stdout.splitlines()
    assert re.fullmatch(rf"\d+ iterations \(until\) on {executor}", first)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    np.testing.assert_allclose(abs(vectors[:, -1] @ np.fromstring(axis, sep=" ")), 1, rtol=1e-9)
    assert values[-1] > 2 * values[-2]
