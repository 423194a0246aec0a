"""One contract for every kind of folder, and what only one kind has."""

import pickle
import secrets

import pytest

from storage import folder as folder_module
from storage.errors import KeyMissing, NoSpace, StorageError
from storage.folder import open_folder, readable_bytes, require_space, split_url


@pytest.fixture(params=["directory", "memory", "s3"])
def folder(request, tmp_path):
    if request.param == "directory":
        return open_folder(str(tmp_path / "out"))
    if request.param == "memory":
        return open_folder(f"memory://{secrets.token_hex(4)}/out")
    return open_folder(request.getfixturevalue("s3") + "/deep/out")


def test_folder__gives_back_what_was_put(folder):
    folder.put("a/b/c.bin", b"\x00one")
    folder.put("a/b/c.bin", b"two")
    assert folder.get("a/b/c.bin") == b"two"
    assert folder.size("a/b/c.bin") == 3
    assert folder.exists("a/b/c.bin")
    assert folder.exists("a/b")
    assert not folder.exists("a/x")


def test_folder__takes_data_in_parts_and_all_of_it_or_nothing(folder):
    folder.put_parts("a/b.bin", (bytes([k]) * 3 for k in range(3)))
    assert folder.get("a/b.bin") == b"\0\0\0\1\1\1\2\2\2"
    folder.put_parts("a/b.bin", [])
    assert folder.get("a/b.bin") == b""

    def broken():
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        folder.put_parts("a/c.bin", broken())
    assert folder.list() == ["a/b.bin"]


def test_folder__names_a_missing_key_and_its_place(folder):
    with pytest.raises(KeyMissing, match=r"out holds no x/y\."):
        folder.get("x/y")
    with pytest.raises(KeyError):
        folder.size("x/y")
    folder.delete("x/y")
    folder.delete_tree("x")


def test_folder__lists_sorted_keys_below_a_prefix(folder):
    assert folder.list() == []
    assert folder.names() == []
    for key in ("b", "a/2", "a/10", "ab/1"):
        folder.put(key, b"")
    assert folder.list() == ["a/10", "a/2", "ab/1", "b"]
    assert folder.list("a") == ["a/10", "a/2"]
    assert folder.names() == ["a", "ab", "b"]


def test_folder__deletes_a_tree_and_nothing_beside_it(folder):
    for key in ("a/1", "a/b/2", "ab/1"):
        folder.put(key, b"x")
    folder.delete_tree("a")
    assert folder.list() == ["ab/1"]
    folder.delete_tree("")
    assert folder.list() == []


def test_folder__put_if_absent_has_one_winner(folder):
    assert folder.put_if_absent("lock", b"first")
    assert not folder.put_if_absent("lock", b"second")
    assert folder.get("lock") == b"first"


def test_folder__get_many_leaves_missing_keys_out(folder):
    folder.put("a", b"1")
    folder.put("b", b"2")
    assert folder.get_many(["a", "x", "b"]) == {"a": b"1", "b": b"2"}
    assert folder.get_many([]) == {}


def test_folder__works_after_pickling(folder):
    folder.put("a", b"1")
    copy = pickle.loads(pickle.dumps(folder))
    copy.put("b", b"2")
    assert folder.get("b") == b"2"


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a/", "a\0b"])
def test_folder__refuses_keys_that_leave_it(folder, key):
    with pytest.raises(StorageError, match="is not a key"):
        folder.put(key, b"x")


def test_open_folder__takes_paths_and_file_urls_as_directories(tmp_path):
    assert open_folder(str(tmp_path)).is_local
    assert open_folder(f"file://{tmp_path}").path == str(tmp_path)
    assert split_url("s3://b/x") == ("s3", "b/x")
    assert not open_folder("s3://b/x").is_local


def test_open_folder__says_that_a_protocol_is_unknown():
    with pytest.raises(StorageError, match='"nonsense" is not a known protocol'):
        open_folder("nonsense://x").names()


def test_require_space__tells_need_and_free_bytes(tmp_path, monkeypatch):
    folder = open_folder(str(tmp_path / "out"))
    monkeypatch.setattr(type(folder), "free_bytes", lambda self: 12 * 2**30)
    require_space(folder, 12 * 2**30)
    require_space(folder, 61 * 2**30, kept=49 * 2**30)
    with pytest.raises(NoSpace, match=r"61 GiB needed under .*out/, 12 GiB free\.") as refused:
        require_space(folder, 61 * 2**30)
    assert refused.value.exit_code == 4


def test_require_space__knows_no_limit_on_object_stores():
    require_space(open_folder("memory://x"), 2**60)


def test_free_bytes__looks_at_the_nearest_existing_parent(tmp_path):
    assert open_folder(str(tmp_path / "a/b/c")).free_bytes() > 0


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1.25 * 2**20, "1.2 MiB"), (61e9, "57 GiB")],
)
def test_readable_bytes__has_two_digits(nbytes, text):
    assert readable_bytes(int(nbytes)) == text


def test_errors__keep_code_and_remedy_through_pickle():
    error = pickle.loads(pickle.dumps(NoSpace("full", remedy="free some")))
    assert (str(error), error.remedy, error.exit_code) == ("full", "free some", 4)


def test_folder_module__does_not_import_s3fs_or_dask():
    import subprocess
    import sys

    code = "import sys, storage.folder, storage.objects, storage.directory; " + (
        "print([m for m in ('s3fs', 'adlfs', 'dask', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert folder_module.__doc__
