"""Values as messages: pickled, with the memory of arrays beside the pickle and not copied.

body: number of buffers (8 bytes), their lengths (8 bytes each), pickle, buffers; the pickle and
each buffer begin at a multiple of 64 bytes, so that the arrays on the other side are aligned.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

ALIGN = 64


def pack(value: Any) -> list[Any]:
    """The body of a message in pieces. Arrays that are C- or F-contiguous are pieces themselves."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    contents: list[Any] = [pickled, *(buffer.raw() for buffer in buffers)]
    lengths = [len(content) for content in contents]
    head = np.array([len(contents), *lengths], np.int64).tobytes()
    pieces: list[Any] = []
    for content in (head, *contents):
        pieces.append(content)
        pieces.append(bytes(-len(content) % ALIGN))
    return [piece for piece in pieces if len(piece)]


def unpack(body: np.ndarray) -> Any:
    """The value; its arrays are views of `body` (uint8, writable) and can be written to."""
    count = int(body[:8].view(np.int64)[0])
    lengths = body[8 : 8 + 8 * count].view(np.int64).tolist()
    at = _padded(8 + 8 * count)
    contents = []
    for length in lengths:
        contents.append(body[at : at + length])
        at += _padded(length)
    return pickle.loads(contents[0].data, buffers=contents[1:])


def _padded(length: int) -> int:
    return -(-length // ALIGN) * ALIGN
