"""Arrays of a partition, taken apart to bytes for the tiers of storage and put together again."""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Shape(NamedTuple):
    """What is to be known of an array beside its bytes. name: its key, None for one alone."""

    name: str | None
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool


Form = tuple[Shape, ...]


def owned(data: Any, source: Any) -> Any:
    """An array or dict of arrays that keeps nothing else in memory and can be written to.

    Copies only what must be: a view of something larger, of a file, or of read-only bytes.
    Raises TypeError for anything else than arrays without Python objects.
    """
    if isinstance(data, dict):
        return {name: _owned(array, source) for name, array in data.items()}
    return _owned(data, source)


def form_of(data: Any) -> Form:
    return tuple(
        Shape(name, array.dtype, array.shape, _is_fortran(array)) for name, array in _items(data)
    )


def buffers_of(data: Any) -> list[memoryview]:
    """The bytes of each array, uncopied."""
    buffers = []
    for _, array in _items(data):
        straight = array.T if _is_fortran(array) else array
        buffers.append(straight.reshape(-1).view(np.uint8).data)
    return buffers


def arrays_of(form: Form, buffers: Sequence[memoryview]) -> Any:
    """The data whose form and buffers these are, uncopied."""
    arrays = {
        each.name: np.ndarray(each.shape, each.dtype, buffer, order="F" if each.is_fortran else "C")
        if buffer.nbytes
        else np.empty(each.shape, each.dtype)
        for each, buffer in zip(form, buffers, strict=True)
    }
    return arrays.get(None, arrays)


def copy_of(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: array.copy(order="A") for name, array in data.items()}
    return data.copy(order="A")


def nbytes_within(value: Any) -> int:
    """Bytes of the arrays in a value: in dicts, lists, tuples and dataclasses, however deep."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(nbytes_within(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return sum(nbytes_within(each) for each in value)
    if dataclasses.is_dataclass(value):
        return nbytes_within([getattr(value, each.name) for each in dataclasses.fields(value)])
    return 0


def _items(data: Any) -> Iterable[tuple[str | None, Array]]:
    return data.items() if isinstance(data, dict) else [(None, data)]


def _is_fortran(array: Array) -> bool:
    return bool(array.flags.f_contiguous and not array.flags.c_contiguous)


def _owned(array: Any, source: Any) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array)
        raise TypeError(
            f"load({source!r:.80}) returned {kind}: an array or a dict of arrays is expected"
        )
    is_plain = array.flags.c_contiguous or array.flags.f_contiguous
    if is_plain and array.flags.writeable and _is_all_of_its_memory(array):
        return np.asarray(array)
    return np.array(array, order="A", copy=True)


def _is_all_of_its_memory(array: Array) -> bool:
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if root.base is None:
        return bool(root.nbytes <= array.nbytes)
    if isinstance(root.base, mmap.mmap):
        return False
    try:
        return memoryview(root.base).nbytes <= array.nbytes
    except TypeError:
        return False
