"""The runs of `run mds`: one from each start, once only.

Run R starts where the options say (R = 0), or at random. It depends on the dissimilarities, the
options and (random_state, R) only, not on the runs before it.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels import mds_problem, mds_steps
from kernels.mds_problem import Problem
from kernels.mds_steps import State
from pipelines.engine import Engine
from pipelines.engine.broadcast import Broadcast
from pipelines.engine.partitions import Partitions
from pipelines.errors import InputProblem
from pipelines.iterations import IterationLog
from pipelines.mds_blocks import jobs, on_band
from pipelines.mds_plan import Job
from pipelines.results import ResultFolder
from pipelines.trials import TrialRunner

UNLIMITED = sys.maxsize  # iterations: the state counts transforms, and says when to stop


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run from its start to its end.

    x          (n, d) float64: the map, in units of the dissimilarities
    stress     as it fell out of the iterations
    n_iter     Guttman transforms
    """

    run: int
    x: np.ndarray
    stress: float
    n_iter: int
    converged: bool


@dataclasses.dataclass(frozen=True)
class Trials:
    """What all runs share."""

    job: Job
    engine: Engine
    results: ResultFolder
    partitions: Partitions
    log: IterationLog

    def over(self, function: Callable[..., Any], *args: Any, key: str = "start") -> list[Any]:
        """[function(band, *args) for each band]"""
        return self.engine.map_partitions(on_band, self.partitions, function, *args, key=key)

    @functools.cached_property
    def problem(self) -> Problem:
        """What is minimised. Raises InputProblem naming a record that nothing connects."""
        job, config = self.job, self.job.config
        try:
            return mds_problem.problem_over(
                self.over, job.weighting, config.n_components, job.dtype,
                relax=config.relax == "on", tol=config.tol, max_iter=config.max_iter,
                cooling=config.cooling if config.anneal else 0.0, ordinal=job.is_ordinal,
            )  # fmt: skip
        except ValueError as error:
            raise refused(job, error) from error

    @functools.cached_property
    def shared(self) -> Broadcast:
        """The problem, on all workers."""
        return self.engine.broadcast(self.problem)

    def best(self) -> Trial:
        """Of all runs the one with the smallest stress, of equal ones the first."""
        n_init = self.job.config.n_init
        return min((self.one(run) for run in range(n_init)), key=lambda trial: trial.stress)

    def one(self, run: int) -> Trial:
        """A run, from where it was left."""
        name, config = str(run), self.job.config
        runner = TrialRunner(self.engine, self.partitions, self.results, self.log, config)
        self.log.begin(run)
        kept = runner.kept(name, Trial)
        if kept is not None:
            return kept
        blank = np.zeros((self.job.n, config.n_components))
        done = runner.iterate(
            name, jobs(self.problem), (self.shared,), UNLIMITED,
            blank=mds_steps.start_state(blank, self.problem),
            start=functools.partial(self._start, run),
        )  # fmt: skip
        state: State = done.state
        trial = Trial(run, state.x, state.stress, state.transforms, state.converged > 0)
        if config.n_init > 1:
            runner.keep(name, trial)
        return trial

    def _start(self, run: int) -> State:
        job = self.job
        init = job.init if job.given is None else job.given
        x = mds_problem.start_over(self.over, init, self.problem, job.options.random_state, run)
        return mds_steps.start_state(x, self.problem)


def refused(job: Job, error: ValueError) -> InputProblem:
    """What the kernel says of points by their numbers, said of records by their ids."""
    if isinstance(error, mds_problem.UnitError):
        text, remedy = str(error).split(": ")
        return InputProblem(
            f"{job.config.dissimilarities}: {text}.", remedy=f"{remedy.capitalize()}."
        )

    def named(match: re.Match[str]) -> str:
        return f"record {job.matrix.ids[int(match[1])]}" if job.matrix.ids else match[0]

    text = re.sub(r"point (\d+)", named, str(error))
    counted = "" if job.matrix.ids else " (counted from 0)"
    return InputProblem(
        f"{job.config.dissimilarities}: {text}{counted}.",
        remedy="Leave it out, or map each group by itself.",
    )
