"""Points in Parquet files: each column a column of the points, or one column of lists.

Needs pyarrow (the extra "parquet"). Workers read the row groups that hold their rows. The index
that pandas stored, or a first column that is text or named id, holds the ids of the rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import points_source
from pipelines.formats.bytestream import ByteStream, open_stored
from pipelines.formats.fasta_checks import quote
from pipelines.formats.points_source import BLOCK_BYTES, Points
from pipelines.formats.points_table import ID_NAMES, chosen_columns, unique_ids

_INDEX = "__index_level_0__"  # what pandas calls an index without a name


@dataclass(frozen=True)
class ParquetLayout:
    """Columns of a file, and the first row of each of its row groups."""

    url: str
    name: str
    columns: tuple[str, ...]
    d: int
    group_rows: tuple[int, ...]
    needs_staging = False

    def part(self, start: int, stop: int) -> ParquetLayout:
        return self

    def blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        first = max(bisect_right(self.group_rows, start) - 1, 0)
        last = bisect_right(self.group_rows, stop - 1)
        row, size = self.group_rows[first], max(BLOCK_BYTES // (self.d * 8), 1)
        with ExitStack() as close, told(self.name):
            file = _open(self.url, close)
            groups = list(range(first, last))
            for batch in file.iter_batches(size, row_groups=groups, columns=list(self.columns)):
                behind = row + batch.num_rows
                if behind > start and row < stop:
                    values = self._values(batch, row)
                    yield values[max(start - row, 0) : stop - row]
                row = behind

    def _values(self, batch: Any, row: int) -> np.ndarray:
        """(rows, d) of a batch that starts with that row."""
        arrays = [batch.column(name) for name in self.columns]
        for name, array in zip(self.columns, arrays, strict=True):
            if array.null_count:
                missing = row + array.is_null().to_numpy(zero_copy_only=False).argmax()
                place = f"{self.name}: row {missing:,} (counted from 0), column {quote(name)}"
                raise InputProblem(f"{place} is empty.", remedy=points_source.FINITE_REMEDY)
        if _is_list(arrays[0].type):
            return self._unnested(arrays[0], row)
        return np.column_stack([_to_numpy(array) for array in arrays])

    def _unnested(self, array: Any, row: int) -> np.ndarray:
        lengths = array.value_lengths().to_numpy(zero_copy_only=False)
        flat = array.flatten()
        wrong = np.flatnonzero(lengths != self.d)
        if wrong.size:
            place = f"{self.name}: row {row + wrong[0]:,} (counted from 0)"
            text = f"{place} has {lengths[wrong[0]]:,} numbers, not {self.d:,} as the first row."
            raise InputProblem(text, remedy="Every row has the same number of numbers.")
        if flat.null_count:
            at = flat.is_null().to_numpy(zero_copy_only=False).argmax() // self.d
            text = f"{self.name}: row {row + at:,} (counted from 0) holds an empty value."
            raise InputProblem(text, remedy=points_source.FINITE_REMEDY)
        return _to_numpy(flat).reshape(-1, self.d)


def open_parquet(url: str, name: str, columns: str | None = None, *, check: bool = True) -> Points:
    """A Parquet file as Points; columns as in `open_points`."""
    with ExitStack() as close, told(name):
        file = _open(url, close)
        schema = file.schema_arrow
        ids_from, kept = _choose(schema, columns, name)
        types = [_numpy_type(schema.field(column).type) for column in kept]
        n = file.metadata.num_rows
        points_source.check_shape((n, len(kept)), name)
        d = len(kept)
        if _is_list(schema.field(kept[0]).type):
            d = len(next(file.iter_batches(1, columns=kept)).column(0)[0])
            points_source.check_shape((n, d), name)
        ids, warnings = None, points_source.layout_warnings(name, n, d)
        if ids_from is not None:
            ids = [str(value) for batch in file.iter_batches(2**16, columns=[ids_from])
                   for value in batch.column(0).to_pylist()]  # fmt: skip
            ids, repeated = unique_ids(ids, name)
            warnings += repeated
        rows = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
    layout = ParquetLayout(url, name, tuple(kept), d, (0, *np.cumsum(rows)[:-1].tolist()))
    dtype = points_source.kept_dtype(np.result_type(*types), name)
    names = kept if d == len(kept) else None
    limit = points_source.CHECKED_BYTES if check else 0
    points = _checked(layout, n, dtype, limit)
    return replace(points, ids=ids, names=names, warnings=warnings)


def _checked(layout: ParquetLayout, n: int, dtype: np.dtype, limit: int) -> Points:
    """The points, after a look at the values when there are not too many."""
    url, name, d = layout.url, layout.name, layout.d
    with ExitStack() as close:
        stored = open_stored(url, close)
        size = points_source.stored_size(stored)
        checked = n * d * dtype.itemsize <= limit
        if checked:
            points_source.load_rows(points_source.Source(layout, 0, n, d, str(dtype)))
            with ByteStream(url) as stream:
                for _ in stream.blocks():
                    pass
            digest = stream.sha256
        else:
            digest = points_source.hash_samples(stored, size, name)
    identity = points_source.identity(url, size, n, digest, whole=checked)
    return Points(url, "parquet", n, d, dtype, None, None, size, identity, [], checked, layout)


def _choose(schema: Any, columns: str | None, name: str) -> tuple[str | None, list[str]]:
    """(column of ids or None, columns of the points)."""
    names = list(schema.names)
    ids_from = _INDEX if _INDEX in names else None
    plain = [column for column in names if column != _INDEX]
    first = plain[0] if len(plain) > 1 else None
    if ids_from is None and first is not None:
        kind = schema.field(first).type
        is_text = _numpy_type(kind) is None and not _is_list(kind)
        if first.lower() in ID_NAMES or is_text:
            ids_from = first
    if columns is None:
        kept = [column for column in plain if column != ids_from]
    else:
        kept = [plain[k] for k in chosen_columns(columns, plain, len(plain), name)]
    lists = [column for column in kept if _is_list(schema.field(column).type)]
    for column in kept:
        if _numpy_type(schema.field(column).type) is None or (lists and len(kept) > 1):
            kind = schema.field(column).type
            text = f"{name}: column {quote(column)} holds {kind}, not numbers."
            raise InputProblem(text, remedy="Choose the columns of numbers: --columns NAME,NAME.")
    return ids_from, kept


def _is_list(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _numpy_type(kind: Any) -> np.dtype | None:
    """The dtype of a column of numbers, or of lists of them; None for anything else."""
    import pyarrow.types as types

    if _is_list(kind):
        kind = kind.value_type
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    return np.dtype(np.float64) if types.is_decimal(kind) else None


def _to_numpy(array: Any) -> np.ndarray:
    import pyarrow

    if pyarrow.types.is_decimal(array.type):
        array = array.cast(pyarrow.float64())
    return array.to_numpy(zero_copy_only=False)


def _open(url: str, close: ExitStack) -> Any:
    return _library(url).ParquetFile(open_stored(url, close))


def _library(name: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        text = f"{name} is Parquet, which needs pyarrow, and that is not installed."
        raise UsageProblem(text, remedy="pip install 'whorl[parquet]'") from None
    return pyarrow.parquet


def write_parquet(
    file: IO[bytes], blocks: Iterable[np.ndarray], names: list[str], dtype: str
) -> None:
    """Write blocks of (rows, columns) to an open file, each as a row group."""
    library = _library("that file")
    import pyarrow

    kind = pyarrow.from_numpy_dtype(np.dtype(dtype))
    schema = pyarrow.schema([(name, kind) for name in names])
    with library.ParquetWriter(file, schema) as writer:
        for block in blocks:
            columns = [pyarrow.array(np.ascontiguousarray(column)) for column in block.T]
            writer.write_table(pyarrow.table(columns, schema=schema))


@contextmanager
def told(name: str) -> Iterator[None]:
    """Turn what pyarrow raises about a file into one line."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("pyarrow"):
            raise
        reason = " ".join(str(error).split())
        text = f"{name} is a damaged Parquet file: {reason}"
        raise InputProblem(text, remedy="Copy it again.") from error
