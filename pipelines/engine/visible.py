"""What Dask's dashboard and /metrics show of iterations.

Inside a chunk Dask sees one long task per worker. This module shows what happens in it: the live
iteration number, objective and imbalance, reads and hits of partitions, bytes between the ranks as
gauges of worker and scheduler, and the iterations as stripes on the bars of the task stream.

Whatever of Dask is used here beyond its documented API is used here only, and pinned by tests:
Worker.metrics (numbers that ride on the heartbeats), WorkerState.metrics, TaskState.startstops.
"""

from __future__ import annotations

import contextlib
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distributed import Client, Scheduler, SchedulerPlugin, Worker, WorkerPlugin, get_worker

from pipelines.engine import pinned
from pipelines.engine.contract import shown_name

GAUGES = {
    "whorl_iteration": "Iterations done by the run that is now, or was last, at work",
    "whorl_objective": "First value that the job records, after its latest iteration",
    "whorl_imbalance": "Seconds of the slowest rank's maps over the mean of all ranks",
    "whorl_partition_source_reads": "Partitions read from their source",
    "whorl_partition_memory_hits": "Uses of a partition out of memory",
    "whorl_partition_disk_hits": "Uses of a partition out of the cache on the disk",
    "whorl_bytes_sent": "Bytes sent to other ranks",
}
MOST_STRIPES = 200  # per task: more would only be noise, and they all pass through the scheduler

Latest = tuple[int, Sequence[float], Mapping[str, float]]

_latest: Latest | None = None
_bytes_sent = 0


def iteration(number: int, seconds: Sequence[float], values: Mapping[str, float]) -> None:
    """An iteration is done here: its number, the seconds of each rank's maps, what it recorded.

    Costs a tenth of a microsecond: what is shown is worked out when somebody looks.
    """
    global _latest
    _latest = (number, seconds, values)


def sent(n_bytes: int) -> None:
    """So many bytes went to other ranks. Called by the one thread that sends."""
    global _bytes_sent
    _bytes_sent += n_bytes


def figures() -> dict[str, float]:
    """The gauges of this process; those of iterations only when there were any."""
    found: dict[str, float] = {}
    if _latest is not None:
        number, seconds, values = _latest
        found["whorl_iteration"] = number
        found["whorl_imbalance"] = imbalance(seconds)
        for value in list(values.values())[:1]:
            found["whorl_objective"] = float(value)
    counts = pinned.cache().totals()
    found["whorl_partition_source_reads"] = counts.source_reads
    found["whorl_partition_memory_hits"] = counts.memory_hits
    found["whorl_partition_disk_hits"] = counts.disk_hits
    found["whorl_bytes_sent"] = _bytes_sent
    return found


def imbalance(seconds: Sequence[float]) -> float:
    """Slowest over mean: 1 is perfect, the number of ranks is the worst."""
    total = sum(seconds)
    return max(seconds) * len(seconds) / total if total > 0 else 1.0


def stripes(exchanges: Sequence[tuple[float, float]]) -> None:
    """Mark the end of each iteration on the bar that the task stream draws for the running task.

    exchanges  (mapped, stopped) of each iteration, seconds since the epoch on this host's clock;
               neighbours are drawn as one where there are more than MOST_STRIPES
    Does nothing outside of a Dask task.
    """
    try:
        worker = get_worker()
        task = worker.state.tasks[worker.get_current_task()]
    except (ValueError, KeyError, AttributeError):
        return
    found = [
        {"action": "transfer", "start": stop - length, "stop": stop}
        for stop, length in _joined(exchanges)
    ]
    task.startstops = _BarFirst([*task.startstops, *found])


def register(client: Client) -> str:
    """Show the figures on all workers of a cluster and its scheduler; name of the worker plugin.

    A scheduler without this package goes without them.
    """
    plugin = ShownOnWorker(f"whorl-visible-{uuid.uuid4().hex}")
    client.register_plugin(plugin, name=plugin.name)
    with contextlib.suppress(Exception):
        client.register_plugin(ShownOnScheduler(), name=ShownOnScheduler.name)
    return plugin.name


class ShownOnWorker(WorkerPlugin):
    """Puts the figures on the worker's heartbeats and into its /metrics, once for all engines."""

    def __init__(self, name: str) -> None:
        self.name = name

    def setup(self, worker: Worker) -> None:
        for name in GAUGES:
            worker.metrics[name] = _figure(name)
        _collector().workers.add(worker)

    def teardown(self, worker: Worker) -> None:
        if any(isinstance(plugin, ShownOnWorker) for plugin in worker.plugins.values()):
            return  # of another engine
        for name in GAUGES:
            worker.metrics.pop(name, None)
        _collector().workers.discard(worker)


class ShownOnScheduler(SchedulerPlugin):
    """Puts what the workers' heartbeats told into the scheduler's /metrics. It stays there."""

    name = "whorl-visible"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        _collector().schedulers.add(scheduler)


class _BarFirst(list[Any]):
    """Dask draws in the order of the list, and adds the bar of the whole task last: it would hide
    the stripes. Here it comes first."""

    def append(self, bar: Any) -> None:
        if bar["action"] == "compute":
            self.insert(0, bar)
        else:
            super().append(bar)


def _joined(exchanges: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """(stop, length) of at most MOST_STRIPES stripes; their lengths add up to those of all."""
    step = max(1, -(-len(exchanges) // MOST_STRIPES))
    for first in range(0, len(exchanges), step):
        group = exchanges[first : first + step]
        yield group[-1][1], sum(stopped - mapped for mapped, stopped in group)


def _figure(name: str) -> Any:
    def ask(worker: Worker) -> float:
        return figures()[name]  # Dask leaves out what raises: there was no iteration yet

    return ask


class _Collector:
    """What prometheus_client asks for the gauges: one per process, for workers and schedulers."""

    def __init__(self) -> None:
        self.workers: weakref.WeakSet[Worker] = weakref.WeakSet()
        self.schedulers: weakref.WeakSet[Scheduler] = weakref.WeakSet()

    def samples(self) -> dict[str, dict[str, float]]:
        """Figures by the worker they are of; 'driver' where the scheduler shares its process."""
        found: dict[str, dict[str, float]] = {}
        for scheduler in list(self.schedulers):
            for state in list(scheduler.workers.values()):
                told = {name: state.metrics[name] for name in GAUGES if name in state.metrics}
                found[shown_name(state.name)] = told
        for worker in list(self.workers):
            found[shown_name(worker.name)] = figures()
        if self.schedulers and not self.workers and _latest is not None:
            found["driver"] = figures()
        return found

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        samples = self.samples()
        for name, text in GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=["worker"])
            for worker, told in samples.items():
                if name in told:
                    gauge.add_metric([worker], told[name])
            yield gauge


_collectors: list[_Collector] = []


def _collector() -> _Collector:
    """The collector of this process, known to prometheus_client from the first call on."""
    if not _collectors:
        import prometheus_client

        _collectors.append(_Collector())
        prometheus_client.REGISTRY.register(_collectors[0])
    return _collectors[0]
