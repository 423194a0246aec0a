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
from pipelines.formats.points_source import Points, Source, load_rows
from pipelines.formats.points_staged import staged

__all__ = ["Points", "Source", "load_rows", "open_points", "staged"]

_ARRAYS = {b"\x93NUMPY": "npy", b"PK\x03\x04": "npz"}


def open_points(
    url: str,
    *,
    columns: str | None = None,
    vector: bool = False,
    check: bool = True,
    missing: bool = False,
) -> Points:
    """Open and check points; what is wrong is told before anything is started.

    columns: those of a text or Parquet table to take, as "1-4,7" or "x,y"; None for all.
    vector: an .npy or .npz array of one dimension is one column, as weights are.
    check: False leaves the values of arrays unseen; `load_rows` checks them.
    missing: empty cells of text, NaN and NA are NaN; `load_rows` refuses them all the same.
    Raises UsageProblem for a missing file, InputProblem naming row and column, or line and column,
    of what cannot be used. Of files beyond CHECKED_BYTES only the form is checked; `load_rows`
    checks the values.
    """
    from pipelines.formats.points_folder import is_folder, open_in_folder

    url = os.fspath(url)
    if url == "-":
        text = "points are not read from standard input: workers read their rows from the file."
        raise UsageProblem(text, remedy="Save them to a file and name it.")
    kind = "folder" if is_folder(url) else format_of(url)
    if columns is not None and kind not in ("text", "parquet"):
        text = f"columns are chosen of text and Parquet, and {url} is neither."
        raise UsageProblem(text, remedy="Save the columns that are meant as an array of their own.")
    if kind == "folder":
        return open_in_folder(url, check=check)
    if kind == "parquet":
        from pipelines.formats.points_parquet import open_parquet

        return open_parquet(url, url, columns, check=check)
    if kind == "text":
        from pipelines.formats.points_text import open_text

        return open_text(url, url, columns, missing=missing)
    from pipelines.formats import points_npy

    opener = points_npy.open_npy if kind == "npy" else points_npy.open_npz
    return opener(url, url, vector=vector, check=check)


def format_of(url: str) -> str:
    """'npy', 'npz', 'parquet' or 'text' (whatever is neither), by the first bytes of a file.

    Raises UsageProblem when there is no such file, InputProblem when it is empty.
    """
    with ExitStack() as close:
        file = open_stored(url, close)
        points_source.require_bytes(points_source.stored_size(file), url)
        first = read_at(file, 0, 8, url)
    if first.startswith(b"PAR1"):
        return "parquet"
    return next((kind for start, kind in _ARRAYS.items() if first.startswith(start)), "text")
