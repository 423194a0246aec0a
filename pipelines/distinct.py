"""Sequences that occur more than once: taken together, counted, and given back to every record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise

import numpy as np

from kernels.sequences import letters
from pipelines.formats.fasta import Records


@dataclasses.dataclass(frozen=True)
class Distinct:
    """n records, of which u have letters of their own. Distinct sequences are in the order of their
    first records.

    first (u,) int64    number of the first record of each distinct sequence
    group (n,) int64    which distinct sequence a record has
    """

    first: np.ndarray
    group: np.ndarray

    @property
    def n(self) -> int:
        """Distinct sequences."""
        return len(self.first)

    @property
    def duplicates(self) -> int:
        """Records whose letters an earlier record has too."""
        return len(self.group) - len(self.first)

    @property
    def counts(self) -> np.ndarray:
        """(u,) int64 records of each distinct sequence."""
        return np.bincount(self.group, minlength=self.n)

    def labels(self, labels: Sequence[str | None]) -> list[str | None]:
        """The label of each distinct sequence: that of its records, None where they have none or
        several."""
        seen: list[set[str]] = [set() for _ in range(self.n)]
        for group, label in zip(self.group.tolist(), labels, strict=True):
            if label is not None:
                seen[group].add(label)
        return [next(iter(some)) if len(some) == 1 else None for some in seen]


def distinct_of(records: Records) -> Distinct:
    """Records with the same residue codes are one: case, and T or U, make no difference."""
    view = memoryview(records.codes)
    number: dict[bytes, int] = {}
    group = np.empty(records.n, np.int64)
    first = []
    for k, (start, stop) in enumerate(pairwise(records.offsets.tolist())):
        key = sha256(view[start:stop]).digest()
        found = number.setdefault(key, len(first))
        if found == len(first):
            first.append(k)
        group[k] = found
    return Distinct(np.array(first, np.int64), group)


def taken(records: Records, rows: np.ndarray) -> Records:
    """Some records, in the order of their numbers `rows`; skipped and warnings are of all."""
    lengths = records.lengths[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    parts = [records.codes[records.offsets[k] : records.offsets[k + 1]] for k in rows]
    return dataclasses.replace(
        records,
        ids=[records.ids[k] for k in rows],
        descriptions=[records.descriptions[k] for k in rows],
        codes=np.concatenate([*parts, np.empty(0, np.uint8)]),
        offsets=offsets,
        lines=records.lines[rows],
    )


def fasta_bytes(records: Records, rows: np.ndarray) -> bytes:
    """A FASTA file of some records, a line of letters each; it is read as the same codes."""
    alphabet = letters(records.alphabet)
    if records.alphabet == "rna":
        alphabet = alphabet.replace("T", "U")
    table = np.frombuffer(alphabet.encode(), np.uint8)
    parts = []
    for k in rows.tolist():
        codes = records.codes[records.offsets[k] : records.offsets[k + 1]]
        text = records.descriptions[k]
        header = f"{records.ids[k]} {text}" if text else records.ids[k]
        parts += [b">", header.encode(), b"\n", table[codes].tobytes(), b"\n"]
    return b"".join(parts)
