"""The stages of `run sequences`: which sequences go into each, and with which options."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pipelines import cluster, interpolate, mds, swg
from pipelines.app import DEFAULT, declared
from pipelines.distinct import fasta_bytes
from pipelines.engine import Engine
from pipelines.formats.distances import open_distances
from pipelines.output_rules import STAGES
from pipelines.results import ResultFolder
from pipelines.sequences_choice import drawn, maximin
from pipelines.sequences_plan import Job, swg_config
from pipelines.stages import put_early, run_stage, stage_url

FASTAS = tuple(f"{name}.fasta" for name in STAGES)


@dataclasses.dataclass
class Stages:
    """What the stages became.

    aligned (m,) int64   numbers of the distinct sequences of which all pairs are aligned, ascending
    placed (u - m,)      those of the others
    runs                 run.json of each stage
    """

    aligned: np.ndarray
    placed: np.ndarray
    runs: dict[str, dict[str, Any]]

    @property
    def seconds(self) -> dict[str, float]:
        """Of each stage, also where an earlier run computed it."""
        return {name: float(run["seconds"]) for name, run in self.runs.items()}


class Way:
    """Runs stage after stage of one job."""

    def __init__(self, job: Job, engine: Engine, results: ResultFolder):
        self.job, self.engine, self.results = job, engine, results
        self.runs: dict[str, dict[str, Any]] = {}

    def stage(self, name: str, module: Any, config: Any) -> None:
        """Compute it, or what is missing of it."""
        options = dataclasses.replace(self.job.options, origins=self.origins(config))
        self.runs[name] = run_stage(name, module, config, options, self.engine, self.results)

    def origins(self, config: Any) -> dict[str, str]:
        """Where the values of a stage's options came from: what was not given for the whole run
        comes from it where it is not the stage's own default."""
        given = self.job.options.origins
        found = dict(given)
        for field in declared(type(config)):
            ours = given.get(field.name, DEFAULT) == DEFAULT
            if ours and getattr(config, field.name) != field.default:
                found[field.name] = "run sequences"
        return found

    def fasta(self, name: str, numbers: np.ndarray) -> str:
        """Path or URL of the input of a stage: some of the distinct sequences."""
        rows = self.job.distinct.first[numbers]
        self.results.folder.put(f"{name}.fasta", fasta_bytes(self.job.records, rows))
        return f"{self.results.url.rstrip('/')}/{name}.fasta"

    def align(self, name: str, numbers: np.ndarray) -> None:
        """All pairs of some of the distinct sequences."""
        config = swg_config(
            self.job.config, self.fasta(name, numbers), alphabet=self.job.records.alphabet,
            ids="full" if self.job.config.ids == "full" else "first", on_bad_record="error",
            gaps="error", dtype=self.job.dtype(len(numbers)),
        )  # fmt: skip
        self.stage(name, swg, config)

    def url(self, name: str) -> str:
        return stage_url(self.results, name)

    def landmarks(self) -> np.ndarray:
        """Numbers of the distinct sequences that are aligned with each other, ascending."""
        job, n = self.job, self.job.distinct.n
        if not job.choice.landmarks:
            return np.arange(n)
        if not job.choice.pool:
            return np.sort(drawn(n, job.choice.landmarks, job.options.random_state))
        pool = drawn(n, job.choice.pool, job.options.random_state)
        order = np.argsort(pool)
        self.align("pool", pool[order])
        matrix = open_distances(self.url("pool"))
        first = int(np.flatnonzero(order == 0)[0])  # the first that was drawn
        return np.sort(pool[order][maximin(matrix, job.choice.landmarks, first)])


def compute_stages(job: Job, engine: Engine, results: ResultFolder) -> Stages:
    """Align, map, link and place, as the plan says."""
    way = Way(job, engine, results)
    with put_early(results, FASTAS):
        aligned = way.landmarks()
        way.align("distances", aligned)
        way.stage("map", mds, map_config(job, way.url("distances")))
        way.stage(
            "clusters", cluster, cluster.Config(way.url("distances"), **shared(job, cluster.Config))
        )
        placed = np.setdiff1d(np.arange(job.distinct.n), aligned)
        if len(placed):
            config = interpolate.Config(
                way.fasta("placed", placed), onto=way.url("map"), k=job.config.k or len(aligned)
            )
            way.stage("placed", interpolate, config)
    return Stages(aligned, placed, way.runs)


def map_config(job: Job, distances: str) -> mds.Config:
    """The options of the map."""
    return mds.Config(distances, **shared(job, mds.Config) | {"strict": False})


def shared(job: Job, config_class: type) -> dict[str, Any]:
    """Our values of the options that a stage has too."""
    ours = {field.name for field in declared(type(job.config))} - {"labels", "dtype"}
    names = [field.name for field in declared(config_class) if field.name in ours]
    return {name: getattr(job.config, name) for name in names}
