"""What every executor offers. SerialEngine defines the meaning, tests run over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipelines.engine.broadcast import Broadcast
from pipelines.engine.events import Event, Listener
from pipelines.engine.job import Chunk, ChunkDone
from pipelines.engine.partitions import Partitions


@dataclass(frozen=True)
class WorkerInfo:
    """A worker as its engine sees it. memory_limit_bytes 0 means no limit."""

    name: str
    address: str
    host: str
    nthreads: int
    memory_limit_bytes: int
    versions: dict[str, str] = field(default_factory=dict)
    cpu: str = ""


class Engine(Protocol):
    """connect() returns one; it is its own context manager."""

    @property
    def name(self) -> str:
        """'serial', 'tasks' or 'gang'."""

    @property
    def reason(self) -> str:
        """Why this executor was chosen."""

    @property
    def dashboard(self) -> str | None:
        """Link of the Dask dashboard."""

    @property
    def slots(self) -> int:
        """Tasks that run at the same time."""

    @property
    def workers(self) -> list[WorkerInfo]:
        """The workers of this moment, ordered by name."""

    @property
    def cpu_warning(self) -> str | None:
        """One line when the workers' CPU targets differ: floating-point bytes may then differ."""

    def run_everywhere(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """function(*args) once on every worker, now and on each that joins later before its first
        task. Returns worker name -> result of those here now. Raises what function raises."""

    def listen(self, listener: Listener) -> None:
        """Tell this listener too, from now on."""

    def tell(self, event: Event) -> None:
        """Tell the listeners."""

    def broadcast(self, value: Any) -> Broadcast:
        """Send value to every worker once, those that join later too. Forgotten at close()."""

    def map(
        self,
        function: Callable[..., Any],
        items: Iterable[Any],
        *args: Any,
        key: Callable[[Any], str],
        retries: int = 3,
        window: int | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """(item, function(item, *args)) as they complete (serial: in the order given).

        key(item)   unique name of the task, words then numbers: 'swg-distance-0-1'
        retries     attempts of one task in all; the death of a worker does not count
        window      tasks submitted at a time, default 3 per slot + 2
        Raises TaskFailed after the last attempt; an exception that carries an exit_code the user
        can mend (2-5, 8) is raised as itself at once. EngineError when all workers are gone.
        """

    def reduce(self, merge: Callable[[Any, Any], Any], parts: Iterable[Any]) -> Any:
        """merge(left, right) over the fixed pairwise tree of `tree.py`: the same bits everywhere.

        For small partial results: the merging is done by the driver.
        """

    def partitions(
        self,
        load: Callable[[Any], Any],
        sources: Sequence[Any],
        *,
        costs: Sequence[float] | None = None,
        key: str = "partition",
        replicas: int = 1,
    ) -> Partitions:
        """Loop-invariant data in pieces, each loaded by a task on the worker that keeps it.

        load(source) -> array or dict of arrays; called once per partition as long as its worker
        lives. Workers hold contiguous runs, balanced by costs (default: all the same), `replicas`
        copies each where there are so many workers.
        Raises TaskFailed after three attempts, what the user can mend as itself, EngineError when
        all workers are gone.
        """

    def release(self, partitions: Partitions) -> None:
        """Forget the partitions on all workers. They cannot be used any more."""

    def partition_facts(self, partitions: Partitions) -> dict[str, int]:
        """For run.json: partitions, bytes, source_reads, memory_hits, disk_hits, spilled_bytes,
        moved, reloaded; counted on workers that are gone by now, too."""

    def map_partitions(
        self, function: Callable[..., Any], partitions: Partitions, *args: Any, key: str = "map"
    ) -> list[Any]:
        """[function(partition, *args) for each], in order. Three attempts of each, then TaskFailed
        that names the partition; the death of a worker does not count. Broadcast handles among
        args are passed on: the function reads their value."""

    def run_chunk(self, partitions: Partitions, chunk: Chunk) -> ChunkDone:
        """Iterations from chunk.state until the budget is spent or the job ends; at least one.

        For iterate(). Raises LeafFailed when a map raised, ChunkBroken when the chunk is to be
        tried again from its state.
        """

    def spmd(self, function: Callable[..., Any], partitions: Partitions, *args: Any) -> list[Any]:
        """function(comm, [partition, ...], *args) once on every rank with the partitions it
        holds; results by rank. Serial is one rank; tasks cannot: EngineError."""

    def performance_report(self, path: str) -> AbstractContextManager[None]:
        """Write Dask's offline HTML report of what ran inside to path; serial writes none."""

    def close(self) -> None:
        """Release everything within 5 s. May be called twice, and from an exception."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *exception: object) -> None: ...


def prefix_of(key: str) -> str:
    """The words that a key starts with: 'swg-distance' of 'swg-distance-0-1'."""
    words = []
    for word in key.split("-"):
        if not word.replace("_", "").isalpha():
            break
        words.append(word)
    return "-".join(words) or key


def shown_name(name: Any) -> str:
    """Local workers are numbered by Dask, others have names or addresses."""
    return f"worker-{name}" if isinstance(name, int) else str(name)
