"""FASTA text to letters, lengths and line numbers: one pass, no loop over lines.

The parser knows lines and records, not which letters are right. It counts bytes and keeps the
places of the first few that no alphabet knows and of the first few that no nucleotide alphabet
knows, because once the line ends are gone nobody could tell line and column. It gives the same
answer for any cut of the text into blocks.
"""

from dataclasses import dataclass, field

import numpy as np

from kernels.sequences import FOREIGN, code_table

PLACES = 5  # how many foreign letters are remembered with line and column
BLANKS = b" \t\v\f"
GAPS = b"-."

_NEWLINE, _HEADER = 10, 62


def _marks(wanted: bytes) -> bytes:
    """A table for bytes.translate: 1 for the wanted bytes, 0 for all others."""
    return bytes(byte in wanted for byte in range(256))


_PROTEIN, _DNA = code_table("protein"), code_table("dna")
NO_LETTER = bytes(b for b in range(256) if _PROTEIN[b] == FOREIGN and _DNA[b] == FOREIGN)
NO_NUCLEOTIDE = bytes(b for b in range(256) if _PROTEIN[b] != FOREIGN and _DNA[b] == FOREIGN)


@dataclass(frozen=True)
class Place:
    """Where a byte stands: record counts from 0, line and column from 1."""

    byte: int
    record: int
    line: int
    column: int


@dataclass
class Parsed:
    """All records of a text; letters are raw bytes without blanks, line ends and dropped gaps."""

    letters: list[bytes] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)  # joined by newlines, without the ">"
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (n,) letters
    lines: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (n,) of the headers
    counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))  # of the letters
    no_letter: list[Place] = field(default_factory=list)  # foreign in every alphabet
    no_nucleotide: list[Place] = field(default_factory=list)  # amino acids only
    gaps: int = 0  # gap letters that were dropped
    orphans: int = 0  # letters before the first header


@dataclass(frozen=True)
class _Segments:
    """The sequence parts of a block; the first continues the record of the block before."""

    starts: np.ndarray  # in the block
    sizes: np.ndarray  # bytes, line ends included
    before: np.ndarray  # bytes of the segments before, which is the place in the joined text
    joined: bytes
    lengths: np.ndarray  # letters

    def of(self, places: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.before, places, side="right") - 1


class BlockParser:
    """Feed the text block by block, then finish. `gaps` are letters to drop beside blanks."""

    def __init__(self, gaps: bytes = b""):
        self.parsed = Parsed()
        self.n = 0
        self._gaps = gaps
        self._dropped = BLANKS + gaps
        self._tail = b""  # a header, or a CR, whose end is not here yet
        self._line = 0  # line ends seen
        self._column = 0  # bytes of the unfinished line seen
        self._lengths: list[np.ndarray] = []
        self._lines: list[np.ndarray] = []

    def feed(self, block: bytes) -> None:
        """The next bytes of the text."""
        text = self._tail + block if self._tail else block
        self._tail = b""
        if b"\r" in text:
            held = b"\r" if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            self._parse(text)
            self._tail += held
        else:
            self._parse(text)

    def finish(self) -> Parsed:
        """Everything that was fed; a last line without an end counts as ended."""
        text = self._tail.replace(b"\r", b"\n")
        self._tail = b""
        self._parse(text + b"\n")
        empty = np.zeros(0, np.int64)
        self.parsed.lengths = np.concatenate([empty, *self._lengths])
        self.parsed.lines = np.concatenate([empty, *self._lines])
        return self.parsed

    def _parse(self, text: bytes) -> None:
        if not text:
            return
        data = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(data == _NEWLINE)
        after = ends + 1
        if after.size and after[-1] == data.size:
            after = after[:-1]
        before = np.flatnonzero(data[after] == _HEADER)  # the line end before each header
        starts = after[before]
        if self._column == 0 and text[0] == _HEADER:
            before = np.concatenate([[-1], before])
            starts = np.concatenate([[0], starts])
        if starts.size and before[-1] + 1 >= ends.size:  # the last header is cut
            self._tail = text[starts[-1] :]
            text = text[: starts[-1]]
            before, starts = before[:-1], starts[:-1]
        self._headers(text, starts, ends[before + 1], before)
        self._sequences(text, starts, ends, before)
        self._line += ends.size
        if ends.size:
            self._column = len(text) - int(ends[-1]) - 1
        else:
            self._column += len(text)

    def _headers(
        self, text: bytes, starts: np.ndarray, stops: np.ndarray, before: np.ndarray
    ) -> None:
        if starts.size:
            cuts = zip((starts + 1).tolist(), stops.tolist(), strict=True)
            self.parsed.headers.append(b"\n".join([text[a:b] for a, b in cuts]))
            self._lines.append(before + (self._line + 2))

    def _sequences(
        self, text: bytes, starts: np.ndarray, ends: np.ndarray, before: np.ndarray
    ) -> None:
        first = np.concatenate([[0], ends[before + 1] + 1])
        last = np.concatenate([starts, [len(text)]])
        sizes = last - first
        cuts = zip(first.tolist(), last.tolist(), strict=True)
        joined = text if not starts.size else b"".join([text[a:b] for a, b in cuts])
        line_ends = np.concatenate([before + 1, [ends.size]]) - np.concatenate([[0], before + 2])
        # replace runs at the speed of memory but pays per line end; translate pays per byte
        dense = ends.size * 16 > len(joined)
        letters = joined.translate(None, b"\n") if dense else joined.replace(b"\n", b"")
        counts = byte_counts(letters)
        offsets = np.cumsum(sizes) - sizes
        segments = _Segments(first, sizes, offsets, joined, sizes - line_ends)
        if counts[list(self._dropped)].any():
            letters = letters.translate(None, self._dropped)
            places = np.flatnonzero(
                np.frombuffer(joined.translate(_marks(self._dropped)), np.uint8)
            )
            # an empty segment shares its offset with the next one: `of` names the filled one
            segments.lengths[:] -= np.bincount(segments.of(places), minlength=sizes.size)
            self.parsed.gaps += int(counts[list(self._gaps)].sum())
            counts[list(self._dropped)] = 0
        self.parsed.counts += counts
        self._remember(self.parsed.no_letter, NO_LETTER, counts, segments, ends)
        self._remember(self.parsed.no_nucleotide, NO_NUCLEOTIDE, counts, segments, ends)
        self._append(letters, segments.lengths)

    def _append(self, letters: bytes, lengths: np.ndarray) -> None:
        if letters:
            self.parsed.letters.append(letters)
        if self._lengths:
            self._lengths[-1][-1] += lengths[0]
        else:
            self.parsed.orphans += int(lengths[0])
        if lengths.size > 1:
            self._lengths.append(lengths[1:])
            self.n += lengths.size - 1

    def _remember(
        self,
        places: list[Place],
        wanted: bytes,
        counts: np.ndarray,
        segments: _Segments,
        ends: np.ndarray,
    ) -> None:
        """Note line and column of the wanted bytes, as long as there are fewer than PLACES."""
        if len(places) >= PLACES or not counts[list(wanted)].any():
            return
        dropped = bytes(set(wanted) - set(self._dropped + b"\n"))
        found = np.flatnonzero(np.frombuffer(segments.joined.translate(_marks(dropped)), np.uint8))
        for place in found[: PLACES - len(places)].tolist():
            segment = int(segments.of(np.array([place]))[0])
            at = int(segments.starts[segment]) + place - int(segments.before[segment])
            line = int(np.searchsorted(ends, at))
            column = at - int(ends[line - 1]) if line else self._column + at + 1
            record = self.n + segment - 1
            places.append(Place(segments.joined[place], record, self._line + line + 1, column))


def byte_counts(data: bytes) -> np.ndarray:
    """How often each byte value occurs, (256,) int64."""
    if len(data) < 2**17:
        return np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    counts = np.zeros(256, np.int64)
    pairs = np.frombuffer(data, np.uint16, len(data) // 2)  # half as many things to count
    step = 2**17  # bincount makes int64 of them, which should fit the cache
    for start in range(0, pairs.size, step):
        both = np.bincount(pairs[start : start + step], minlength=2**16).reshape(256, 256)
        counts += both.sum(axis=0) + both.sum(axis=1)
    if len(data) % 2:
        counts[data[-1]] += 1
    return counts
