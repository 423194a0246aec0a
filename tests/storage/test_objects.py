"""Object stores: what goes wrong is said in one line, and no secret travels."""

import json
import pickle
import subprocess
import sys

import pytest

from storage.errors import StorageError
from storage.folder import open_folder
from storage.objects import ObjectFolder


def test_s3__without_credentials_says_where_it_looked(monkeypatch, tmp_path):
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    expected = r"^s3://b/x: no AWS credentials found \(looked in environment, ~/.aws, instance"
    with pytest.raises(StorageError, match=expected) as refused:
        open_folder("s3://b/x").put("a", b"1")
    assert refused.value.exit_code == 5
    s3fs.S3FileSystem.clear_instance_cache()


def test_s3__says_that_the_bucket_is_missing(s3):
    folder = open_folder("s3://no-such-bucket-here/x")
    for call in (lambda: folder.put("a", b"1"), lambda: folder.get("a")):
        with pytest.raises(StorageError, match=r"no-such-bucket-here/x/a: there is no such bucket"):
            call()


def test_s3__says_that_nobody_listens(s3, monkeypatch):
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = {"config_kwargs": {"retries": {"max_attempts": 1}, "connect_timeout": 1}}
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    with pytest.raises(StorageError, match=r"Could not connect to the endpoint URL"):
        open_folder(s3 + "/x", **options).put("a", b"1")


def test_s3__reaches_another_process_through_the_environment_only(s3):
    folder = open_folder(s3 + "/x")
    folder.put("a", b"from here")
    pickled = pickle.dumps(folder)
    assert b"canary-of-the-secret" not in pickled
    code = (
        "import pickle, sys\n"
        "folder = pickle.loads(sys.stdin.buffer.read())\n"
        "folder.put('b', folder.get('a') + b' and there')\n"
    )
    subprocess.run([sys.executable, "-c", code], input=pickled, check=True)
    assert folder.get("b") == b"from here and there"


def test_s3__sees_objects_that_others_wrote_after_a_listing(s3):
    one, other = open_folder(s3 + "/x"), open_folder(s3 + "/x")
    one.put("a", b"1")
    assert other.names() == ["a"]
    one.put("b", b"2")
    assert other.names() == ["a", "b"]
    assert other.exists("b")


def test_put_if_absent__falls_back_where_the_store_knows_no_condition(monkeypatch):
    folder = ObjectFolder("memory://fallback/x")

    def refuse(path, data, mode="overwrite"):
        if mode == "create":
            raise NotImplementedError
        original(path, data)

    original = folder.fs.pipe_file
    monkeypatch.setattr(folder.fs, "pipe_file", refuse)
    assert folder.put_if_absent("lock", b"1")
    assert not folder.put_if_absent("lock", b"2")
    assert folder.get("lock") == b"1"
    folder.delete_tree("")


def test_missing_library__names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(StorageError, match=r"abfs://c/x: adlfs is not installed\.") as refused:
        open_folder("abfs://c/x").names()
    assert refused.value.remedy == "pip install adlfs"


def test_azure__without_credentials_says_where_it_looked(monkeypatch):
    pytest.importorskip("adlfs")
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StorageError, match=r"^abfs://c/x: no Azure credentials found"):
        open_folder("abfs://c/x").names()


def test_object_folder__keeps_options_but_no_connection_when_pickled(s3):
    folder = open_folder(s3 + "/x", anon=False)
    folder.put("a", b"1")
    copy = pickle.loads(pickle.dumps(folder))
    assert copy.storage_options == {"anon": False}
    assert copy._fs is None
    assert json.dumps(copy.storage_options)
