"""Points: a table of numbers, one row per point, in any of the formats that people keep them in.

    points = open_points("points.npy")
    rows = load_rows(points.source(0, 1000))       # here, or on a worker

.npy and .npz, text (.csv, .tsv, .txt, plain or compressed), .parquet, .zarr, as a path or any
fsspec URL, and the folder of an earlier result that holds coordinates. The format is told by the
content, never by the name.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from pipelines.errors import UsageProblem
from pipelines.formats import points_source
from pipelines.formats.bytestream import open_stored, read_at
from pipelines.formats.points_npy import open_npy, open_npz
from pipelines.formats.points_source import Points, Source, load_rows

__all__ = ["Points", "Source", "load_rows", "open_points"]


def open_points(url: str, *, columns: str | None = None) -> Points:
    """Open and check points; what is wrong is told before anything is started.

    columns: those of a text or Parquet table to take, as "1-4,7" or "x,y"; None for all.
    Raises UsageProblem for a missing file, InputProblem naming row and column, or line and column,
    of what cannot be used. Of files beyond CHECKED_BYTES only the form is checked; `load_rows`
    checks the values.
    """
    url = os.fspath(url)
    if url == "-":
        text = "points are not read from standard input: workers read their rows from the file."
        raise UsageProblem(text, remedy="Save them to a file and name it.")
    with ExitStack() as close:
        file = open_stored(url, close)
        points_source.require_bytes(points_source.stored_size(file), url)
        first = read_at(file, 0, 8, url)
    if columns is not None and first.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        raise UsageProblem(f"columns are chosen of tables only, not of {url}.")
    if first.startswith(b"\x93NUMPY"):
        return open_npy(url, url)
    if first.startswith(b"PK\x03\x04"):
        return open_npz(url, url)
    from pipelines.formats.points_text import open_text

    return open_text(url, url, columns)
