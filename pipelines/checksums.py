"""checksums.sha256 of a result folder: the form that `sha256sum -c` reads."""

from collections.abc import Mapping

from pipelines.errors import DamagedResult
from storage.errors import KeyMissing
from storage.folder import Folder

CHECKSUMS = "checksums.sha256"


def checksum_lines(hashes: Mapping[str, str]) -> bytes:
    """One line "hex  name" per file, sorted by name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items())).encode()


def read_checksums(folder: Folder) -> dict[str, str]:
    """File name -> sha256 in hex. Raises DamagedResult when the list is absent or not one."""
    try:
        lines = folder.get(CHECKSUMS).decode().splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except KeyMissing:
        raise DamagedResult(f"{folder.url} has no {CHECKSUMS}.") from None
    except ValueError as error:
        raise DamagedResult(f"{folder.url}/{CHECKSUMS} is damaged: {error}.") from error
