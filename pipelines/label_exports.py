"""A result's labels in the forms other programs read, written chunk by chunk.

tsv   id and label of every row, as labels.tsv; ids are row numbers from 0 where the result
      holds no labels.tsv
npy   (n,) int32
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from pipelines.formats.label_array import LabelArray
from storage.folder import Folder

TABLE = "labels.tsv"


@dataclass(frozen=True)
class Form:
    """How one form of anything is written, and the bytes it can take at most.

    write   returns how many pairs of a matrix, or items of a map, it has no sign for
    """

    write: Callable[[BinaryIO, Any], int]
    size: Callable[[Any], int]


@dataclass(frozen=True)
class StoredLabels:
    """The labels of a result folder, and its table of them where it has one."""

    folder: Folder
    array: LabelArray

    @property
    def table_bytes(self) -> int | None:
        return self.folder.size(TABLE) if self.folder.exists(TABLE) else None


def write_tsv(file: BinaryIO, labels: StoredLabels) -> int:
    if labels.table_bytes is not None:
        file.write(labels.folder.get(TABLE))
        return 0
    file.write(b"id\tlabel\n")
    for first, chunk in labels.array.chunks():
        rows = enumerate(chunk.tolist(), first)
        file.write("".join(f"{row}\t{label}\n" for row, label in rows).encode())
    return 0


def write_npy(file: BinaryIO, labels: StoredLabels) -> int:
    described = {"descr": "<i4", "fortran_order": False, "shape": (labels.array.n,)}
    np.lib.format.write_array_header_1_0(file, described)
    for _, chunk in labels.array.chunks():
        file.write(chunk.astype("<i4", copy=False).data)
    return 0


LABEL_FORMS = {
    "tsv": Form(write_tsv, lambda labels: labels.table_bytes or 24 * labels.array.n),
    "npy": Form(write_npy, lambda labels: 128 + 4 * labels.array.n),
}
