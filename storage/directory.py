"""A folder that is a directory of a file system."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from storage.errors import KeyMissing, NoSpace, StorageError
from storage.folder import check_key

TEMPORARY = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.whorl-tmp")


class Directory:
    """A Folder on a file system; what reaches a final name is synced to the disk first."""

    is_local = True

    def __init__(self, path: str, *, url: str | None = None) -> None:
        self.url = url if url is not None else path
        # links stay: what one leads to may have another name on another host
        self.path = os.path.abspath(os.path.expanduser(path))

    def path_of(self, key: str) -> str:
        """Absolute path of a key."""
        return os.path.join(self.path, check_key(key))

    def make(self) -> bool:
        """Create the directory, also where a link leads to; True when it was not there."""
        existed = os.path.isdir(self.path)
        try:
            os.makedirs(os.path.realpath(self.path), exist_ok=True)
        except OSError as error:
            raise_for(error, self.path)
        return not existed

    def put(self, key: str, data: bytes) -> None:
        with replace_file(self.path_of(key)) as file:
            file.write(data)

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        with replace_file(self.path_of(key)) as file:
            for part in parts:
                file.write(part)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self.path_of(key)
        temporary = temporary_name(path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(temporary, "xb") as file:
                write_and_sync(file, data)
            return link_if_absent(temporary, path)
        except OSError as error:
            raise_for(error, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)

    def get(self, key: str) -> bytes:
        path = self.path_of(key)
        try:
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise KeyMissing(f"{self.url} holds no {key}.") from None
        except OSError as error:
            raise_for(error, path)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = {}
        for key in keys:
            with suppress(KeyMissing):
                found[key] = self.get(key)
        return found

    def exists(self, key: str) -> bool:
        return os.path.exists(self.path_of(key))

    def size(self, key: str) -> int:
        path = self.path_of(key)
        try:
            return os.stat(path).st_size
        except (FileNotFoundError, NotADirectoryError):
            raise KeyMissing(f"{self.url} holds no {key}.") from None
        except OSError as error:
            raise_for(error, path)

    def names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise_for(error, self.path)

    def list(self, prefix: str = "") -> list[str]:
        found = []
        for path in self._walk(prefix):
            if not TEMPORARY.fullmatch(os.path.basename(path)):
                found.append(os.path.relpath(path, self.path).replace(os.sep, "/"))
        return sorted(found)

    def delete(self, key: str) -> None:
        path = self.path_of(key)
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise_for(error, path)

    def delete_tree(self, prefix: str) -> None:
        path = self.path_of(prefix) if prefix else self.path
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            # another cleaner was faster with a part of it; what is left, if anything, goes too
            shutil.rmtree(path, ignore_errors=True)
        except OSError as error:
            raise_for(error, path)

    def rename_tree(self, old: str, new: str) -> None:
        """Give a subfolder another name in one step. Raises StorageError when `new` exists."""
        source, target = self.path_of(old), self.path_of(new)
        try:
            os.rename(source, target)
            sync_directory(os.path.dirname(target))
        except OSError as error:
            raise_for(error, target)

    def free_bytes(self) -> int | None:
        path = self.path
        while not os.path.isdir(path) and path != os.path.dirname(path):
            path = os.path.dirname(path)
        return shutil.disk_usage(path).free

    def sweep(self, prefix: str = "") -> int:
        swept = 0
        for path in list(self._walk(prefix)):
            if TEMPORARY.fullmatch(os.path.basename(path)):
                with suppress(OSError):
                    os.unlink(path)
                    swept += 1
        return swept

    def _walk(self, prefix: str) -> Iterator[str]:
        top = self.path_of(prefix) if prefix else self.path
        if os.path.isfile(top):
            yield top
        for parent, _, files in os.walk(top):
            for name in files:
                yield os.path.join(parent, name)


@contextmanager
def replace_file(path: str) -> Iterator[BinaryIO]:
    """A file to write that gets its name when the block ends well: temporary name, fsync, rename.

    On any error nothing is left, neither under the name nor under the temporary one.
    Raises NoSpace on a full disk, StorageError for other errors of the file system.
    """
    temporary, folder = temporary_name(path), os.path.dirname(path) or "."
    try:
        os.makedirs(folder, exist_ok=True)
        with open(temporary, "xb") as file:
            yield file
            write_and_sync(file, b"")
        os.replace(temporary, path)
        sync_directory(folder)
    except OSError as error:
        raise_for(error, path)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def link_if_absent(temporary: str, path: str) -> bool:
    """Give a finished file its name unless the name is taken; True when it was free."""
    try:
        os.link(temporary, path)  # unlike rename, fails when the name exists
        return True
    except FileExistsError:
        return False
    except OSError:
        if os.path.exists(path):  # a file system without hard links: nearly as good
            return False
        os.replace(temporary, path)
        return True


def temporary_name(path: str) -> str:
    """A name beside `path` that no other writer uses and that TEMPORARY recognises."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.getpid()}-{secrets.token_hex(4)}.whorl-tmp")


def write_and_sync(file: BinaryIO, data: bytes) -> None:
    """Write, and come back when the disk has it."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: str) -> None:
    """Make a rename survive a power cut; file systems that cannot are left as they are."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def raise_for(error: OSError, path: str) -> NoReturn:
    """Say an error of the file system in one line."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise NoSpace(
            f"{path}: the disk is full.",
            remedy="Free some space and try again; a run goes on with --resume.",
        ) from error
    reason = error.strerror or str(error)
    raise StorageError(f"{path}: {reason}.") from error
