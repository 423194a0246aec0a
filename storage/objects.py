"""A folder that is a prefix of an object store, through any fsspec protocol."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from storage.errors import KeyMissing, StorageError
from storage.folder import check_key, split_url

INSTALL = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs", "abfs": "adlfs", "az": "adlfs"}
NO_CREDENTIALS = {
    "s3": "no AWS credentials found (looked in environment, ~/.aws, instance role).",
    "abfs": "no Azure credentials found (looked in AZURE_STORAGE_* of the environment).",
}


class ObjectFolder:
    """A Folder on an object store; a PUT is whole or absent, so objects need no temporary name."""

    is_local = False

    def __init__(self, url: str, storage_options: dict[str, Any] | None = None) -> None:
        self.url = url.rstrip("/")
        self.storage_options = dict(storage_options or {})
        self.protocol, rest = split_url(self.url)
        self.root = rest.strip("/")
        self._fs: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fs": None}  # each process opens its own connections

    @property
    def fs(self) -> Any:
        """The fsspec file system; its library is imported here and not earlier."""
        if self._fs is None:
            import fsspec

            with self._told():
                self._fs = fsspec.filesystem(
                    # other processes write here too: a remembered listing would be wrong
                    self.protocol,
                    use_listings_cache=False,
                    **self.storage_options,
                )
        return self._fs

    def put(self, key: str, data: bytes) -> None:
        with self._told(key):
            self.fs.pipe_file(self._path(key), data)

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        # by way of a file: a stream to the store that is broken off may leave half an object
        with tempfile.NamedTemporaryFile(prefix=f"whorl-put-{os.getpid()}-") as file:
            for part in parts:
                file.write(part)
            file.flush()
            with self._told(key):
                self.fs.put_file(file.name, self._path(key))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with self._told(key):
            if self.fs.exists(self._path(key)):
                return False
            try:
                self.fs.pipe_file(self._path(key), data, mode="create")
            except FileExistsError:
                return False
            except NotImplementedError:  # a store without conditional PUT: the check above remains
                self.fs.pipe_file(self._path(key), data)
            except OSError as error:
                # some servers' "precondition failed" reaches us as EINVAL
                if error.errno != errno.EINVAL:
                    raise
                return bool(self.fs.cat_file(self._path(key)) == data)
        return True

    def get(self, key: str) -> bytes:
        with self._told(key):
            return bytes(self.fs.cat_file(self._path(key)))

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        paths = {self._path(key): key for key in keys}
        if not paths:
            return {}
        with self._told():
            found = self.fs.cat(list(paths), on_error="return")
            result = {}
            for path, data in found.items():
                if isinstance(data, FileNotFoundError):
                    continue
                if isinstance(data, Exception):
                    raise data
                result[paths[path.strip("/")]] = bytes(data)
        return result

    def exists(self, key: str) -> bool:
        with self._told(key):
            return bool(self.fs.exists(self._path(key)))

    def size(self, key: str) -> int:
        with self._told(key):
            return int(self.fs.info(self._path(key))["size"])

    def names(self) -> list[str]:
        with self._told():
            try:
                found = self.fs.ls(self.root, detail=False)
            except (FileNotFoundError, NotADirectoryError):
                found = []
        names = {path.strip("/").removeprefix(self.root).strip("/") for path in found}
        return sorted(name for name in names if name)

    def list(self, prefix: str = "") -> list[str]:
        top = self._path(prefix) if prefix else self.root
        with self._told():
            found = self.fs.find(top)
        return sorted(path.strip("/").removeprefix(self.root).strip("/") for path in found)

    def delete(self, key: str) -> None:
        with self._told(key), suppress(FileNotFoundError):
            self.fs.rm_file(self._path(key))

    def delete_tree(self, prefix: str) -> None:
        keys = self.list(prefix)
        if keys:
            with self._told():
                self.fs.rm([self._path(key) for key in keys])

    def free_bytes(self) -> int | None:
        return None

    def sweep(self, prefix: str = "") -> int:
        return 0

    def _path(self, key: str) -> str:
        return f"{self.root}/{check_key(key)}" if self.root else check_key(key)

    @contextmanager
    def _told(self, key: str | None = None) -> Iterator[None]:
        """Turn what the libraries raise into one line that names the place."""
        place = f"{self.url}/{key}" if key else self.url
        try:
            yield
        except StorageError:
            raise
        except FileNotFoundError:
            if key is not None and not self._bucket_is_missing():
                raise KeyMissing(f"{self.url} holds no {key}.") from None
            raise StorageError(f"{place}: there is no such bucket or container.") from None
        except ImportError:
            package = INSTALL.get(self.protocol, "its fsspec library")
            raise StorageError(
                f"{self.url}: {package} is not installed.", remedy=f"pip install {package}"
            ) from None
        except Exception as error:
            raise self._said(place, error) from error

    def _bucket_is_missing(self) -> bool:
        bucket = self.root.partition("/")[0]
        try:
            return self.protocol != "memory" and not self.fs.exists(bucket)
        except Exception:
            return False

    def _said(self, place: str, error: Exception) -> StorageError:
        protocol = {"abfss": "abfs", "az": "abfs", "adl": "abfs", "s3a": "s3"}.get(
            self.protocol, self.protocol
        )
        text = str(error)
        if protocol in NO_CREDENTIALS and (
            type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError")
            or "Unable to locate credentials" in text
            or "unable to connect to account" in text
        ):
            return StorageError(f"{self.url}: {NO_CREDENTIALS[protocol]}")
        if text.startswith("Protocol not known"):
            return StorageError(f'{self.url}: "{self.protocol}" is not a known protocol.')
        reason = " ".join(text.split()) or type(error).__name__
        return StorageError(f"{place}: {reason.rstrip('.')}.")
