"""One contract for every tier, and what memory alone promises."""

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.disk import DiskTier
from storage.errors import KeyMissing, StorageError, TierFull
from storage.memory import MemoryTier

VALUES = [
    [],
    [b""],
    [b"x"],
    [b"a" * 65_536, b"", b"b" * 65_537],
    [np.arange(30_000.0).reshape(100, 300), np.zeros((0, 3), np.float32), np.array(7)],
]


@pytest.fixture(params=["memory", "disk"])
def make(request, tmp_path):
    if request.param == "memory":
        return MemoryTier
    return lambda capacity=None: DiskTier(str(tmp_path / "tier"), capacity)


def read(tier, key):
    return [bytes(view) for view in tier.get(key)]


def as_bytes(buffers):
    return [memoryview(buffer).tobytes() for buffer in buffers]


@pytest.mark.parametrize("value", VALUES)
def test_tier__gives_back_what_was_put(make, value):
    tier = make()
    tier.put("run-1/3", value)
    assert read(tier, "run-1/3") == as_bytes(value)
    with tier.open("run-1/3") as views:
        assert [bytes(view) for view in views] == as_bytes(value)
    assert tier.exists("run-1/3")
    assert tier.size("run-1/3") == sum(len(each) for each in as_bytes(value))


def test_tier__a_second_put_takes_the_place_of_the_first(make):
    tier = make()
    tier.put("a", [b"one" * 1000])
    used = tier.used_bytes
    tier.put("a", [b"one" * 1000])
    assert tier.used_bytes == used
    tier.put("a", [b"2"])
    assert read(tier, "a") == [b"2"]
    assert tier.used_bytes < used


def test_tier__names_itself_and_a_missing_key(make):
    tier = make()
    for ask in (tier.get, tier.size, lambda key: tier.open(key).__enter__()):
        with pytest.raises(KeyMissing, match="holds no a/b") as missing:
            ask("a/b")
        assert (missing.value.tier, missing.value.key) == (tier.name, "a/b")
        assert isinstance(missing.value, KeyError)
    assert not tier.exists("a/b")
    tier.delete("a/b")


def test_tier__is_as_it_was_when_full(make):
    tier = make(3000)
    tier.put("a", [b"a" * 2000])
    with pytest.raises(TierFull, match=r"2\.0 KiB .*do not fit, 2\.\d KiB of 2\.9 KiB") as full:
        tier.put("b", [b"b" * 2000])
    assert (full.value.tier, full.value.key, full.value.exit_code) == (tier.name, "b", 4)
    with pytest.raises(TierFull):
        tier.put("a", [b"a" * 4000])
    assert read(tier, "a") == [b"a" * 2000]
    assert not tier.exists("b")
    tier.put("a", [b"c" * 2500])  # instead of what it had
    tier.delete("a")
    tier.put("b", [b"b" * 2000])


def test_tier__counts_what_it_holds(make):
    tier = make()
    assert tier.used_bytes == 0
    for key in ("a", "b/c"):
        tier.put(key, [b"x" * 5000])
    assert 10_000 <= tier.used_bytes <= 10_200
    tier.delete("a")
    tier.delete("b/c")
    assert tier.used_bytes == 0


def test_tier__buffers_outlive_their_key(make):
    tier = make()
    tier.put("a", [np.arange(100_000)])
    array = np.frombuffer(tier.get("a")[0], np.int64)
    tier.delete("a")
    tier.put("a", [np.zeros(100_000)])
    assert np.array_equal(array, np.arange(100_000))


def test_tier__arrays_on_it_can_be_written_to(make):
    """Numba compiles anew for arrays that are read-only."""
    tier = make()
    tier.put("a", [np.arange(10)])
    with tier.open("a") as (view,):
        assert np.frombuffer(view, np.int64).flags.writeable


def test_tier__survives_pickling(make):
    tier = make(10_000)
    tier.put("a", [b"x"])
    copy = pickle.loads(pickle.dumps(tier))
    assert (copy.name, copy.capacity_bytes) == (tier.name, 10_000)
    copy.put("b", [b"y"])
    assert read(copy, "b") == [b"y"]


@pytest.mark.parametrize("key", ["", "/a", "../a", "a/../b", "a//b"])
def test_tier__refuses_keys_that_lead_elsewhere(make, key):
    with pytest.raises(StorageError, match="is not a key"):
        make().put(key, [b""])


def test_tier__is_whole_for_readers_while_it_is_written(make):
    tier, wrong, stop = make(), [], threading.Event()
    values = [np.full(50_000, number) for number in range(4)]
    tier.put("a", [values[0], values[0]])

    def look():
        while not stop.is_set():
            with tier.open("a") as views:
                found = {int(x) for view in views for x in np.unique(np.frombuffer(view, np.int64))}
            if len(found) != 1:
                wrong.append(found)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        tier.put("a", [values[turn % 4], values[turn % 4]])
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 40))), st.integers(0, 80))
def test_memory_tier__never_holds_more_than_its_capacity(steps, capacity):
    tier, truth = MemoryTier(capacity), {}
    for key, nbytes in steps:
        if nbytes < 0:
            tier.delete(key)
            truth.pop(key, None)
            continue
        fits = sum(truth.values()) - truth.get(key, 0) + nbytes <= capacity
        try:
            tier.put(key, [bytes(nbytes)])
        except TierFull:
            assert not fits
        else:
            assert fits
            truth[key] = nbytes
        assert tier.used_bytes == sum(truth.values()) <= capacity


def test_memory_tier__does_not_copy():
    tier, array = MemoryTier(), np.arange(1000)
    tier.put("a", [array])
    assert np.shares_memory(np.frombuffer(tier.get("a")[0], np.int64), array)


def test_memory_tier__does_not_travel():
    tier = MemoryTier(100)
    tier.put("a", [b"x"])
    copy = pickle.loads(pickle.dumps(tier))
    assert not copy.exists("a")
    assert copy.used_bytes == 0
