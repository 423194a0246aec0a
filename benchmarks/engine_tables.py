"""What a run of the engine's benchmark is told, and how it tells and keeps what it measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import harness
from benchmarks.harness import Contender, tell

SIZES = (80_000, 8_000_000, 80_000_000)
TOY_SIZES = (800, 80_000)
RANKS = (1, 2, 4, 8)
PARTITIONS = (2, 8, 64, 256)
COMPARED_RANKS = 2  # as many as the peers have processes
TRIAL_S = 1.2
HEADING = ("contender", "state", "ms", "lowest", "highest")


@dataclass(frozen=True)
class Setting:
    """What a run does."""

    sizes: tuple[int, ...] = SIZES
    ranks: tuple[int, ...] = RANKS
    partitions: tuple[int, ...] = PARTITIONS
    parts: tuple[str, ...] = ()
    trials: int = 5
    peers: tuple[str, ...] | None = None
    toy: bool = False
    table: Callable[[Any, Any], str] = harness.table

    @property
    def trial_s(self) -> float:
        return 0.1 if self.toy else TRIAL_S


def size_words(nbytes: int) -> str:
    return f"{nbytes // 1_000_000} MB" if nbytes >= 1_000_000 else f"{nbytes / 1000:g} KB"


def record(
    part: str,
    title: str,
    groups: list[list[Contender]],
    setting: Setting,
    watch: harness.Watch,
    compared: tuple[str, str, str],
) -> dict:
    """Show a table, return what the JSON line keeps. compared: what the others' seconds by those
    of the first of their group are called."""
    shares = watch.shares()
    wrong = sorted({c.name for group in groups for c in group if not c.result})
    tell(f"\n## {title}")
    heading = (*HEADING, *compared)
    tell(setting.table(heading, [row for group in groups for row in rows(group)]))
    tell(f"WRONG states: {', '.join(wrong)}" if wrong else "every last state equals the first")
    tell(harness.disturbance(shares))
    return shares | {
        "benchmark": f"engine {part}",
        "toy": setting.toy,
        "trials": setting.trials,
        "groups": [[contender.record() for contender in group] for group in groups],
        "comparisons": [harness.comparison(group[0], c) for group in groups for c in group[1:]],
        "verified": {"correct": not wrong, "wrong": wrong},
    }


def rows(group: list[Contender]) -> list[list[str]]:
    """Milliseconds, and how many times longer than the first of the group others take."""
    found = []
    for contender in group:
        row = [contender.name, contender.returns, *told(contender.seconds, 1000)]
        ratios = told(harness.ratios(group[0], contender), 1, "x")
        found.append(row + (ratios if contender is not group[0] else ["", "", ""]))
    return found


def told(values: Sequence[float], factor: float, unit: str = "") -> list[str]:
    """Median, lowest, highest, multiplied by the factor."""
    low, middle, high = harness.spread(values)
    return [f"{factor * value:.4g}{unit}" for value in (middle, low, high)]
