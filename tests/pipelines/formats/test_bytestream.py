import bz2
import gzip
import hashlib
import io
import lzma

import fsspec
import pytest
import zstandard

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import bytestream
from pipelines.formats.bytestream import ByteStream, StreamDamageError, compression_of, read_bytes
from storage.errors import StorageError

COMPRESS = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
PACKED = sorted(COMPRESS.keys() - {"none"})


@pytest.fixture
def text(rng):
    return rng.integers(65, 91, 300_000).astype("u1").tobytes()


@pytest.fixture
def save(tmp_path):
    def write(data, name="input.fa"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


class Stdin:
    """Standard input that is a pipe."""

    def __init__(self, data):
        self.buffer = io.BytesIO(data)

    def isatty(self):
        return False


@pytest.mark.parametrize("compression", COMPRESS)
def test_stream__tells_compression_by_content(save, text, compression):
    stored = COMPRESS[compression](text)
    with ByteStream(save(stored)) as stream:
        assert b"".join(stream.blocks()) == text
        assert stream.compression == compression
        assert stream.nbytes == len(stored)
        assert stream.sha256 == hashlib.sha256(stored).hexdigest()


@pytest.mark.parametrize("compression", PACKED)
def test_stream__reads_members_and_padding(save, text, compression):
    stored = COMPRESS[compression](text[:1000]) + COMPRESS[compression](text[1000:]) + bytes(512)
    assert read_bytes(save(stored)) == text


@pytest.mark.parametrize("compression", PACKED)
def test_stream__hands_out_what_came_before_a_cut(save, text, compression):
    path = save(COMPRESS[compression](text)[:-20])
    got = []
    with ByteStream(path) as stream, pytest.raises(StreamDamageError, match="ends in the middle"):
        got.extend(stream.blocks())
    with pytest.raises(InputProblem, match=r"ends in the middle of its compressed data"):
        read_bytes(path)


def test_stream__keeps_text_before_the_damage(save, text):
    stored = gzip.compress(text[:2000]) + gzip.compress(text[2000:])[:-20]
    got = []
    with ByteStream(save(stored)) as stream, pytest.raises(StreamDamageError):
        got.extend(stream.blocks())
    assert len(b"".join(got)) > 2000
    assert text.startswith(b"".join(got))


@pytest.mark.parametrize("compression", PACKED)
def test_stream__refuses_changed_bytes(save, text, compression):
    stored = bytearray(COMPRESS[compression](text))
    stored[len(stored) // 2] ^= 0x10
    with pytest.raises(InputProblem, match=r"damaged|in the middle"):
        read_bytes(save(bytes(stored)))


def test_stream__refuses_bytes_after_the_last_member(save):
    with pytest.raises(InputProblem, match="holds damaged gzip data"):
        read_bytes(save(gzip.compress(b">a\nAC\n") + b"something else"))


def test_stream__calls_keep_with_the_stored_bytes(save, text):
    stored = gzip.compress(text)
    kept = []
    with ByteStream(save(stored), kept.append) as stream:
        assert b"".join(stream.blocks()) == text
    assert b"".join(kept) == stored


def test_stream__reads_standard_input(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", Stdin(gzip.compress(text)))
    assert read_bytes("-") == text


def test_stream__does_not_wait_for_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin", Stdin(b""))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with pytest.raises(UsageProblem, match="terminal"):
        read_bytes("-")


def test_stream__reads_urls(save, text):
    with fsspec.open("memory://bytestream/x.fa.gz", "wb") as file:
        file.write(gzip.compress(text))
    assert read_bytes("memory://bytestream/x.fa.gz") == text
    assert read_bytes(f"file://{save(text)}") == text


def test_stream__stops_reading_when_it_is_left(save, monkeypatch):
    monkeypatch.setattr(bytestream, "BLOCK", 1000)
    path = save(bytes(10**6))
    with ByteStream(path) as stream:
        blocks = stream.blocks()
        next(blocks)
    assert next(blocks, None) is None
    assert stream.nbytes < 10**6


def test_missing_file__names_the_nearest(save, tmp_path):
    save(b">a\nA\n", "seqs.fasta")
    missing = str(tmp_path / "seqs.fsta")
    with pytest.raises(UsageProblem, match=r"seqs\.fsta does not exist\.") as caught:
        read_bytes(missing)
    assert caught.value.remedy == f"Did you mean {tmp_path / 'seqs.fasta'}?"


def test_missing_url__names_the_nearest():
    fsspec.filesystem("memory").pipe_file("/nearest/seqs.fasta", b">a\nA\n")
    with pytest.raises(UsageProblem, match="does not exist") as caught:
        read_bytes("memory://nearest/seqs.fsta")
    assert "memory://nearest/seqs.fasta" in caught.value.remedy


def test_folder__is_refused_and_names_a_file_in_it(save, tmp_path):
    save(b"", "notes.txt")
    save(b"", "seqs.fa.gz")
    with pytest.raises(UsageProblem, match="is a folder") as caught:
        read_bytes(str(tmp_path))
    assert str(tmp_path / "seqs.fa.gz") in caught.value.remedy


def test_path_below_a_file__does_not_exist(save):
    with pytest.raises(UsageProblem, match="does not exist"):
        read_bytes(save(b"") + "/seqs.fa")


def test_unreadable_names__are_refused(tmp_path):
    with pytest.raises(UsageProblem, match="cannot be read"):
        read_bytes(str(tmp_path / ("x" * 300)))


def test_unknown_protocol__is_a_storage_error():
    with pytest.raises(StorageError, match="nowhere"):
        read_bytes("nowhere://bucket/x.fa")


@pytest.mark.parametrize("first", [b"", b"\x1f", b">a", b"BZhello there", b"\xfd7zX"])
def test_compression__is_none_for_other_first_bytes(first):
    assert compression_of(first) == "none"


def test_stream__reads_from_s3_and_names_the_nearest_object(s3, text):
    fs = fsspec.filesystem("s3")
    fs.pipe_file(f"{s3}/in/seqs.fa.gz", gzip.compress(text))
    assert read_bytes(f"{s3}/in/seqs.fa.gz") == text
    with pytest.raises(UsageProblem, match="does not exist") as caught:
        read_bytes(f"{s3}/in/seq.fa.gz")
    assert caught.value.remedy == f"Did you mean {s3}/in/seqs.fa.gz?"


def test_stream__tells_a_source_that_stops(save, monkeypatch):
    with ByteStream(save(b">a\nACGT\n")) as stream:
        monkeypatch.setattr(stream, "_file", Failing())
        with pytest.raises(StorageError, match="reading stopped after 0 bytes: gone"):
            list(stream.blocks())


class Failing:
    """A connection that breaks."""

    def read(self, size):
        raise ConnectionResetError("gone")
