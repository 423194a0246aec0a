"""What `run mds` is going to do: its input, checked, and bands, start, time and memory."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels import mds
from pipelines.app import RunOptions, nearest
from pipelines.engine.memory import in_words, worker_need
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.dissimilarities import (
    Dissimilarities,
    open_dissimilarities,
    open_weights,
)
from pipelines.formats.labels import Labels, label_warnings, read_labels, row_numbers
from pipelines.formats.points import load_rows, open_points
from pipelines.mds_blocks import BandSources
from pipelines.plan_words import count

if TYPE_CHECKING:
    from pipelines.mds import Config

STARTS = ("classical", "random")
MOST_ORDINAL = 5000  # records of ordinal scaling: all pairs are sorted, and lie in memory
PAIRS_PER_SECOND = 2e9  # of one core, a pass over them
WEIGHTED_TIMES = 4  # passes that a weighted transform takes
USUAL_ITERATIONS, HOT_TIMES = 60, 8  # transforms of a run, and of an annealed one in relation
READ_BYTES_PER_SECOND = 4e8
WORKER_BASE_BYTES = 300 << 20  # Python, Numba, Dask and the compiled kernels
ORDINAL_BYTES = 48  # of a pair: its place in the order, distance and disparity
STATE_ARRAYS = 8  # of the size of the map: that of the state while it is combined and sent
STRIP = mds.STRIP
SHOWN_PAIRS, SHOWN_RECORDS = 200_000, 500  # in the Shepard diagram, in the picture of the matrix


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked input and the plan for it."""

    config: Config
    options: RunOptions
    matrix: Dissimilarities
    weights: Dissimilarities | None
    labels: Labels | None
    given: np.ndarray | None  # where the first run starts, (n, d) float64
    inputs: list[dict[str, Any]]
    seconds: float  # that reading and planning took
    ready: float  # time.perf_counter() when it was done

    @property
    def n(self) -> int:
        return self.matrix.n

    @property
    def is_ordinal(self) -> bool:
        return self.config.scaling == "ordinal"

    @functools.cached_property
    def ranges(self) -> list[tuple[int, int]]:
        """Rows of each band: of the input and the options only."""
        return [(0, self.n)] if self.is_ordinal else mds.band_ranges(self.n)

    @functools.cached_property
    def costs(self) -> list[int]:
        """Pairs of each band, or nearly."""
        return [mds.packed_size(self.n, *part) for part in self.ranges]

    def sources(self) -> list[BandSources]:
        """What a worker needs to load each band."""
        return [
            BandSources(
                self.matrix.source(*part, self.dtype),
                self.weights.source(*part, "float32") if self.weights else None,
            )
            for part in self.ranges
        ]

    @property
    def dtype(self) -> str:
        """In which dissimilarities are kept in memory."""
        if self.config.dtype != "auto":
            return self.config.dtype
        return "int16" if self.matrix.dtype == np.int16 else str(self.matrix.kept)

    @property
    def init(self) -> str:
        """Where the first run starts, for init auto."""
        if self.config.init != "auto":
            return self.config.init
        return "random" if self.config.anneal else "classical"

    @property
    def ids(self) -> list[str]:
        """Names of the records, or their numbers."""
        return row_numbers(self.n) if self.matrix.ids is None else self.matrix.ids

    @property
    def weighting(self) -> str:
        """What the kernels are told of the weights."""
        return "given" if self.weights is not None else self.config.weights

    @property
    def pairs(self) -> int:
        """Of all records, known or not."""
        return self.n * (self.n - 1) // 2

    @property
    def pair_bytes(self) -> int:
        """Memory that one pair takes."""
        weight = 4 if self.weights is not None else 0
        return np.dtype(self.dtype).itemsize + weight + (ORDINAL_BYTES if self.is_ordinal else 0)

    @property
    def nbytes(self) -> int:
        """Of all bands in memory."""
        return sum(self.costs) * self.pair_bytes

    @property
    def block_bytes(self) -> int:
        """Memory of one band in work, with what it adds to the map."""
        return max(self.costs) * self.pair_bytes + 2 * self.map_bytes

    @property
    def map_bytes(self) -> int:
        """Of one map: (n, d) float64."""
        return 8 * self.n * self.config.n_components

    @property
    def broadcast_bytes(self) -> int:
        """Memory that a worker needs for states, and for the sums of all bands while they are
        combined."""
        depth = math.ceil(math.log2(len(self.ranges))) + 2
        return (STATE_ARRAYS + depth) * self.map_bytes

    @property
    def worker_bytes(self) -> int:
        """Memory that one local worker needs at least; bands beyond its memory lie on its disk."""
        threads = 1 if self.options.executor == "serial" else self.options.nthreads
        return worker_need(self.block_bytes, 1, threads, WORKER_BASE_BYTES, self.broadcast_bytes)

    @property
    def needed_bytes(self) -> int:
        """What the result may take on the disk."""
        rows = self.n * (80 + 24 * self.config.n_components)
        states = 3 * STATE_ARRAYS * self.map_bytes * self.config.n_init
        return (
            rows + states + self.staged_bytes + 24 * SHOWN_PAIRS + 4 * SHOWN_RECORDS**2 + (20 << 20)
        )

    @property
    def staged_bytes(self) -> int:
        """Of what can only be read from end to end, and is kept below .work for the workers."""
        given = [each for each in (self.matrix, self.weights) if each is not None and each.held]
        return sum(self.n * self.n * each.dtype.itemsize for each in given)

    @functools.cached_property
    def estimated_seconds(self) -> float:
        """Of one core, for a usual number of transforms."""
        transforms = USUAL_ITERATIONS * (HOT_TIMES if self.config.anneal else 1)
        transforms = min(transforms, self.config.max_iter) * self.config.n_init
        transforms *= WEIGHTED_TIMES if self.weighting != "none" else 1
        reading = self.matrix.nbytes / READ_BYTES_PER_SECOND
        return self.pairs * transforms / PAIRS_PER_SECOND + reading

    @property
    def resolved(self) -> dict[str, Any]:
        """What 'auto' stands for."""
        return {"init": self.init, "dtype": self.dtype}

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the run."""
        return [*self.matrix.warnings, *label_warnings(self.labels, "records")]

    @property
    def plan(self) -> dict[str, Any]:
        """The plan in numbers."""
        return {
            "records": self.n,
            "pairs": self.pairs,
            "format": self.matrix.format,
            "dtype": self.dtype,
            "n_components": self.config.n_components,
            "partitions": len(self.ranges),
            "init": self.init,
            "runs": self.config.n_init,
            "bytes": self.nbytes,
            "estimated_seconds": round(self.estimated_seconds, 2),
            "worker_bytes": self.worker_bytes,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) of what a person reads before the run."""
        matrix, config = self.matrix, self.config
        text = f"{config.dissimilarities}: {count(self.n, 'record')}, {count(self.pairs, 'pair')}"
        yield "input", f"{text} in {matrix.dtype} ({matrix.format})"
        yield "map", map_text(self)
        yield (
            "plan",
            f"{count(len(self.ranges), 'partition')} in {self.dtype}, {in_words(self.nbytes)} in "
            f"all, at least {in_words(self.worker_bytes)} per worker",
        )


def make_job(config: Config, options: RunOptions) -> Job:
    """Open the input, check everything that can be wrong with it, choose the bands."""
    started = time.perf_counter()
    check_options(config)
    matrix = open_dissimilarities(
        config.dissimilarities, symmetrize=config.symmetrize, kind=config.kind
    )
    if matrix.n == 0:
        raise InputProblem(f"{config.dissimilarities} holds no records.")
    if config.scaling == "ordinal" and matrix.n > MOST_ORDINAL:
        raise UsageProblem(
            f"--scaling ordinal sorts all pairs in memory, for at most {MOST_ORDINAL:,} records; "
            f"{config.dissimilarities} has {matrix.n:,}.",
            remedy="Use --scaling ratio, or fewer records.",
        )
    inputs = [matrix.identity]
    weights = read_weights(config, matrix) if is_file(config.weights) else None
    if weights is not None:
        inputs.append(weights.identity)
    given = None
    if config.init not in ("auto", *STARTS):
        given, identity = read_start(config, matrix.n)
        inputs.append(identity)
    ids = matrix.ids if matrix.ids is not None or not config.labels else row_numbers(matrix.n)
    return Job(
        config=config,
        options=options,
        matrix=matrix,
        weights=weights,
        labels=read_labels(config.labels, ids) if config.labels else None,
        given=given,
        inputs=inputs,
        seconds=time.perf_counter() - started,
        ready=time.perf_counter(),
    )


def is_file(weights: str) -> bool:
    """Whether --weights names a file; 'none', 'sammon' and 'power:P' do not."""
    return weights not in ("none", "sammon") and not weights.startswith("power:")


def check_options(config: Config) -> None:
    """Raise UsageProblem where options contradict each other."""
    if not is_file(config.weights):
        try:
            mds.weighting_of(config.weights, 1.0)
        except ValueError as error:
            raise UsageProblem(f"--{error}.") from error
    if config.scaling == "ordinal" and config.weights != "none":
        raise UsageProblem(
            f"--scaling ordinal does not know --weights {config.weights}: every pair counts alike.",
            remedy="Leave out --weights, or use --scaling ratio.",
        )
    if config.scaling == "ordinal" and config.anneal:
        raise UsageProblem(
            "--scaling ordinal is not annealed: it takes the order of dissimilarities only, and "
            "a temperature takes off their size.",
            remedy="Leave out --anneal, or use --n-init 10.",
        )


def read_weights(config: Config, matrix: Dissimilarities) -> Dissimilarities:
    """The weights of all pairs. Raises InputProblem."""
    try:
        weights = open_weights(config.weights)
    except UsageProblem as error:
        raise meant("--weights", config.weights, ("none", "sammon", "power:P")) or error from error
    if weights.n != matrix.n:
        raise InputProblem(
            f"{config.weights} holds weights of {weights.n:,} records, "
            f"{config.dissimilarities} has {matrix.n:,}.",
            remedy="One weight per pair is expected, in the order of the records.",
        )
    return weights


def meant(flag: str, value: str, words: tuple[str, ...]) -> UsageProblem | None:
    """For a value that is no file and looks like one of these words."""
    near = nearest(value, words)
    if near is None:
        return None
    text = f"{flag} {value} is neither {', '.join(words)} nor a file."
    return UsageProblem(text, remedy=f"Did you mean {near}?")


def read_start(config: Config, n: int) -> tuple[np.ndarray, dict[str, Any]]:
    """The map to start from (n, d) float64, and its identity. Raises InputProblem."""
    try:
        found = open_points(config.init)
    except UsageProblem as error:
        raise meant("--init", config.init, ("auto", *STARTS)) or error from error
    if (found.n, found.d) != (n, config.n_components):
        raise InputProblem(
            f"{config.init} holds {found.n:,} rows of {found.d:,} columns; a start needs {n:,} of "
            f"{config.n_components:,}.",
            remedy="Give a row per record and a column per dimension (--n-components).",
        )
    return load_rows(found.source(0, n)).astype(np.float64), found.identity


def map_text(job: Job) -> str:
    """'3 dimensions, weights sammon, start classical (auto), best of 4 runs, annealed (cooling
    0.95), at most 300 transforms, tol 1e-06'"""
    config = job.config
    parts = [count(config.n_components, "dimension")]
    parts += [f"weights {config.weights}"] if config.weights != "none" else []
    parts += [f"{config.scaling} scaling"] if config.scaling != "absolute" else []
    parts.append(f"start {job.init}" + (" (auto)" if config.init == "auto" else ""))
    parts += [f"best of {config.n_init} runs"] if config.n_init > 1 else []
    parts += [f"annealed (cooling {config.cooling:g})"] if config.anneal else []
    return ", ".join([*parts, f"at most {config.max_iter} transforms", f"tol {config.tol:g}"])
