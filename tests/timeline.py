"""When what happened in a run, and what the death of a worker cost it."""

import itertools
import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

from pipelines.engine import (
    IterationEnded,
    MapEnded,
    PartitionLoaded,
    RolledBack,
    WorkerLost,
)


class Moment(NamedTuple):
    """at: seconds since the epoch, of the driver when it heard of the event."""

    at: float
    event: object


class Timeline(list):
    """A listener that keeps all events as moments."""

    def __call__(self, event):
        self.append(Moment(time.time(), event))

    def of(self, *kinds):
        return [moment for moment in self if isinstance(moment.event, kinds)]

    @property
    def rows(self):
        return [moment.event.row for moment in self.of(IterationEnded)]

    @property
    def ranks(self):
        """How many worked on each iteration, without repetitions: [3, 2, 3]."""
        return [number for number, _ in itertools.groupby(len(row.seconds) for row in self.rows)]


@dataclass(frozen=True)
class Lost:
    """Seconds that the death of a worker cost.

    repeated_s   work from the last kept state up to the death, which is done again: part of a
                 chunk (gang) or of an iteration (tasks)
    heard_s      from the death until the driver knew of it
    reload_s     partitions of the dead worker were being read on the others
    rest_s       all the rest until the iterations went on: this is what the engine adds; heard_s
                 is a part of it
    partitions   that were reloaded
    join_s       pause of the iterations when the worker's replacement took part for the first time
    """

    executor: str
    repeated_s: float
    heard_s: float
    reload_s: float
    rest_s: float
    partitions: int
    join_s: float

    def rounded(self):
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def lost_time(timeline, died_at, executor):
    """What the death at that time cost. The run must have been in its iterations."""
    ends = [row.stopped for row in timeline.rows] + [moment.at for moment in timeline.of(MapEnded)]
    kept_at = max(end for end in ends if end <= died_at)
    heard_at = next(m.at for m in timeline.of(WorkerLost, RolledBack) if m.at >= died_at)
    loads = [moment for moment in timeline.of(PartitionLoaded) if moment.at >= died_at]
    if executor == "gang":
        again = next(row.started for row in timeline.rows if row.started > died_at)
    else:  # the iteration goes on, and only the dead worker's part of it is done again
        ended = next(row.stopped for row in timeline.rows if row.stopped > died_at)
        again = max([heard_at, *(moment.at for moment in loads if moment.at < ended)])
    loads = [moment for moment in loads if moment.at <= again]
    reload_s = covered((moment.at - moment.event.seconds, moment.at) for moment in loads)
    return Lost(
        executor,
        repeated_s=died_at - kept_at,
        heard_s=heard_at - died_at,
        reload_s=reload_s,
        rest_s=again - died_at - reload_s,
        partitions=len(loads),
        join_s=join_seconds([row for row in timeline.rows if row.stopped > died_at]),
    )


def join_seconds(rows):
    """Before the first iteration with more workers than the one before it had, or 0."""
    for before, after in itertools.pairwise(rows):
        if len(after.seconds) > len(before.seconds):
            return after.started - before.stopped
    return 0.0


def covered(spans):
    """Length of the union of (start, stop) spans."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total
