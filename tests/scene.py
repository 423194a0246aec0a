"""One drill: a run of KMeans to which something happens, and what became of it."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from pipelines.verify import verify
from tests.own_cluster import OwnCluster
from tests.pipelines.kmeans_runs import lasting_bytes
from tests.watched import Command, tell

GIVE_UP_S = 60.0  # from the fault to exit code 6
ON_OWN_CLUSTER = {  # where nobody starts a worker again
    "worker joins", "worker retires", "all but one die", "all workers die", "scheduler dies",
}  # fmt: skip
FATAL = {"all workers die", "scheduler dies"}
FAULTS = ["worker dies", "workers die in turn", "worker stops", "command dies",
          *sorted(ON_OWN_CLUSTER)]  # fmt: skip


@dataclass(frozen=True)
class Drill:
    """What happens, and when: `later_s` seconds after the run has told of iteration `at` (0: of its
    workers; -1: after its start). lasts_s: how long a stopped worker stops. seed: of who it happens
    to."""

    number: int
    fault: str
    executor: str
    n_workers: int
    replicas: int
    bounds: str
    at: int
    later_s: float
    lasts_s: float
    seed: int

    def __str__(self):
        workers = f", {self.n_workers} workers, {self.replicas} holders"
        return (
            f"drill {self.number}: {self.executor}{'' if self.executor == 'serial' else workers}, "
            f"bounds {self.bounds}: {self.fault} "
            f"{f'for {self.lasts_s:.1f} s ' if self.fault == 'worker stops' else ''}"
            f"{self.later_s:.2f} s after {f'iteration {self.at}' if self.at >= 0 else 'its start'}"
        )


@dataclass(frozen=True)
class Outcome:
    """kind: 'right', 'resumed' (exit code 6 or killed, then right), or 'wrong'."""

    kind: str
    text: str
    seconds: float


class Scene:
    """words: of the command, all but those that the drill decides. expected: lasting_bytes."""

    def __init__(self, drill, words, expected, folder):
        self.drill, self.words, self.expected = drill, words, expected
        self.folder, self.out = Path(folder), Path(folder, "out")
        self.rng = np.random.default_rng(drill.seed)
        self.cluster = None

    def perform(self):
        """The Outcome; nothing is left running."""
        if self.drill.fault in ON_OWN_CLUSTER:
            with OwnCluster(self.folder, self.drill.n_workers) as self.cluster:
                return self._perform("--scheduler", self.cluster.address)
        return self._perform(*self._local(self.drill.executor, self.drill.n_workers))

    def _local(self, executor, n_workers):
        return () if executor == "serial" else ("--nworkers", str(n_workers))

    def _command(self, executor, *more):
        replicas = () if executor == "serial" else ("--replicas", str(self.drill.replicas))
        bounds = ("--bounds", self.drill.bounds)
        executor = ("--executor", executor)
        return Command(self.folder, *self.words, *bounds, *executor, *replicas, *more)

    def _perform(self, *where):
        with self._command(self.drill.executor, *where) as command:
            command.wait_for(self.drill.at, self.drill.later_s)
            at, begun = command.iteration, time.monotonic()
            getattr(self, "_" + self.drill.fault.replace(" ", "_"))(command)
            code, seconds = command.wait(), time.monotonic() - begun
        kind, text = "right", f"at {at}, exit code {code} {seconds:.1f} s later"
        wrong = self._complaint(command, code, seconds)
        if wrong is None and code != 0:
            executor, wrong = self._resume()
            kind, text = "resumed", f"{text}, resumed by {executor}"
        wrong = wrong or self._fault_of_result()
        return Outcome("wrong" if wrong else kind, f"{text}, {wrong or 'right bytes'}", seconds)

    def _resume(self):
        """(executor, what went wrong)."""
        executor = str(self.rng.choice(["gang", "tasks", "serial"]))
        with self._command(executor, *self._local(executor, 2), "--resume") as command:
            code = command.wait()
        return executor, f"exit code {code}: {command.lines[-6:]}" if code else None

    def _complaint(self, command, code, seconds):
        """What is wrong with the end of the run that met the fault."""
        if command.hung:
            return f"hung: {command.lines[-6:]}"
        if code == 0 or (code == -signal.SIGKILL and self.drill.fault == "command dies"):
            return None
        if code == 6 and self.drill.fault in FATAL:
            return None if seconds <= GIVE_UP_S else f"gave up after {seconds:.0f} s"
        return f"unexpected exit: {command.lines[-6:]}"

    def _fault_of_result(self):
        if not (self.out / "run.json").exists():
            return "there is no result"
        found = lasting_bytes(self.out)
        if found != self.expected:
            names = found.keys() | self.expected.keys()
            differ = sorted(n for n in names if found.get(n) != self.expected.get(n))
            return f"other bytes in {', '.join(differ)}"
        problems = verify(str(self.out)).problems
        left = [name for name in (".work", ".lock") if (self.out / name).exists()]
        return f"{problems} {left}" if problems or left else None

    # What happens

    def _processes(self, command):
        if self.cluster is not None:
            return [psutil.Process(worker.pid) for worker in self.cluster.workers]
        return command.workers()

    def _worker_dies(self, command, times=1):
        processes = self._processes(command)
        for number in self.rng.permutation(len(processes))[:times]:
            tell(processes[number], signal.SIGKILL)

    def _workers_die_in_turn(self, command):
        for _ in range(3):
            self._worker_dies(command)
            command.wait_for_end(float(self.rng.uniform(0, 2)))

    def _worker_stops(self, command):
        processes = self._processes(command)
        if processes:
            process = processes[self.rng.integers(len(processes))]
            tell(process, signal.SIGSTOP)
            command.wait_for_end(self.drill.lasts_s)
            tell(process, signal.SIGCONT)

    def _command_dies(self, command):
        command.process.kill()

    def _worker_joins(self, command):
        self.cluster.add_worker()

    def _worker_retires(self, command):
        self.cluster.retire(int(self.rng.integers(self.drill.n_workers)))

    def _all_workers_die(self, command):
        self._worker_dies(command, times=self.drill.n_workers)

    def _all_but_one_die(self, command):
        self._worker_dies(command, times=self.drill.n_workers - 1)

    def _scheduler_dies(self, command):
        self.cluster.scheduler.kill()
