"""Decisions after a failure. Numbers in, decision out; acting on them is the executor's."""

from __future__ import annotations

from enum import Enum

RETRIES = 3  # attempts of one task in all
NO_WORKERS_S = 30.0  # a run without any worker ends after this
ALL_PAUSED_S = 120.0  # workers that are all paused by lack of memory rarely recover
USER_MENDABLE = frozenset({2, 3, 4, 5, 8})  # exit codes: usage, input, space, storage, damage


class Verdict(Enum):
    RETRY = "retry"
    SURFACE = "surface"  # raise the task's own exception: the user can mend it, a retry cannot
    GIVE_UP = "give up"


def after_exception(attempt: int, retries: int, exit_code: int | None) -> Verdict:
    """What to do when attempt number `attempt` (from 1) of at most `retries` raised."""
    if exit_code in USER_MENDABLE:
        return Verdict.SURFACE
    return Verdict.RETRY if attempt < retries else Verdict.GIVE_UP


def is_stalled(without_worker_s: float, all_paused_s: float) -> bool:
    """Whether waiting on for a worker is hopeless."""
    return without_worker_s >= NO_WORKERS_S or all_paused_s >= ALL_PAUSED_S


FRUITLESS = 10  # broken chunks in a row, whatever broke them
LEAST_CHUNK_S = 0.05


def is_hopeless(broken: int) -> bool:
    """Whether to give up after so many broken chunks without one that ended."""
    return broken >= FRUITLESS


def chunk_seconds(wished_s: float, broken: int) -> float:
    """Length of the next chunk: halved with every one that broke, so that something is kept even
    when workers die faster than a chunk ends."""
    return max(min(wished_s, LEAST_CHUNK_S), wished_s / 2**broken)


def bench_seconds(strikes: int) -> float:
    """How long a worker that was benched so many times is left out, at least: a slow one costs
    the others less when it comes back less often."""
    return min(60.0, 2.0**strikes - 2.0)
