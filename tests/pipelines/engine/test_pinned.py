"""The cache of partitions: each read once, as it was, wherever it lies."""

import os
import time

import numpy as np
import pytest

from pipelines.engine import pinned
from pipelines.engine.errors import EngineError, PartitionMissing
from pipelines.engine.pinned import Counts, PartitionCache
from tests.pipelines.engine.jobs import DiskFull
from tests.pipelines.engine.partition_sources import (
    KEY,
    NBYTES,
    ROWS,
    Source,
    files,
    filled,
    sweep,
    truth,
)


@pytest.fixture
def source():
    return Source()


def test_load__reads_once_and_tells_where_it_lies(source, tmp_path):
    cache = PartitionCache(NBYTES + 1, str(tmp_path))
    first, second = (cache.load(KEY, index, source, index) for index in (0, 1))
    assert (first.nbytes, first.tier, second.tier) == (NBYTES, "memory", "disk")
    assert first.seconds > 0
    again = cache.load(KEY, 1, source, 1)
    assert (again.nbytes, again.seconds, again.tier) == (NBYTES, 0, "disk")
    assert source.reads == [0, 1]
    assert cache.held(KEY) == {0: NBYTES, 1: NBYTES}
    assert cache.held("other") == {}


@pytest.mark.parametrize(
    ("in_memory", "on_disk", "expected"),
    [
        (8, True, Counts(8, 24, 0, 0)),
        (2, True, Counts(8, 6, 18, 6 * NBYTES)),
        (0, True, Counts(8, 0, 24, 8 * NBYTES)),
        (None, True, Counts(8, 24, 0, 0)),
        (2, False, Counts(8 + 18, 6, 0, 0)),
        (None, False, Counts(8, 24, 0, 0)),
    ],
)
def test_use__of_all_again_and_again(source, tmp_path, in_memory, on_disk, expected):
    memory_bytes = None if in_memory is None else in_memory * NBYTES
    cache = filled(source, 8, memory_bytes, tmp_path if on_disk else None)
    sweep(cache, 8, times=3)
    assert cache.counts(KEY) == expected
    assert len(source.reads) == expected.source_reads
    assert len(files(tmp_path)) == expected.spilled_bytes // NBYTES


@pytest.mark.parametrize("memory_bytes", [None, 0])
@pytest.mark.parametrize(
    "data",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(20)[::2],
        np.zeros((0, 5), np.int16),
        np.array(3.5),
        np.array(["2020-01-01"], "datetime64[D]"),
        {"points": np.ones((3, 2), np.float32), "weights": np.arange(3.0)},
        {},
    ],
    ids=lambda data: str(getattr(data, "shape", "dict")),
)
def test_use__gives_arrays_as_they_were_loaded(tmp_path, memory_bytes, data):
    cache = PartitionCache(memory_bytes, str(tmp_path))
    cache.load(KEY, 0, lambda _: data, None)
    with cache.use(KEY, 0) as partition:
        pairs = [(partition.data, data)]
        if isinstance(data, dict):
            assert list(partition.data) == list(data)
            pairs = [(partition.data[name], data[name]) for name in data]
        for found, expected in pairs:
            assert found.dtype == expected.dtype
            assert np.array_equal(found, expected)
            assert found.flags.writeable
            assert found.flags.f_contiguous or not expected.flags.f_contiguous


def test_load__keeps_nothing_that_it_does_not_need(tmp_path):
    np.save(tmp_path / "points.npy", np.arange(1000.0))
    on_file = np.load(tmp_path / "points.npy", mmap_mode="r+")
    large, alone, fixed = np.zeros(10_000), np.zeros(10), np.frombuffer(bytes(80))
    sources = [on_file[:10], large[:10], fixed, alone, alone.reshape(2, 5)]
    cache = PartitionCache()
    for index, source in enumerate(sources):
        cache.load(KEY, index, lambda source: source, source)
    for index, source in enumerate(sources):
        with cache.use(KEY, index) as partition:
            assert type(partition.data) is np.ndarray
            assert np.shares_memory(partition.data, source) == (index >= 3)


@pytest.mark.parametrize("data", [[1, 2], None, np.array([None]), {"a": "b"}])
def test_load__refuses_what_is_not_an_array(data):
    with pytest.raises(TypeError, match=r"load\('file'\) returned .*: an array or a dict"):
        PartitionCache().load(KEY, 0, lambda _: data, "file")


def test_load__that_failed_can_be_tried_again(source):
    cache = PartitionCache()

    def fail(_):
        raise DiskFull("no")

    with pytest.raises(DiskFull):
        cache.load(KEY, 0, fail, 0)
    assert cache.held(KEY) == {}
    with pytest.raises(PartitionMissing):
        cache.use(KEY, 0)
    cache.load(KEY, 0, source, 0)
    sweep(cache, 1)


def test_use__of_what_is_not_held(source):
    cache = filled(source, 2, None, None)
    with pytest.raises(EngineError, match="partition 7 of points is not held here"):
        cache.use(KEY, 7)
    cache.drop(KEY, [1])
    with pytest.raises(PartitionMissing):
        cache.use(KEY, 1)


@pytest.mark.parametrize("memory_bytes", [None, 0])
def test_memory__stays_with_the_partition_and_is_emptied_by_an_error(
    source, tmp_path, memory_bytes
):
    cache = filled(source, 1, memory_bytes, tmp_path)
    with cache.use(KEY, 0) as partition:
        partition.memory["bounds"] = np.ones(3)
    with cache.use(KEY, 0) as partition:
        assert np.array_equal(partition.memory["bounds"], np.ones(3))
    with pytest.raises(RuntimeError), cache.use(KEY, 0):
        raise RuntimeError
    with cache.use(KEY, 0) as partition:
        assert partition.memory == {}
        partition.memory["bounds"] = np.ones(3)
    cache.drop(KEY, [0])
    cache.load(KEY, 0, source, 0)
    with cache.use(KEY, 0) as partition:
        assert partition.memory == {}


def test_memory__counts_and_data_make_room_for_it_once(source, tmp_path):
    cache = filled(source, 4, 4 * NBYTES, tmp_path)
    for _ in range(5):
        for index in range(4):
            with cache.use(KEY, index) as partition:
                partition.memory["bounds"] = (np.zeros(ROWS // 4), {"labels": np.zeros(ROWS // 8)})
        sweep(cache, 4)
    assert cache.counts(KEY).spilled_bytes == 2 * NBYTES
    assert len(files(tmp_path)) == 2
    assert source.reads == [0, 1, 2, 3]


def test_configure__spills_what_is_over_a_smaller_limit_and_takes_it_back(source, tmp_path):
    cache = filled(source, 4, None, None)
    cache.configure(NBYTES, str(tmp_path))
    assert len(files(tmp_path)) == 3
    sweep(cache, 4)
    cache.configure(3 * NBYTES, str(tmp_path))
    sweep(cache, 4, times=2)
    assert len(files(tmp_path)) == 1
    assert source.reads == [0, 1, 2, 3]


def test_drop__makes_room_that_is_used_again(source, tmp_path):
    cache = filled(source, 4, 2 * NBYTES, tmp_path)
    cache.drop(KEY, [0])
    assert cache.held(KEY) == dict.fromkeys((1, 2, 3), NBYTES)
    for _ in range(3):
        for index in (1, 2, 3):
            with cache.use(KEY, index) as partition:
                assert np.array_equal(partition.data, truth(index))
    counts = cache.counts(KEY)
    assert (counts.disk_hits, counts.memory_hits) == (4, 5)
    assert len(files(tmp_path)) == 1


def test_drop_and_close__leave_no_files(source, tmp_path):
    cache = filled(source, 4, NBYTES, tmp_path)
    cache.load("other", 0, source, 0)
    assert len(files(tmp_path)) == 4
    cache.drop(KEY)
    assert len(files(tmp_path)) == 1
    assert cache.counts(KEY) == Counts()
    assert cache.totals() == Counts(5, 0, 0, 4 * NBYTES)
    cache.drop("other")
    assert os.listdir(tmp_path) == []
    filled_again = [cache.load(KEY, index, source, index) for index in range(3)]
    assert [loaded.tier for loaded in filled_again] == ["memory", "disk", "disk"]
    sweep(cache, 3)
    cache.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("memory_bytes", [None, 0])
def test_drop__lets_whoever_uses_a_partition_go_on(source, tmp_path, memory_bytes):
    cache = filled(source, 1, memory_bytes, tmp_path)
    with cache.use(KEY, 0) as partition:
        cache.drop(KEY)
        cache.load(KEY, 0, source, 0)
        partition.memory["late"] = np.ones(3)
        assert np.array_equal(partition.data, truth(0))
    with cache.use(KEY, 0) as partition:
        assert partition.memory == {}


def test_use__costs_microseconds_when_in_memory(source):
    cache = filled(source, 1, 10 * NBYTES, None)
    started = time.thread_time()
    for _ in range(2000):
        with cache.use(KEY, 0):
            pass
    assert (time.thread_time() - started) / 2000 < 20e-6


def test_cache__is_one_per_process(source, tmp_path):
    try:
        pinned.configure(0, str(tmp_path))
        pinned.cache().load("test-pinned", 0, source, 0)
        assert pinned.cache() is pinned.cache()
        assert len(files(tmp_path)) == 1
    finally:
        pinned.cache().close()
        pinned.configure(None, None)
