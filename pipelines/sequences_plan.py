"""What `run sequences` is going to do: all pairs or landmarks, stages, their time and memory."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kernels import mds
from kernels import swg as kernel
from pipelines import swg, swg_plan
from pipelines.app import RunOptions, declared
from pipelines.cluster_plan import PAIRS_PER_SECOND as LINKED_PER_SECOND
from pipelines.cluster_plan import cut_text
from pipelines.distinct import Distinct, distinct_of, taken
from pipelines.engine.memory import in_words
from pipelines.errors import UsageProblem
from pipelines.formats.fasta import Records
from pipelines.formats.labels import Labels, read_labels
from pipelines.linkage import linkage_bytes
from pipelines.mds_plan import (
    HOT_TIMES,
    PAIRS_PER_SECOND,
    USUAL_ITERATIONS,
    WEIGHTED_TIMES,
)
from pipelines.output_rules import survey
from pipelines.sequences_choice import Choice, choose, limits_of
from pipelines.swg_input import read_records
from pipelines.swg_plan import duration, input_lines, plural, scoring_text
from storage.errors import StorageError
from storage.folder import open_folder

if TYPE_CHECKING:
    from pipelines.sequences import Config

INT16_FROM = 10_000  # sequences whose distances are stored as int16, where these hold them


@dataclasses.dataclass(frozen=True)
class Step:
    """A stage as it is planned: its folder, its application, what it does, seconds and bytes."""

    name: str
    app: str
    text: str
    seconds: float
    nbytes: int


@dataclasses.dataclass(frozen=True)
class Job:
    """Checked sequences and the plan for them.

    records    all of them
    aligned    the job of all pairs of the distinct ones: scoring, and what a pair costs
    choice     all pairs or landmarks
    """

    config: Config
    options: RunOptions
    records: Records
    distinct: Distinct
    labels: Labels | None
    aligned: swg_plan.Job
    choice: Choice
    inputs: list[dict[str, Any]]
    standard_input: bytes | None
    seconds: float  # that reading and planning took
    ready: float  # time.perf_counter() when it was done

    @property
    def n_aligned(self) -> int:
        """Sequences of which every pair is aligned, mapped and linked."""
        return self.choice.landmarks or self.distinct.n

    @property
    def n_placed(self) -> int:
        """Distinct sequences that are placed among the landmarks."""
        return self.distinct.n - self.n_aligned

    @functools.cached_property
    def steps(self) -> list[Step]:
        """The stages in their order."""
        return [*self._pool_steps(), *self._map_steps(), *self._placed_steps()]

    def _pool_steps(self) -> Iterator[Step]:
        pool = self.choice.pool
        if pool:
            text = f"all pairs of {pool:,} drawn sequences, to choose landmarks among them"
            yield Step("pool", "swg", text, self._align(pool, pool), self._matrix_bytes(pool))

    def _map_steps(self) -> Iterator[Step]:
        m, pairs = self.n_aligned, self.n_aligned * (self.n_aligned - 1) // 2
        whom = f"{m:,} landmarks" if self.choice.landmarks else f"{m:,} sequences"
        text = f"all {pairs:,} pairs of {whom}"
        yield Step("distances", "swg", text, self._align(m, m), self._matrix_bytes(m))
        yield Step("map", "mds", map_text(self.config, whom), self._map(pairs), 500 * m + (4 << 20))
        text = f"{self.config.linkage} linkage of {whom}, {cut_text(self.config)}"
        yield Step("clusters", "cluster", text, pairs / LINKED_PER_SECOND, 200 * m + (4 << 20))

    def _placed_steps(self) -> Iterator[Step]:
        if self.n_placed:
            seconds = self._align(self.n_placed, 2 * self.n_aligned)
            m, k = self.n_aligned, self.config.k
            whom = f"all {m:,}" if k is None or k >= m else f"the {k:,} nearest of {m:,}"
            text = f"{self.n_placed:,} sequences by {whom} landmarks"
            yield Step("placed", "interpolate", text, seconds, 200 * self.n_placed)

    def _align(self, rows: int, columns: int) -> float:
        """Seconds of aligning rows x columns / 2 pairs of usual sequences."""
        share = rows * columns / max(self.distinct.n, 1) ** 2
        return share * self.aligned.estimated_seconds

    def _map(self, pairs: int) -> float:
        """Seconds of a usual number of transforms of all pairs."""
        config = self.config
        transforms = USUAL_ITERATIONS * (HOT_TIMES if config.anneal else 1) * config.n_init
        transforms *= WEIGHTED_TIMES if config.weights != "none" else 1
        return pairs * transforms / PAIRS_PER_SECOND / (self.aligned.slots or 1)

    def _matrix_bytes(self, n: int) -> int:
        layout = dataclasses.replace(self.aligned.layout, n=n, dtype=self.dtype(n))
        return layout.max_bytes

    def dtype(self, n: int) -> str:
        """How the distances of n sequences are stored."""
        if self.config.dtype != "auto":
            return self.config.dtype
        small = n < INT16_FROM or self.config.distance not in kernel.BOUNDED
        return "float32" if small else "int16"

    @property
    def estimated_seconds(self) -> float:
        """Of all stages."""
        return sum(step.seconds for step in self.steps)

    @property
    def needed_bytes(self) -> int:
        """What the result may take on the disk."""
        letters = 2 * self.records.codes.nbytes
        return sum(step.nbytes for step in self.steps) + letters + 500 * self.records.n + (20 << 20)

    @property
    def resolved(self) -> dict[str, Any]:
        """What 'auto' and None stand for."""
        names = ("alphabet", "matrix", "gap_open", "gap_extend")
        return {name: self.aligned.resolved[name] for name in names} | {
            "dtype": self.dtype(self.n_aligned),
            "mode": self.choice.mode,
            "landmarks": self.choice.landmarks or "auto",
        }

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the run."""
        return [*self.aligned.warnings, *self.choice.warnings]

    @property
    def plan(self) -> dict[str, Any]:
        """The plan in numbers."""
        return {
            "records": self.records.n,
            "distinct": self.distinct.n,
            "mode": self.choice.mode,
            "landmarks": self.choice.landmarks,
            "linkage_bytes": linkage_bytes(self.n_aligned),
            "cells_per_second_per_core": round(self.aligned.cells_per_second),
            "stages": [
                dataclasses.asdict(step) | {"seconds": round(step.seconds, 2)}
                for step in self.steps
            ],
            "estimated_seconds": round(self.estimated_seconds, 2),
            "result_bytes_at_most": self.needed_bytes,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) of what a person reads before the run."""
        yield from input_lines(self.config, self.records)
        if self.distinct.duplicates:
            yield "distinct", f"{self.distinct.n:,}; {self.distinct.duplicates:,} equal one of them"
        yield "scoring", scoring_text(self.aligned)
        yield "plan", f"{self.choice.text}; {in_words(linkage_bytes(self.n_aligned))} for linkage"
        for step in self.steps:
            yield f"  {step.name}", f"{step.text}, about {duration(step.seconds)}"
        yield (
            "in all",
            f"about {duration(self.estimated_seconds)}, result up to {in_words(self.needed_bytes)}",
        )

    def new_token(self) -> bytes:
        """Written under the output; a worker that cannot read it does not see the output."""
        return f"{self.records.sha256} {os.getpid()} {time.time_ns()}".encode()


def map_text(config: Config, whom: str) -> str:
    """'3 dimensions of 1,000 landmarks, weights sammon, annealed, best of 4 starts'"""
    parts = [f"{plural(config.n_components, 'dimension')} of {whom}"]
    parts += [f"weights {config.weights}"] if config.weights != "none" else []
    parts += ["annealed"] if config.anneal else []
    parts += [f"best of {config.n_init} starts"] if config.n_init > 1 else []
    return ", ".join(parts)


def make_job(config: Config, options: RunOptions) -> Job:
    """Read the input, take equal sequences together, decide between all pairs and landmarks."""
    started = time.perf_counter()
    if config.labels == "-" == config.sequences:
        raise UsageProblem("--labels and the sequences cannot both come from standard input.")
    records, standard_input = read_records(config, options)
    labels = read_labels(config.labels, records.ids) if config.labels else None
    distinct = distinct_of(records)
    check_number(config, distinct)
    aligned = aligned_job(config, options, taken(records, distinct.first), started)
    aligned = dataclasses.replace(aligned, labels=labels)
    choice = choose(config, limits_of(config, aligned), earlier_choice(options))
    aligned.inputs[0]["records"] = records.n
    return Job(
        config=config,
        options=options,
        records=records,
        distinct=distinct,
        labels=labels,
        aligned=aligned,
        choice=choice,
        inputs=aligned.inputs,
        standard_input=standard_input,
        seconds=time.perf_counter() - started,
        ready=time.perf_counter(),
    )


def aligned_job(
    config: Config, options: RunOptions, records: Records, started: float
) -> swg_plan.Job:
    """The job of run swg for the distinct sequences: nothing of it is run as it is."""
    executor = "serial" if options.executor == "serial" else "auto"
    return swg_plan.job_of(
        swg_config(config, config.sequences, alphabet=records.alphabet),
        dataclasses.replace(options, executor=executor),
        records,
        None,
        started,
    )


def swg_config(config: Config, source: str, **changes: Any) -> swg.Config:
    """The options that a stage of run swg has in common with ours."""
    values = {field.name: getattr(config, field.name) for field in declared(swg.Config)}
    values |= {"sequences": source, "dtype": "float32", "labels": None}
    return swg.Config(**(values | changes))


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """(options, why) for options that exclude each other, whatever the input."""
    if config.n_clusters is not None and config.threshold is not None:
        yield "--n-clusters and --threshold", "give one of them"
    if config.mode == "all-pairs" and config.landmarks != "auto":
        yield "--mode all-pairs and --landmarks", "give one of them"
    try:
        mds.weighting_of(config.weights, 1.0)
    except ValueError:
        text = f"is none, sammon or power:P (P from -4 to 4 in halves), not {config.weights}"
        yield "--weights", text
    if config.distance == "score":
        yield "--distance score", "a score is no distance: take score-max or score-min"


def check_number(config: Config, distinct: Distinct) -> None:
    """UsageProblem for more clusters than there are sequences."""
    if config.n_clusters is not None and config.n_clusters > distinct.n:
        raise UsageProblem(
            f"--n-clusters {config.n_clusters} is more than the "
            f"{plural(distinct.n, 'distinct sequence')} in {config.sequences}."
        )


def earlier_choice(options: RunOptions) -> dict[str, Any]:
    """What the run that is gone on with has decided: a machine that is busier by now changes
    nothing."""
    if not options.resume:
        return {}
    try:
        _, run = survey(open_folder(options.output))
    except StorageError:
        return {}
    return run.get("options", {}) if run.get("app") == "sequences" else {}
