"""What the disk tier promises beyond the contract: damage is found, a full disk does no harm."""

import os
import threading

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.disk import ALIGNED, DiskTier, checksum_of
from storage.errors import Damaged, KeyMissing, StorageError, TierFull


@pytest.fixture
def tier(tmp_path):
    return DiskTier(str(tmp_path / "tier"))


def path_of(tier, key):
    return os.path.join(tier.path, key)


def damage(path, change):
    with open(path, "rb") as file:
        content = bytearray(file.read())
    with open(path, "wb") as file:
        file.write(change(content))


def flip(at, bit=0):
    def change(content):
        content[at] ^= 1 << bit
        return content

    return change


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_get__finds_every_damage(tmp_path_factory, data):
    tier = DiskTier(str(tmp_path_factory.mktemp("tier")))
    rng = np.random.default_rng(1)
    buffers = [rng.bytes(size) for size in (70_000, 0, 5, 131_072)]
    tier.put("a", buffers)
    size = os.path.getsize(path_of(tier, "a"))
    kind = data.draw(st.sampled_from(["flip", "cut", "grow", "zero", "swap"]))
    at = data.draw(st.integers(0, size - 1))
    padding = bytes(ALIGNED)
    damage(
        path_of(tier, "a"),
        {
            "flip": flip(at, data.draw(st.integers(0, 7))),
            "cut": lambda content: content[:at],
            "grow": lambda content: content + padding[: 1 + at % 64],
            "zero": lambda content: content[:at] + bytes(len(content[at:])),
            "swap": lambda content: content[at:] + content[:at],
        }[kind],
    )
    try:
        found = [bytes(view) for view in tier.get("a")]
    except Damaged:
        return
    assert found == buffers  # a byte between the buffers, or nothing at all, was changed
    assert kind in ("flip", "swap", "zero")


@pytest.mark.parametrize("ask", ["get", "size", "open"])
def test_damaged__is_told_with_its_place(tier, ask):
    tier.put("a", [b"x" * 100])
    damage(path_of(tier, "a"), lambda content: content[:20] if ask == "size" else content[:-1])
    with pytest.raises(Damaged, match=r"tier/a is not as it was written\.") as damaged:
        tier.open("a").__enter__() if ask == "open" else getattr(tier, ask)("a")
    assert (damaged.value.tier, damaged.value.key, damaged.value.exit_code) == ("disk", "a", 8)
    tier.put("a", [b"y"])
    assert bytes(tier.get("a")[0]) == b"y"


def test_checksum_of__changes_with_the_order_of_blocks_and_words():
    words = np.random.default_rng(2).integers(0, 2**63, 40_000, dtype=np.uint64)
    swapped = words.copy()
    swapped[[3, 9]] = swapped[[9, 3]]
    turned = np.concatenate([words[8192:16384], words[:8192], words[16384:]])
    sums = {checksum_of(memoryview(each).cast("B")) for each in (words, swapped, turned)}
    assert len(sums) == 3


def test_open__gives_its_memory_back_even_while_somebody_looks(tier):
    nbytes = 64 << 20
    tier.put("a", [np.ones(nbytes // 8)])
    me = psutil.Process()
    before = me.memory_info().rss
    with tier.open("a") as views:
        array = np.frombuffer(views[0])
        assert array.sum() == nbytes // 8
        assert me.memory_info().rss - before > 0.9 * nbytes
    assert me.memory_info().rss - before < 0.1 * nbytes
    assert array[-1] == 1  # read once more, not a crash


def test_open__writes_nothing_back(tier):
    tier.put("a", [np.zeros(1000)])
    with tier.open("a") as views:
        np.frombuffer(views[0])[:] = 7
    assert np.frombuffer(tier.get("a")[0]).max() == 0


def test_buffers__start_where_vector_registers_want_them(tier):
    tier.put("a", [b"x", np.arange(3), b"y" * 65, np.arange(9)])
    assert {np.frombuffer(v, np.uint8).ctypes.data % ALIGNED for v in tier.get("a")} == {0}


def test_put__on_a_full_disk_changes_nothing(small_disk):
    tier = DiskTier(str(small_disk / "tier"))
    tier.put("a", [b"a" * 150_000])
    with pytest.raises(TierFull, match=r"tier/b: the disk is full\.") as full:
        tier.put("b", [b"b" * 150_000])
    assert (full.value.tier, full.value.key) == ("disk", "b")
    with pytest.raises(TierFull):
        tier.put("a", [b"c" * 200_000])
    assert os.listdir(tier.path) == ["a"]
    assert bytes(tier.get("a")[0]) == b"a" * 150_000
    tier.delete("a")
    tier.put("b", [b"b" * 150_000])


def test_put__says_other_errors_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/a: (Not a directory|File exists)\."):
        DiskTier(str(tmp_path / "file")).put("a", [b""])


def test_remove__takes_the_folder_away(tier):
    tier.put("a/b", [b"x"])
    tier.remove()
    assert not os.path.exists(tier.path)
    tier.remove()
    with pytest.raises(KeyMissing):
        tier.get("a/b")
    tier.put("a/b", [b"x"])


def test_folder__is_for_nobody_else(tier):
    tier.put("a", [b"x"])
    assert os.stat(tier.path).st_mode & 0o077 == 0


def test_many_threads__put_and_read_their_own(tier):
    failed = []

    def work(number):
        try:
            for turn in range(20):
                value = np.full(20_000, number * 100 + turn)
                tier.put(f"part-{number}", [value])
                with tier.open(f"part-{number}") as views:
                    assert np.array_equal(np.frombuffer(views[0], np.int64), value)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
