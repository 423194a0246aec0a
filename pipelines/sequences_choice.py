"""All pairs or landmarks, and which sequences are landmarks.

All pairs are taken when their alignments are estimated to end within most of --max-minutes and
their linkage fits into memory. Else as many landmarks as time and memory allow, FEWEST to MOST, but
at most a fifth of the sequences. They are drawn, or chosen by maximin: twice as many sequences are
drawn, all their pairs are aligned, and from the first drawn on always the one is taken that is
farthest from all taken so far. That is exact on the distances, and costs 2 m^2 alignments beside
the n m of placing: few, where landmarks pay at all.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.engine.memory import in_words
from pipelines.errors import ResourceProblem, UsageProblem
from pipelines.formats.distances import DistanceMatrix
from pipelines.linkage import PAIR_BYTES, linkage_bytes
from pipelines.swg_plan import duration

if TYPE_CHECKING:
    from pipelines.sequences import Config
    from pipelines.swg_plan import Job as AlignJob

FEWEST, MOST = 500, 10_000  # landmarks, where nobody says how many
POOL = 2  # sequences are drawn for each landmark that maximin chooses
MEMORY_SHARE = 0.7  # of the machine's memory that linkage may take
TIME_SHARE = 0.8  # of --max-minutes that alignments may take; the rest is for the map


@dataclasses.dataclass(frozen=True)
class Choice:
    """mode: 'all-pairs' or 'landmarks'; landmarks and pool: how many sequences, 0 for none."""

    mode: str
    landmarks: int
    pool: int
    text: str
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Limits:
    """What decides: n distinct sequences, seconds of all their pairs, what may be taken."""

    n: int
    seconds: float
    allowed_seconds: float
    memory_bytes: int

    @property
    def too_slow(self) -> bool:
        return self.seconds > self.allowed_seconds

    @property
    def too_large(self) -> bool:
        return linkage_bytes(self.n) > self.memory_bytes

    def landmark_seconds(self, landmarks: int, pool: int) -> float:
        """Of aligning the pool, the landmarks, and everything else with the landmarks."""
        pairs = pool**2 + landmarks**2 + 2 * landmarks * (self.n - landmarks)
        return self.seconds * pairs / self.n**2

    def most_landmarks(self, choice: str) -> int:
        """As many as time and memory allow, of FEWEST to MOST, at most a fifth; a round number."""
        fifth = max(self.n // 5, 2)
        low, high = min(FEWEST, fifth), min(MOST, fifth)
        while low < high:
            middle = (low + high + 1) // 2
            slow = self.landmark_seconds(middle, pool_of(choice, middle, self.n))
            fits = slow <= self.allowed_seconds and linkage_bytes(middle) <= self.memory_bytes
            low, high = (middle, high) if fits else (low, middle - 1)
        return low if low <= FEWEST else low // 100 * 100


def pool_of(choice: str, landmarks: int, n: int) -> int:
    """Sequences that are drawn so that maximin chooses among them."""
    return min(POOL * landmarks, n) if choice == "maximin" else 0


def limits_of(config: Config, aligned: AlignJob) -> Limits:
    """Of this machine."""
    from pipelines.engine.cluster import usable_memory

    return Limits(
        aligned.records.n,
        aligned.estimated_seconds,
        60 * config.max_minutes * TIME_SHARE,
        int(usable_memory() * MEMORY_SHARE),
    )


def choose(config: Config, limits: Limits, before: dict[str, Any]) -> Choice:
    """All pairs or landmarks. before: the options of the run that is gone on with, or {}.

    Raises ResourceProblem for more than memory holds, UsageProblem for fewer landmarks than
    clusters.
    """
    n = limits.n
    decided = before.get("mode", "") if config.mode == "auto" else config.mode
    landmarks = before.get("landmarks", "auto") if config.landmarks == "auto" else config.landmarks
    if not decided:
        given = landmarks != "auto" or limits.too_slow or limits.too_large
        decided = "landmarks" if given else "all-pairs"
    if decided == "landmarks" and landmarks == "auto":
        landmarks = limits.most_landmarks(config.landmark_choice)
    if decided == "all-pairs" or landmarks >= n:
        refuse_too_large(limits, n)
        return Choice("all-pairs", 0, 0, f"all pairs{why(config, limits)}", ())
    refuse_too_large(limits, landmarks)
    if config.n_clusters is not None and config.n_clusters > landmarks:
        raise UsageProblem(f"--n-clusters {config.n_clusters} is more than {landmarks} landmarks.")
    pool = pool_of(config.landmark_choice, landmarks, n)
    text = f"{landmarks:,} landmarks ({config.landmark_choice}){why(config, limits)}"
    seconds = limits.landmark_seconds(landmarks, pool)
    slow = ()
    if config.mode == config.landmarks == "auto" and seconds > 60 * config.max_minutes:
        slow = (
            f"even {landmarks:,} landmarks take about {duration(seconds)}, "
            f"--max-minutes is {config.max_minutes:g}",
        )
    return Choice("landmarks", landmarks, pool, text, slow)


def why(config: Config, limits: Limits) -> str:
    """', for all pairs would take about 6.1 days and --max-minutes is 60'"""
    if config.mode != "auto" or config.landmarks != "auto":
        return ""
    if limits.too_slow:
        return (
            f", for all pairs would take about {duration(limits.seconds)} and --max-minutes is "
            f"{config.max_minutes:g}"
        )
    if limits.too_large:
        need, memory = in_words(linkage_bytes(limits.n)), in_words(limits.memory_bytes)
        return f", for the linkage of all would take {need} of memory, and {memory} may be used"
    return ""


def refuse_too_large(limits: Limits, n: int) -> None:
    """ResourceProblem when the linkage of n items is beyond memory."""
    if linkage_bytes(n) <= limits.memory_bytes:
        return
    raise ResourceProblem(
        f"the linkage of {n:,} sequences takes {in_words(linkage_bytes(n))} "
        f"({PAIR_BYTES} bytes a pair), and {in_words(limits.memory_bytes)} may be used.",
        remedy="Use --mode landmarks, with fewer --landmarks.",
    )


def drawn(n: int, m: int, random_state: int) -> np.ndarray:
    """(m,) different numbers below n in the order drawn."""
    return np.random.default_rng((random_state, 0x1A9D)).permutation(n)[:m]


def maximin(matrix: DistanceMatrix, m: int, first: int) -> np.ndarray:
    """(m,) numbers of items, from `first` on always the one farthest from all before; of equally
    far ones the lower number. A missing distance counts as none."""
    distances = matrix.rows(0, matrix.n)
    nearest = np.full(matrix.n, np.inf)
    chosen = [first]
    while len(chosen) < m:
        nearest = np.fmin(nearest, distances[chosen[-1]])
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)
