"""Multidimensional scaling: our kernel against the libraries in use.

    iteration      one Guttman transform without weights against scikit-learn's, and how much of
                   the memory's bandwidth ours uses
    memory         what both take at their peak
    weighted       a whole weighted transform over an unweighted one
    quality        the stress that whole runs end with, and their seconds
    interpolation  points per second onto a finished map, and of its search for neighbours
    scaling        an iteration through the engine with one and two ranks
    big            `run mds` of a large file as a whole command (only with --input)

What was computed is verified after the clock has stopped.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import (
    harness,
    mds_big,
    mds_interpolation,
    mds_iteration,
    mds_memory,
    mds_quality,
    mds_scaling,
    mds_weighted,
)
from benchmarks.harness import tell
from benchmarks.mds_peers import PEERS

__all__ = ["PARTS", "PEERS", "Setting", "run"]

RUNS: dict[str, Callable[[Setting, Path], Iterator[list[dict]]]] = {
    "iteration": mds_iteration.run,
    "memory": mds_memory.run,
    "weighted": mds_weighted.run,
    "quality": mds_quality.run,
    "interpolation": mds_interpolation.run,
    "scaling": mds_scaling.run,
    "big": mds_big.run,
}
PARTS = tuple(RUNS)
SIZES, TOY_SIZES = (1000, 4000, 10_000, 40_000), (600,)
DTYPES = ("float64", "float32", "int16")


@dataclass(frozen=True)
class Setting:
    """What a run of this benchmark does."""

    sizes: tuple[int, ...] = SIZES
    dtypes: tuple[str, ...] = DTYPES
    threads: tuple[int, ...] = (1, 2)
    trials: int = 5
    parts: tuple[str, ...] = PARTS
    peers: tuple[str, ...] | None = None
    input: str | None = None
    iterations: int = 20
    toy: bool = False
    table: Callable[[Any, Any], str] = harness.table

    @property
    def most_threads(self) -> int:
        return max(self.threads)


def run(setting: Setting) -> Iterator[list[dict]]:
    """Measure, verify and show; the records of one table after the other."""
    with tempfile.TemporaryDirectory(prefix="whorl-benchmark-") as scratch:
        for part in setting.parts:
            if part == "big" and setting.input is None:
                tell("\nbig: left out, it needs --input FILE.zarr (generate distances makes one)")
                continue
            yield from RUNS[part](setting, Path(scratch))
