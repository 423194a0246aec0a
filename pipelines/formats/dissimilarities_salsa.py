"""Raw int16 as the SALSA programs keep it: round(d * 32767), missing is negative, no header.

The whole square in one file, or strips of whole rows: a folder of files, or a pattern with *.
"""

from __future__ import annotations

import glob
import hashlib
import math
import os
import re
from contextlib import ExitStack
from itertools import accumulate

import numpy as np

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import points_source
from pipelines.formats.bytestream import open_stored
from pipelines.formats.dissimilarities_flat import Part, SquareLayout
from pipelines.formats.dissimilarities_source import Dissimilarities, hash_of
from pipelines.formats.distances import INT16_SCALE
from pipelines.formats.points_folder import is_folder
from storage.folder import open_folder, split_url

KINDS = {"salsa-int16-be": ">i2", "salsa-int16-le": "<i2"}


def open_salsa(url: str, kind: str) -> Dissimilarities:
    """The square, not looked at yet. kind: one of KINDS. Raises UsageProblem and InputProblem."""
    urls = strips_of(url)
    sizes = [_size(each) for each in urls]
    n = math.isqrt(sum(sizes) // 2)
    if not n or 2 * n * n != sum(sizes):
        text = f"{url} has {sum(sizes):,} bytes, which is no square of int16 numbers."
        raise InputProblem(text, remedy="Give the file of the whole matrix, or all its strips.")
    for each, size in zip(urls, sizes, strict=True):
        if size % (2 * n):
            text = f"{each} has {size:,} bytes, not whole rows of {n:,} int16 numbers."
            raise InputProblem(text, remedy="Give all strips of one matrix, and nothing else.")
    rows = [0, *accumulate(size // (2 * n) for size in sizes)]
    parts = tuple(Part(each, row) for each, row in zip(urls, rows[:-1], strict=True))
    hashes = [hash_of(each, size) for each, size in zip(urls, sizes, strict=True)]
    (key, digest), *others = hashes
    if others:
        key = max(key for key, _ in hashes)
        digest = hashlib.sha256("".join(each for _, each in hashes).encode()).hexdigest()
    identity = {"path": url, "bytes": sum(sizes), "records": n, key: digest}
    return Dissimilarities(
        url, "salsa", n, np.dtype(np.int16), 1 / INT16_SCALE, None, identity, sum(sizes), [],
        False, SquareLayout(url, n, KINDS[kind], parts),
    )  # fmt: skip


def strips_of(url: str) -> list[str]:
    """The files of a matrix in the order of their rows: by the numbers in their names."""
    if "*" in os.path.basename(url):
        if split_url(url)[0] == "file":
            found = glob.glob(url.removeprefix("file://"))
        else:
            import fsspec

            files, path = fsspec.core.url_to_fs(url)
            found = [files.unstrip_protocol(each) for each in files.glob(path)]
        if not found:
            raise UsageProblem(f"{url}: no file has such a name.", remedy="Check the pattern.")
    elif is_folder(url):
        top = url.rstrip("/")
        found = [f"{top}/{name}" for name in open_folder(url).names() if name[0] not in "._"]
        if not found:
            raise UsageProblem(f"{url} is an empty folder.", remedy="Give the files of a matrix.")
    else:
        found = [url]
    return sorted(found, key=_natural)


def _natural(url: str) -> list[tuple[int, str]]:
    """Sorts part_2 before part_10."""
    words = re.split(r"(\d+)", url)
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in words]


def _size(url: str) -> int:
    with ExitStack() as close:
        return points_source.stored_size(open_stored(url, close))
