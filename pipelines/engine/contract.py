"""What every executor offers. SerialEngine defines the meaning, tests run over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipelines.engine.broadcast import Broadcast
from pipelines.engine.events import Listener


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
        """'serial' or 'tasks'."""

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
