"""One attempt of one task, the same in the driver's process and on a worker."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.engine.errors import TaskFailed
from pipelines.engine.retry import Verdict, after_exception


@dataclass(frozen=True)
class Outcome:
    """What a finished attempt returns: its result and when it ran (seconds since the epoch)."""

    result: Any
    worker: str
    started: float
    stopped: float


class AttemptFailed(Exception):
    """An attempt raised. Holds strings and bytes only, so that it pickles whatever was raised."""

    def __init__(self, worker: str, error: str, lines: str, exit_code: int | None, original: bytes):
        super().__init__(worker, error, lines, exit_code, original)
        self.worker, self.error, self.lines = worker, error, lines
        self.exit_code_of_original, self.original = exit_code, original

    def __str__(self) -> str:
        return f"{self.error} (on {self.worker})"

    def unpack(self) -> BaseException | None:
        """The exception that was raised, or None when it does not pickle."""
        if self.__cause__ is not None:
            return self.__cause__
        try:
            original = pickle.loads(self.original)
        except Exception:
            return None
        return original if isinstance(original, BaseException) else None


@dataclass(frozen=True)
class Attempt:
    """function(item, *args), timed; an exception leaves as AttemptFailed."""

    function: Callable[..., Any]
    item: Any
    args: tuple[Any, ...]

    def run(self, worker: str) -> Outcome:
        started = time.time()
        try:
            result = self.function(self.item, *self.args)
        except Exception as error:
            raise packed(error, worker) from error
        return Outcome(result, worker, started, time.time())


def packed(error: Exception, worker: str) -> AttemptFailed:
    """The exception as it travels from a worker to the driver."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    lines = "".join(traceback.format_exception(error))
    exit_code = getattr(error, "exit_code", None)
    try:
        original = pickle.dumps(error)
    except Exception:
        original = b""
    return AttemptFailed(worker, text, lines, exit_code, original)


def raise_unless_retried(failure: AttemptFailed, key: str, attempt: int, retries: int) -> None:
    """Return when another attempt is due; else raise what the caller of map() shall see."""
    exit_code = failure.exit_code_of_original
    verdict = after_exception(attempt, retries, exit_code)
    if verdict is Verdict.RETRY:
        return
    original = failure.unpack()
    if verdict is Verdict.SURFACE and original is not None:
        raise original
    failed = TaskFailed(key, failure.worker, failure.error, attempt)
    failed.traceback_text = failure.lines
    if verdict is Verdict.SURFACE and exit_code is not None:
        failed.exit_code = exit_code
    if isinstance(original, MemoryError):
        failed.exit_code = 4
        failed.remedy = "Use a smaller --block-size, fewer --nthreads, or a larger --memory-limit."
    raise failed from original
