"""Loop-invariant data in pieces that stay with workers: the driver's handle."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Partitions:
    """What engine.partitions() returns: n pieces, each with a source to load it from.

    name       as given: 'partition'; the words of messages and of the dashboard
    key        unique; under it the workers' caches hold the pieces
    costs      how long one takes in relation to the others
    replicas   workers that hold a piece, where there are so many
    """

    name: str
    key: str
    load: Callable[[Any], Any]
    sources: tuple[Any, ...]
    costs: tuple[float, ...]
    replicas: int = 1

    @property
    def n(self) -> int:
        return len(self.sources)

    def task_key(self, verb: str, index: int) -> str:
        """'lloyd-partition-3': how a partition is called in errors and events."""
        return f"{verb}-{self.name}-{index}"


COUNTED = ("source_reads", "memory_hits", "disk_hits", "spilled_bytes")  # they only grow


@dataclass
class Tally:
    """What happened to the partitions of one key, as far as the driver knows.

    nbytes    of each partition
    counts    of each worker's cache, as its last answer told
    """

    nbytes: dict[int, int] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    moved: int = 0
    reloaded: int = 0

    def note(self, worker: str, counts: Any) -> None:
        """Keep counts, unless newer ones came before: answers overtake each other."""
        before = self.counts.get(worker)
        if before is None or _sum(counts) >= _sum(before):
            self.counts[worker] = counts

    def facts(self) -> dict[str, int]:
        """See engine.partition_facts."""
        summed = {
            name: sum(getattr(counts, name) for counts in self.counts.values()) for name in COUNTED
        }
        return {
            "partitions": len(self.nbytes),
            "bytes": sum(self.nbytes.values()),
            **summed,
            "moved": self.moved,
            "reloaded": self.reloaded,
        }


def new_partitions(
    load: Callable[[Any], Any],
    sources: Sequence[Any],
    costs: Sequence[float] | None,
    name: str,
    replicas: int,
) -> Partitions:
    """Raises ValueError for no sources, costs of another number, or too many replicas."""
    sources = tuple(sources)
    if not sources:
        raise ValueError("there must be at least one partition: no sources")
    costs = tuple(costs) if costs is not None else (1.0,) * len(sources)
    if len(costs) != len(sources):
        raise ValueError(f"{len(sources)} sources, but {len(costs)} costs")
    if replicas not in (1, 2):
        raise ValueError(f"replicas must be 1 or 2, not {replicas}")
    return Partitions(name, f"{name}-{uuid.uuid4().hex}", load, sources, costs, replicas)


def _sum(counts: Any) -> int:
    return sum(getattr(counts, name) for name in COUNTED)
