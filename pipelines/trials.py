"""Runs from several starts, of which the best is kept: each of them once, over all resumptions.

    .work/trials/NAME.npz            the run is over: what became of it
    .work/trials/NAME/N.json         iterations of an unfinished run up to its checkpoint N
    .work/checkpoints/NAME/N.state   the state of an unfinished run after N iterations

All runs work on the same partitions, which stay where they are. A run must depend on the input,
the options and its own number only, not on the runs before it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from pipelines.app import IterativeOptions
from pipelines.engine import Engine, Iterated, Job, iterate
from pipelines.engine.checkpoint import Checkpoints
from pipelines.engine.partitions import Partitions
from pipelines.iterations import IterationLog
from pipelines.results import ResultFolder
from storage.errors import KeyMissing
from storage.folder import Folder

SLOW_START_S = 1.0  # a start that took longer is kept as a checkpoint
Trial = TypeVar("Trial")  # a dataclass of arrays, and of values that JSON can hold


@dataclasses.dataclass(frozen=True)
class TrialRunner:
    """Iterates on partitions, and keeps in the result folder how far it came.

    config   tells when checkpoints are due
    """

    engine: Engine
    partitions: Partitions
    results: ResultFolder
    log: IterationLog
    config: IterativeOptions

    def kept(self, name: str, kind: type[Trial]) -> Trial | None:
        """A run that is over already; its iterations join the log. None when there is none."""
        found = read_trial(self.results.folder, self._key(name), kind)
        if found is None:
            return None
        trial, rows = found
        self.log.rows += rows
        return trial

    def keep(self, name: str, trial: Any) -> None:
        """The run that was begun last is over: it will not be done again."""
        folder = self.results.folder
        folder.put(self._key(name), trial_bytes(trial, self.log.of_run()))
        folder.delete_tree(self.results.work_key(f"trials/{name}"))
        folder.delete_tree(self.results.work_key(f"checkpoints/{name}"))

    def iterate(
        self, name: str, jobs: Sequence[Job], args: tuple[Any, ...], max_iter: int, *,
        blank: Any, start: Callable[[], Any],
    ) -> Iterated:  # fmt: skip
        """From the last checkpoint of the run, or else from start(). blank: any state."""
        folder, config = self.results.folder, self.config
        prefix = self.results.work_key(f"checkpoints/{name}")
        rows_prefix = self.results.work_key(f"trials/{name}")
        apart = config.checkpoint_every, config.checkpoint_seconds
        with LoggedCheckpoints(folder, prefix, *apart, self.log, rows_prefix) as checkpoints:
            found = checkpoints.latest(like=blank)
            if found is None:
                began = time.monotonic()
                state = start()
                if time.monotonic() - began > SLOW_START_S:
                    checkpoints.save(0, jobs[0].name, state)
            else:
                state = blank  # iterate() goes on from the checkpoint
                self.log.rows += earlier_rows(folder, rows_prefix, found[0])
            checkpoints.kept = len(self.log.rows)
            return iterate(
                self.engine, self.partitions, state=state, jobs=jobs, args=args,
                max_iter=max_iter, checkpoints=checkpoints, chunk_s=config.chunk_seconds,
            )  # fmt: skip

    def _key(self, name: str) -> str:
        return self.results.work_key(f"trials/{name}.npz")


class LoggedCheckpoints(Checkpoints):
    """Checkpoints that keep, before each state, what was recorded of the iterations up to it.

    kept   rows of the log that need not be kept: earlier ones, or of other runs
    """

    def __init__(
        self, folder: Folder, prefix: str, every: int, seconds: float, log: IterationLog,
        rows_prefix: str,
    ):  # fmt: skip
        super().__init__(folder, prefix, every, seconds)
        self.kept = len(log.rows)
        self._log, self._rows_prefix = log, rows_prefix

    def save(self, iteration: int, job: str, state: Any) -> None:
        rows, self.kept = self._log.rows[self.kept :], len(self._log.rows)
        key = f"{self._rows_prefix}/{iteration:010d}.json"
        self.folder.put(key, json.dumps(rows).encode())
        super().save(iteration, job, state)


def earlier_rows(folder: Folder, prefix: str, most: int) -> list[dict[str, Any]]:
    """What was kept of the iterations up to `most`, each once."""
    found: dict[int, dict[str, Any]] = {}
    for _, data in sorted(folder.get_many(folder.list(prefix)).items()):
        found |= {row["iteration"]: row for row in json.loads(data)}
    return [row for iteration, row in sorted(found.items()) if iteration <= most]


def trial_bytes(trial: Any, rows: list[dict[str, Any]]) -> bytes:
    """A trial, and the rows of its iterations, as an .npz file without pickle."""
    parts = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial)}
    arrays = {name: value for name, value in parts.items() if isinstance(value, np.ndarray)}
    facts = {name: value for name, value in parts.items() if name not in arrays}
    text = np.frombuffer(json.dumps({"trial": facts, "rows": rows}).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, facts=text, **{f"array-{k}": v for k, v in arrays.items()})
    return file.getvalue()


def read_trial(
    folder: Folder, key: str, kind: type[Trial]
) -> tuple[Trial, list[dict[str, Any]]] | None:
    """A trial that is over and the rows of its iterations; None when there is none, or damaged."""
    try:
        with np.load(io.BytesIO(folder.get(key)), allow_pickle=False) as file:
            facts = json.loads(bytes(file["facts"]))
            names = [name for name in file.files if name.startswith("array-")]
            arrays = {name.removeprefix("array-"): file[name] for name in names}
            return kind(**arrays, **facts["trial"]), facts["rows"]
    except KeyMissing:
        return None
    except Exception:  # whatever damaged bytes make of a zip file: the run is done again
        return None
