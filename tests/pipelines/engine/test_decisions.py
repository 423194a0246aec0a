"""The pure decisions: retries, memory, the merge tree, keys, the choice of the executor."""

import pickle

import pytest
from dask.utils import key_split

from pipelines.engine import MemoryRefused, TaskFailed, refuse_if_too_big
from pipelines.engine.connect import choose_executor, for_protocol
from pipelines.engine.contract import prefix_of
from pipelines.engine.memory import CacheSize, in_words, worker_limit
from pipelines.engine.retry import (
    Verdict,
    after_exception,
    bench_seconds,
    chunk_seconds,
    is_hopeless,
    is_stalled,
)
from pipelines.engine.tree import reduce_pairwise
from pipelines.engine.window import dashboard_key


@pytest.mark.parametrize(
    ("attempt", "exit_code", "verdict"),
    [
        (1, None, Verdict.RETRY),
        (2, 6, Verdict.RETRY),
        (3, None, Verdict.GIVE_UP),
        (1, 4, Verdict.SURFACE),
        (3, 5, Verdict.SURFACE),
    ],
)
def test_after_exception__retries_what_the_user_cannot_mend(attempt, exit_code, verdict):
    assert after_exception(attempt, 3, exit_code) is verdict


def test_is_stalled__gives_absent_workers_half_a_minute():
    assert not is_stalled(29.9, 0)
    assert is_stalled(30, 0)
    assert is_stalled(0, 120)


def test_refuse_if_too_big__shows_the_arithmetic():
    with pytest.raises(MemoryRefused) as refused:
        refuse_if_too_big(2**30, 2, 4, 2**28, 2**28, 2**32)
    assert str(refused.value) == (
        "a worker needs 8.5 GiB (256 MiB base + 256 MiB broadcast + 2 x 4 threads x "
        "1.0 GiB block), its limit is 4.0 GiB."
    )
    assert refused.value.exit_code == 4
    assert "--block-size" in refused.value.remedy


@pytest.mark.parametrize("limit", [None, 0, 1000])
def test_refuse_if_too_big__accepts_what_fits(limit):
    assert refuse_if_too_big(100, 2, 2, 300, 300, limit) == 1000


def test_worker_limit__leaves_room_for_the_driver():
    assert worker_limit(8 * 2**30, 2) == (8 * 2**30 - 2**29) // 2
    assert worker_limit(2**30, 1) == 3 * 2**28


def test_in_words__uses_binary_units():
    assert [in_words(n) for n in (17, 2048, 20 * 2**20, 3 * 2**29)] == [
        "17 B",
        "2.0 KiB",
        "20 MiB",
        "1.5 GiB",
    ]


def test_reduce_pairwise__merges_neighbours_level_by_level():
    assert reduce_pairwise(lambda a, b: f"({a}{b})", "abcde") == "(((ab)(cd))e)"
    assert reduce_pairwise(min, [7]) == 7


def test_reduce_pairwise__refuses_nothing():
    with pytest.raises(ValueError, match="no parts"):
        reduce_pairwise(min, [])


@pytest.mark.parametrize(
    ("key", "group"),
    [
        ("swg-distance-0-1", "swg_distance"),
        ("kmeans-assign-12", "kmeans-assign"),
        ("merge", "merge"),
        ("block-3-decade-4", "block"),
    ],
)
def test_dashboard_key__groups_by_its_words_whatever_run_and_attempt(key, group):
    keys = {dashboard_key(key, attempt, run) for attempt in (1, 2) for run in ("abcdef", "12cd34")}
    assert len(keys) == 4
    assert {key_split(dask_key) for dask_key in keys} == {group}


def test_prefix_of__stops_at_the_first_number():
    assert prefix_of("swg-distance-0-1") == "swg-distance"
    assert prefix_of("7-up") == "7-up"


@pytest.mark.parametrize(
    ("executor", "nworkers", "given", "seconds", "expected"),
    [
        ("auto", None, False, 0.5, "serial"),
        ("auto", None, False, 2.5, "tasks"),
        ("auto", None, False, None, "tasks"),
        ("auto", 1, False, 0.5, "tasks"),
        ("auto", None, True, 0.5, "tasks"),
        ("serial", None, False, 100, "serial"),
        ("tasks", None, False, 0.1, "tasks"),
    ],
)
def test_choose_executor__takes_serial_for_short_work(executor, nworkers, given, seconds, expected):
    name, reason = choose_executor(executor, nworkers, given, seconds)
    assert name == expected
    assert reason


def test_choose_executor__refuses_unknown_names():
    with pytest.raises(ValueError, match="auto, serial, tasks or gang"):
        choose_executor("spark", None, False, None)


@pytest.mark.parametrize(
    ("executor", "nworkers", "given", "seconds", "expected"),
    [
        ("auto", None, False, 0.5, "serial"),
        ("auto", None, False, 60, "gang"),
        ("auto", 2, False, 0.5, "gang"),
        ("auto", None, True, 0.5, "gang"),
        ("tasks", None, False, 60, "tasks"),
        ("gang", None, False, 0.1, "gang"),
    ],
)
def test_choose_executor__takes_a_gang_for_iterations(executor, nworkers, given, seconds, expected):
    assert choose_executor(executor, nworkers, given, seconds, iterative=True)[0] == expected


def test_for_protocol__leaves_clusters_without_tcp_to_tasks():
    assert for_protocol("gang", "asked for", "tls://10.0.0.1:8786") == ("gang", "asked for")
    assert for_protocol("serial", "asked for", "") == ("serial", "asked for")
    name, reason = for_protocol("gang", "asked for", "ucx://10.0.0.1:8786")
    assert name == "tasks"
    assert "speaks ucx" in reason


def test_chunk_seconds__are_halved_by_every_chunk_that_broke():
    assert [chunk_seconds(2.0, broken) for broken in (0, 1, 3, 9)] == [2.0, 1.0, 0.25, 0.05]
    assert chunk_seconds(0.0, 4) == 0.0


def test_is_hopeless__after_ten_broken_chunks():
    assert not is_hopeless(9)
    assert is_hopeless(10)


def test_bench_seconds__grow_with_every_strike():
    assert [bench_seconds(strikes) for strikes in (1, 2, 3, 20)] == [0, 2, 6, 60]


def test_cache_size__is_half_the_limit_or_what_is_asked_for():
    assert CacheSize().memory_bytes(1000) == 500
    assert CacheSize().memory_bytes(None) is None
    assert CacheSize(None).memory_bytes(1000) is None
    assert CacheSize("64MiB").memory_bytes(1000) == 64 * 2**20
    assert CacheSize(4096).memory_bytes(None) == 4096
    with pytest.raises(ValueError, match="Could not interpret"):
        CacheSize("much").memory_bytes(None)


def test_task_failed__survives_pickling():
    failed = pickle.loads(pickle.dumps(TaskFailed("a-1", "worker-0", "ValueError: no", 3)))
    assert str(failed) == "a-1 failed 3 times, last on worker-0: ValueError: no"
    assert failed.exit_code == 6
