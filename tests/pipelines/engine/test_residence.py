"""The cache of partitions on disks that are full or damaged, and with many threads."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.errors import PartitionMissing
from pipelines.engine.pinned import PartitionCache
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


def damage(folder):
    (path,) = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    with open(path, "r+b") as file:
        file.seek(500)
        file.write(b"damage")


def remove(folder):
    for parent, _, names in os.walk(folder):
        for name in names:
            os.unlink(os.path.join(parent, name))


@pytest.mark.parametrize("harm", [damage, remove])
def test_use__of_a_damaged_file_reads_the_source_again(source, tmp_path, harm):
    cache = filled(source, 1, 0, tmp_path)
    sweep(cache, 1)
    harm(tmp_path)
    sweep(cache, 1, times=3)
    counts = cache.counts(KEY)
    assert (counts.source_reads, counts.damaged, counts.disk_hits) == (2, 1, 3)
    assert len(counts.notes) == 1
    assert "The source was read again." in counts.notes[0]


def test_full_disk__is_told_once_and_the_source_read_again(source, small_disk, caplog):
    cache = filled(source, 40, 2 * NBYTES, small_disk)
    assert len(files(small_disk)) < 35
    sweep(cache, 40, times=2)
    counts = cache.counts(KEY)
    assert counts.memory_hits == 4
    on_disk = counts.spilled_bytes // NBYTES
    assert counts.disk_hits == 2 * on_disk
    assert counts.source_reads == 40 + 2 * (38 - on_disk)
    assert len(caplog.messages) == len(counts.notes) == 1
    assert "the disk is full" in counts.notes[0]


def test_unusable_disk__is_told_once(source, tmp_path):
    (tmp_path / "file").write_text("")
    cache = filled(source, 3, 0, tmp_path / "file")
    sweep(cache, 3)
    assert cache.counts(KEY).source_reads == 6
    assert len(cache.counts(KEY).notes) == 1


def in_threads(n, work):
    failed = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_many_threads__load_and_use_the_same_partitions(source, tmp_path):
    cache = PartitionCache(5 * NBYTES, str(tmp_path))

    def work(number):
        for turn in range(3):
            for step in range(16):
                index = (step * 5 + number) % 16
                cache.load(KEY, index, source, index)
                with cache.use(KEY, index) as partition:
                    assert np.array_equal(partition.data, truth(index))
                    busy = partition.memory.setdefault("busy", [])
                    busy.append(turn)
                    assert len(busy) == 1
                    busy.clear()

    in_threads(8, work)
    assert sorted(source.reads) == list(range(16))
    assert cache.counts(KEY).source_reads == 16


def test_many_threads__drop_and_load_meanwhile(source, tmp_path):
    cache = PartitionCache(3 * NBYTES, str(tmp_path))

    def work(number):
        draw = np.random.default_rng(number)
        for _ in range(60):
            index = int(draw.integers(8))
            cache.load(KEY, index, source, index)
            try:
                with cache.use(KEY, index) as partition:
                    partition.memory["kept"] = np.zeros(int(draw.integers(ROWS)))
                    assert np.array_equal(partition.data, truth(index))
            except PartitionMissing:
                pass
            if draw.random() < 0.3:
                cache.drop(KEY, [index])

    in_threads(6, work)
    cache.close()
    residence = cache._residence
    assert residence._memory.used_bytes == residence._memory_bytes == 0
    assert files(tmp_path) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["load", "use", "drop", "limit"]), st.integers(0, 7)),
        max_size=40,
    ),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_cache__is_right_and_within_its_limit_whatever_happens(tmp_path_factory, steps, has_disk):
    folder = str(tmp_path_factory.mktemp("cache")) if has_disk else None
    cache, loaded, source = PartitionCache(2 * NBYTES, folder), set(), Source()
    limit = 2
    for action, index in steps:
        if action == "load":
            cache.load(KEY, index, source, index)
            loaded.add(index)
        elif action == "use" and index in loaded:
            with cache.use(KEY, index) as partition:
                assert np.array_equal(partition.data, truth(index))
                partition.memory["kept"] = np.zeros(index * 100)
        elif action == "drop":
            cache.drop(KEY, [index])
            loaded.discard(index)
        elif action == "limit":
            limit = index
            cache.configure(index * NBYTES, folder)
        assert set(cache.held(KEY)) == loaded
        residence = cache._residence
        kept = residence._memory_bytes
        assert residence._memory.used_bytes <= max(0, limit * NBYTES - kept)
    cache.close()
    assert residence_is_empty(cache, folder)


def residence_is_empty(cache, folder):
    residence = cache._residence
    used = residence._memory.used_bytes + residence._memory_bytes
    return used == 0 and (folder is None or files(folder) == [])
