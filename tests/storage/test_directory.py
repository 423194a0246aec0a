"""What a directory promises beyond the contract: nothing half-written, also on a full disk."""

import errno
import os
import threading

import pytest

from storage.directory import TEMPORARY, Directory, replace_file, temporary_name
from storage.errors import NoSpace, StorageError


def test_put__leaves_no_temporary_name(tmp_path):
    folder = Directory(str(tmp_path))
    folder.put("c/0/1", b"x" * 1000)
    assert sorted(os.listdir(tmp_path / "c/0")) == ["1"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_put__keeps_the_old_bytes_when_a_step_fails(tmp_path, monkeypatch, step):
    folder = Directory(str(tmp_path))
    folder.put("a", b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(NoSpace, match=r"a: the disk is full\."):
        folder.put("a", b"new")
    monkeypatch.undo()
    assert folder.get("a") == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_put__says_errors_of_the_file_system_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/x: (Not a directory|File exists)\."):
        Directory(str(tmp_path)).put("file/x", b"")


def test_put_if_absent__has_one_winner_among_threads(tmp_path):
    folder = Directory(str(tmp_path))
    won = []

    def race(name):
        if folder.put_if_absent("lock", name):
            won.append(name)

    threads = [threading.Thread(target=race, args=(b"%d" % k * 1000,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert folder.get("lock") == won[0]
    assert folder.names() == ["lock"]


def test_put_if_absent__works_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    folder = Directory(str(tmp_path))
    assert folder.put_if_absent("lock", b"1")
    assert not folder.put_if_absent("lock", b"2")
    assert folder.get("lock") == b"1"


def test_sweep__removes_temporary_names_and_nothing_else(tmp_path):
    folder = Directory(str(tmp_path))
    folder.put("c/0/1", b"x")
    left = temporary_name(str(tmp_path / "c/0/2"))
    assert TEMPORARY.fullmatch(os.path.basename(left))
    open(left, "w").close()
    (tmp_path / ".hidden.tmp").write_text("")
    assert folder.list() == [".hidden.tmp", "c/0/1"]
    assert folder.sweep() == 1
    assert not os.path.exists(left)
    assert folder.list() == [".hidden.tmp", "c/0/1"]


def test_rename_tree__refuses_a_name_that_is_taken(tmp_path):
    folder = Directory(str(tmp_path))
    folder.put("old/1", b"x")
    folder.put("new/1", b"y")
    with pytest.raises(StorageError, match="new: Directory not empty"):
        folder.rename_tree("old", "new")
    folder.rename_tree("old", "newer")
    assert folder.list() == ["new/1", "newer/1"]


def test_replace_file__leaves_nothing_when_the_block_raises(tmp_path):
    def fail_half_way():
        with replace_file(str(tmp_path / "a")) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_put__on_a_full_disk_leaves_what_was_whole(small_disk):
    folder = Directory(str(small_disk))
    folder.put("a", b"1" * 100_000)
    with pytest.raises(NoSpace, match="the disk is full"):
        folder.put("b", b"2" * 200_000)
    assert folder.list() == ["a"]
    assert os.listdir(small_disk) == ["a"]
    folder.delete("a")
    folder.put("b", b"2" * 200_000)
    assert folder.size("b") == 200_000


def test_replace_file__takes_a_name_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replace_file("out.npy") as file:
        file.write(b"x")
    assert (tmp_path / "out.npy").read_bytes() == b"x"
