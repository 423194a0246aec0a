"""Dissimilarities in zarr arrays: our own, of which the upper triangle may be all that is stored,
and those of others, in any chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.errors import InputProblem
from pipelines.formats import points_source, points_zarr
from pipelines.formats.dissimilarities_flat import USUAL_NAMES
from pipelines.formats.dissimilarities_source import TILE_BYTES, Read, cuts, not_square
from pipelines.formats.zarr_chunks import PlainChunks, plain_chunks


@dataclass(frozen=True)
class ZarrLayout:
    """A square array, or the member of a group. chunks: how they decode without zarr, or None."""

    name: str
    n: int
    stored: np.dtype
    url: str
    member: str  # "" for an array
    grain: tuple[int, int]
    upper: bool
    mirrored: bool
    chunks: PlainChunks | None

    @property
    def tile(self) -> tuple[int, int]:
        """Whole chunks; small ones together."""
        side = math.isqrt(TILE_BYTES // self.stored.itemsize)
        height, width = (max(side // chunk, 1) * chunk for chunk in self.grain)
        return height, width

    @contextmanager
    def reading(self) -> Iterator[Read]:
        if self.chunks is not None:
            yield self._by_chunk
            return
        array = points_zarr.node_of(self.url, self.name)
        array = array[self.member] if self.member else array

        def read(top: int, bottom: int, left: int, right: int) -> np.ndarray:
            try:
                block = np.asarray(array[top:bottom, left:right])
            except Exception as error:  # codecs and stores each have their own
                text = f"{self.name}: rows {top:,} to {bottom - 1:,} cannot be read: {error}"
                raise InputProblem(text, remedy="Copy it again.") from error
            return block.astype(self.stored, copy=False)

        yield read

    def _by_chunk(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """A view of one chunk, where it is one."""
        height, width = self.grain
        found: np.ndarray | None = None
        for first, behind in cuts(top, bottom, height):
            for begin, end in cuts(left, right, width):
                if self.upper and end <= first:
                    continue  # no such chunk
                i, j = first // height, begin // width
                part = self.chunks.rows(i, j, first - i * height, behind - i * height)
                part = part[:, begin - j * width : end - j * width]
                part = part.astype(self.stored, copy=False)
                if part.shape == (bottom - top, right - left):
                    return part
                if found is None:
                    found = np.zeros((bottom - top, right - left), self.stored)
                found[first - top : behind - top, begin - left : end - left] = part
        return found


def open_zarr(url: str, name: str, mirrored: bool) -> tuple[ZarrLayout, dict[str, Any]]:
    """(layout, attributes) of an array, or of the one in a group. Raises InputProblem.

    mirrored: it is one that whorl finished, so that both halves are equal
    """
    node = points_zarr.node_of(url, name)
    member = ""
    if not hasattr(node, "shape"):
        members = {key: item for key, item in node.members() if hasattr(item, "shape")}
        member = points_source.chosen_member(sorted(members), name, "array", USUAL_NAMES)
        node = members[member]
    if len(node.shape) != 2 or node.shape[0] != node.shape[1]:
        raise not_square(name, node.shape)
    if not node.shape[0]:
        raise InputProblem(f"{name} holds no records.", remedy="Give at least one.")
    points_source.kept_dtype(node.dtype, name)
    attributes = dict(node.attrs)
    upper = attributes.get("triangle") == "upper"
    n = int(node.shape[0])
    place = f"{url.rstrip('/')}/{member}" if member else url
    chunks = plain_chunks(node, place, name, mirrored)
    layout = ZarrLayout(
        name, n, node.dtype.newbyteorder("="), url, member, tuple(map(int, node.chunks)), upper,
        mirrored, chunks,
    )  # fmt: skip
    return layout, attributes


def scale_of(attributes: dict[str, Any], stored: np.dtype, name: str) -> float:
    """By what stored whole numbers are multiplied. Raises InputProblem."""
    scale = attributes.get("scale_factor", 1.0)
    if stored.kind == "f":
        scale = 1.0 if scale is None else scale
    usable = isinstance(scale, int | float) and 0 < scale < math.inf
    if not usable or attributes.get("add_offset"):
        text = f"{name} has scale_factor {scale!r} and add_offset {attributes.get('add_offset')!r}."
        raise InputProblem(text, remedy="A positive scale and no offset can be read.")
    return float(scale)
