"""The array of a result folder, whichever application made it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipelines.formats.distances import DistanceMatrix
from pipelines.formats.label_array import LABELS, LabelArray
from storage.folder import Folder

DISTANCES = "distances.zarr"
ARRAY_OF: dict[str, str] = {"swg": DISTANCES, "kmeans": LABELS}  # application -> name
NAMES = frozenset(ARRAY_OF.values())
PARTS = "parts"  # in place of an array: blocks that are joined to files when all are there
IN_PARTS = frozenset({"interpolate"})  # applications that store such
_OPEN: dict[str, Callable[[Folder, str], Any]] = {
    DISTANCES: lambda folder, prefix: DistanceMatrix(folder, prefix, None),
    LABELS: LabelArray,
}


def array_of(app: object) -> str:
    """Name of the array that an application writes, or PARTS."""
    if app in IN_PARTS:
        return PARTS
    return ARRAY_OF.get(str(app), DISTANCES)


def open_array(folder: Folder, prefix: str, name: str) -> Any:
    """What is stored under the key `prefix` and will be called `name`: .shape, .dtype and
    .chunk_keys(). Raises DamagedResult."""
    return _OPEN[name](folder, prefix)


def npy_bytes(array: np.ndarray) -> bytes:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an .npz file, the same for the same arrays."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy_facts(name: str, data: bytes) -> dict[str, Any]:
    """Shape and dtype of an .npy file, told by its first bytes; of another file nothing."""
    if not name.endswith(".npy"):
        return {}
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return {"shape": list(shape), "dtype": str(dtype)}
