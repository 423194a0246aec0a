"""A Dask cluster of processes that a drill may harm: nobody starts them again."""

import json
import os
import subprocess
import sys
from pathlib import Path

from distributed import Client

from tests.cli.drill import ROOT, wait_until


class OwnCluster:
    """A scheduler and workers of one thread each on this machine. What they print goes to files in
    the folder. A context manager; all processes end with it."""

    def __init__(self, folder, n_workers):
        self.folder = Path(folder)
        self.file = self.folder / "scheduler.json"
        self.workers = []
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", self.file)
        try:
            assert wait_until(self._has_address, 60), "the scheduler did not start"
            for _ in range(n_workers):
                self.add_worker()
            with self.client() as client:
                client.wait_for_workers(n_workers, timeout=60)
        except BaseException:
            self.close()
            raise

    @property
    def address(self):
        return json.loads(self.file.read_text())["address"]

    def client(self):
        return Client(self.address, set_as_default=False)

    def add_worker(self):
        """It joins when it is ready; nobody waits for it."""
        name = f"own-{len(self.workers)}"
        place = ("--local-directory", self.folder / name, "--name", name)
        limits = ("--nthreads", "1", "--memory-limit", "0", "--no-nanny")
        self.workers.append(self._start("worker", self.address, *place, *limits))

    def retire(self, number):
        """Let a worker hand over what it has, and end."""
        with self.client() as client:
            client.retire_workers(names=[f"own-{number}"])

    def _start(self, kind, *words):
        command = [sys.executable, "-m", "dask", kind, *map(str, words)]
        log = (self.folder / f"{kind}-{len(self.workers)}.log").open("wb")
        with log:
            return subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--no-dashboard"],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def _has_address(self):
        try:
            return bool(self.address)
        except (OSError, ValueError, KeyError):
            return False

    def close(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
        for process in (*self.workers, self.scheduler):
            process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
