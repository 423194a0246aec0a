"""A driver process for the drills: two workers, sleeping tasks, its pids on stdout."""

import os
import sys

from pipelines.engine import connect
from tests.pipelines.engine import jobs


def main(seconds):
    with connect("tasks", nworkers=2, dashboard_address=None) as engine:
        print(*engine.run_everywhere(os.getpid).values(), flush=True)
        items = [(i, 0) for i in range(10_000)]
        for _ in engine.map(jobs.pid_after, items, seconds, key=jobs.key):
            pass


if __name__ == "__main__":
    main(float(sys.argv[1]))
