"""The array of a result folder, whichever application made it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from pipelines.formats.distances import DistanceMatrix
from pipelines.formats.label_array import LABELS, LabelArray
from storage.folder import Folder

DISTANCES = "distances.zarr"
ARRAY_OF: dict[str, str] = {"swg": DISTANCES, "kmeans": LABELS}  # application -> name
NAMES = frozenset(ARRAY_OF.values())
_OPEN: dict[str, Callable[[Folder, str], Any]] = {
    DISTANCES: lambda folder, prefix: DistanceMatrix(folder, prefix, None),
    LABELS: LabelArray,
}


def array_of(app: object) -> str:
    """Name of the array that an application writes."""
    return ARRAY_OF.get(str(app), DISTANCES)


def open_array(folder: Folder, prefix: str, name: str) -> Any:
    """What is stored under the key `prefix` and will be called `name`: .shape, .dtype and
    .chunk_keys(). Raises DamagedResult."""
    return _OPEN[name](folder, prefix)


def npy_facts(name: str, data: bytes) -> dict[str, Any]:
    """Shape and dtype of an .npy file, of another file nothing."""
    if not name.endswith(".npy"):
        return {}
    array = np.load(io.BytesIO(data), allow_pickle=False)
    return {"shape": list(array.shape), "dtype": str(array.dtype)}
