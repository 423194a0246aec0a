"""Seeded random drills of `run kmeans`: something dies, stops, joins or leaves, at any moment.

    python -m tests.drills --runs 50 --random-state 0

Every drill ends with the right bytes or, where too few workers are left, with exit code 6 within a
minute and with the right bytes after --resume. Told are a line per drill, a summary, and as a line
of JSON for each executor what the death of a worker costs. Exit code 1 when a drill went wrong.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from pipelines.engine import connect
from tests import faults
from tests.faults import PassFault
from tests.pipelines.kmeans_runs import lasting_bytes, run, save
from tests.scene import FAULTS, Drill, Scene
from tests.timeline import Timeline, lost_time

N, D = 100_000, 8
OPTIONS = {"n_clusters": 64, "init": "random", "tol": 0, "max_iter": 250, "random_state": 6}


def draw(random_state, number):
    """The same drill for the same two numbers. Every fault comes in its turn now and then."""
    rng = np.random.default_rng((random_state, number))
    fault = FAULTS[number % len(FAULTS)] if rng.random() < 0.7 else str(rng.choice(FAULTS))
    serial = fault == "command dies" and rng.random() < 0.2
    at = int(max(-1, rng.integers(-35, 130)))
    at = OPTIONS["max_iter"] if rng.random() < 0.1 else at  # labels are written
    return Drill(
        number,
        fault,
        executor="serial" if serial else str(rng.choice(["gang", "tasks"])),
        n_workers=int(rng.integers(2, 4)),
        replicas=int(rng.integers(1, 3)),
        bounds=str(rng.choice(["on", "off"])),
        at=at,
        later_s=float(rng.uniform(0, 0.3 if at >= 0 else 6)),
        lasts_s=float(rng.uniform(1, 12)),
        seed=int(rng.integers(2**31)),
    )


class Points:
    """The input of all drills, and the bytes that each must end with."""

    def __init__(self, folder):
        values = np.random.default_rng(8).random((N, D), np.float32)
        self.path = save(Path(folder, "points.npy"), values)
        whole = Path(folder, "whole")
        run(self.path, whole, block_size="auto", **OPTIONS)
        self.expected = lasting_bytes(whole)

    def perform(self, drill):
        """Outcome of a drill."""
        options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in OPTIONS.items()]
        words = [self.path, *(word for pair in options for word in pair)]
        with tempfile.TemporaryDirectory(prefix="drill-") as folder:
            return Scene(drill, words, self.expected, folder).perform()

    def lost(self, executor):
        """What the death of one of three workers costs in the middle of a chunk of a second."""
        timeline = Timeline()
        options = {"nworkers": 3, "dashboard_address": None, "listeners": [timeline]}
        with tempfile.TemporaryDirectory(prefix="drill-") as folder:
            with connect(executor, **options) as engine:
                engine.run_everywhere(faults.install_pass, PassFault(20, 120, "die"), folder)
                out = Path(folder, "out")
                run(self.path, out, engine, block_size="auto", bounds="off", **OPTIONS)
            died_at = float(Path(folder, "die").read_text().split()[1])
            is_right = lasting_bytes(out) == self.expected
        return lost_time(timeline, died_at, executor).rounded() | {"right_bytes": is_right}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="number of the first drill")
    parser.add_argument("--random-state", type=int, default=0)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the drill under way is cleared away
    with tempfile.TemporaryDirectory(prefix="drills-") as folder:
        points = Points(folder)
        outcomes = []
        for number in range(given.first, given.first + given.runs):
            drill = draw(given.random_state, number)
            outcomes.append(points.perform(drill))
            print(f"{drill}: {outcomes[-1].text}", flush=True)
        kinds = Counter(outcome.kind for outcome in outcomes)
        longest = max((outcome.seconds for outcome in outcomes), default=0.0)
        print(
            f"{len(outcomes)} drills: {kinds['right']} went through, {kinds['resumed']} were "
            f"resumed, {kinds['wrong']} went wrong; the longest took {longest:.1f} s"
        )
        for executor in ("tasks", "gang"):
            print(json.dumps({"lost": points.lost(executor)}), flush=True)
    return 1 if kinds["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
