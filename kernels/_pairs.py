"""Which pairs go into which lanes: batches, the width of their lanes, re-runs of what overflowed.

Work on one block of pairs: `rows` and `columns` are indices of sequences. A *job* aligns some
queries with some targets, batch by batch, each batch with its own packing of keys (see _keys.py).
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from kernels._gotoh import Form, kernel, tile_columns
from kernels._jit import njit
from kernels._keys import Packing, Scheme, choose, key_table, record, scheme

# From the fastest on. A rebased form may be tried beyond its range: what overflows goes on.
LADDERS = {
    "score": (Form(8, True), Form(16, False), Form(16, True), Form(32, False), Form(64, False)),
    "identical": (
        Form(16, False), Form(16, True), Form(16, True, narrow=2),
        Form(16, True, narrow=1),
        Form(32, False), Form(32, True), Form(64, False),
    ),
    "columns": (
        Form(32, False), Form(32, False, narrow=1), Form(32, True, narrow=1),
        Form(32, True), Form(64, False),
    ),
}  # fmt: skip
HOPELESS = 0.4  # share of overflowing pairs beyond which a narrow form costs more than it saves
PROBE = 12  # queries of a batch that tell the share
PATIENCE = 2  # batches in a row for which a form was hopeless, after which it rests
REST = 100  # batches, before it is tried once more
MOST_QUERIES = 512  # of a job, so that threads end together
STRETCH = 2  # a batch holds targets up to this many times its shortest
WASTE = 2  # lanes x columns beyond this many times the letters: align the other way round


class Group(NamedTuple):
    """Sequences in one vector, for the kernels: writable, contiguous, with what the bounds need."""

    codes: np.ndarray  # (letters,) uint8
    starts: np.ndarray  # (n,) int64
    lengths: np.ndarray  # (n,) int64
    bounds: np.ndarray  # (n,) int64: no alignment of the sequence scores more
    letters: np.ndarray  # (n,) int64: a bit for every code that occurs
    scores: np.ndarray  # (a, a) int64
    gap_open: int
    gap_extend: int


class Job(NamedTuple):
    """Pairs to align: queries x targets, with the ladder's forms from `step` on.

    Queries are rows and targets columns of the block, or, `turned`, the other way round.
    """

    queries: np.ndarray
    targets: np.ndarray
    step: int
    turned: bool = False


def group(codes, offsets, scores, gap_open, gap_extend) -> Group:
    """The sequences codes[offsets[i]:offsets[i + 1]] as the jobs want them."""
    codes = np.require(codes, np.uint8, ["C", "W"])
    offsets = np.asarray(offsets, np.int64)
    scores = np.asarray(scores, np.int64)
    best = np.maximum(scores.max(axis=1), 0)
    sums = np.concatenate([[0], np.cumsum(best[codes])])
    bounds = sums[offsets[1:]] - sums[offsets[:-1]]
    starts, lengths = offsets[:-1].copy(), np.diff(offsets)
    letters = letter_bits(codes, starts, lengths)
    return Group(codes, starts, lengths, bounds, letters, scores, int(gap_open), int(gap_extend))


@njit
def interleave(codes, starts, lengths, complement, padding, out):
    """Targets into lanes: out[column * L + lane], padded.

    With a table of complements: the other strand.
    """
    lanes = out.size // max(lengths.max(), 1)
    for lane in range(lanes):
        n = lengths[lane] if lane < lengths.size else 0
        for j in range(out.size // lanes):
            code = padding
            if j < n and complement.size:
                code = complement[codes[starts[lane] + n - 1 - j]]
            elif j < n:
                code = codes[starts[lane] + j]
            out[j * lanes + lane] = code


_misses: dict[tuple, int] = {}  # of forms, for like work of this process: what it costs, not gives


def is_resting(key: tuple) -> bool:
    """Whether a form was hopeless for like batches lately, and is not to be tried for a while."""
    misses = _misses.get(key, 0)
    if misses < PATIENCE:
        return False
    _misses[key] = misses + 1 if misses < PATIENCE + REST else PATIENCE - 1
    return True


class Counts:
    """Scores and columns of all pairs of a block: jobs fill them in, overflows become new jobs.

    Rows and columns are kept in ascending length (`rows`, `columns` say which sequence stands
    where), so that a batch of neighbours wastes few lanes. A `triangle` has the same rows and
    columns, and fills [q, t], q > t.
    score, identical, others   (rows, columns), int32 but for scores beyond; empty where not wanted
    """

    def __init__(
        self, pairs: Group, rows, columns, *, triangle, kind, scored=True, complement=None
    ):
        self.pairs, self.kind, self.triangle = pairs, kind, triangle
        rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        self.rows = rows[np.argsort(pairs.lengths[rows], kind="stable")]
        self.columns = columns[np.argsort(pairs.lengths[columns], kind="stable")]
        self.complement = np.zeros(0, np.uint8) if complement is None else complement
        shape, none = (rows.size, columns.size), (0, 0)
        wide = rows.size and int(pairs.bounds[rows].max()) >= 2**31
        self.score = np.zeros(shape if scored else none, np.int64 if wide else np.int32)
        self.identical = np.zeros(none if kind == "score" else shape, np.int32)
        self.others = np.zeros(shape if kind == "columns" else none, np.int32)
        self.repeated = 0  # pairs aligned again in wider lanes
        self._wanted = np.zeros(none, bool)  # of a repetition
        self._failed: list[tuple[np.ndarray, int]] = []
        self._lock = threading.Lock()

    def fill(self, n_threads: int = 1) -> None:
        """Align all pairs on `n_threads` threads."""
        jobs = list(self._first_jobs(n_threads))
        while jobs:
            cost = [self._cost(job) for job in jobs]
            jobs = [jobs[k] for k in np.argsort(cost, kind="stable")[::-1]]
            if n_threads > 1 and len(jobs) > 1:
                with ThreadPoolExecutor(n_threads) as pool:
                    list(pool.map(self._run, jobs))
            else:
                for job in jobs:
                    self._run(job)
            jobs = list(self._next_jobs())

    def run_step(self, step: int) -> None:
        """Align the first pair in one form, whatever overflows: to compile it."""
        first = np.zeros(1, np.int64)
        form = LADDERS[self.kind][step]
        found, scoring = self._limits(self.rows[first], self.columns[first], form)
        if found is not None:
            pack, _, _, zero, most = found
            self._align(Job(first, first, step), pack, zero, most, scoring)

    def _cost(self, job: Job) -> int:
        """Cells of one lane: what the heaviest job is told by."""
        queries = self._lengths(self.rows, job.queries)
        return int(queries.sum() * self._lengths(self.columns, job.targets)[-1])

    def _lengths(self, side: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return self.pairs.lengths[side[chosen]]

    def _first_jobs(self, n_threads: int) -> Iterator[Job]:
        lanes = max(form.lanes for form in LADDERS[self.kind])
        most = MOST_QUERIES
        if n_threads > 1:  # several pieces for each thread, and none too small to be probed
            most = min(max(self.rows.size // (2 * n_threads), 4 * PROBE), MOST_QUERIES)
        for at in range(0, self.columns.size, lanes):
            targets = np.arange(at, min(at + lanes, self.columns.size))
            queries = np.arange(at + 1 if self.triangle else 0, self.rows.size)
            for piece in np.array_split(queries, -(-queries.size // most) or 1):
                if piece.size:
                    yield Job(piece, targets, 0)

    def _next_jobs(self) -> Iterator[Job]:
        """What failed in some form, to be aligned in the next one that can hold it."""
        waiting, self._failed = self._failed, []
        self._wanted = np.zeros((self.rows.size, self.columns.size), bool)
        for step in sorted({step for _, step in waiting}):
            pairs = np.concatenate([pair for pair, of in waiting if of == step])
            self.repeated += len(pairs)
            self._wanted[pairs[:, 0], pairs[:, 1]] = True
            asks = np.zeros(self._wanted.shape, np.float32)
            asks[pairs[:, 0], pairs[:, 1]] = 1
            for targets in alike_columns(
                asks, LADDERS[self.kind][step].lanes, symmetric=self.triangle
            ):
                yield Job(np.flatnonzero(asks[:, targets].any(axis=1)), targets, step)

    def _run(self, job: Job) -> None:
        """Align a job batch by batch, each in the narrowest lanes that may hold its keys."""
        at = 0
        while at < job.targets.size:
            batch, form, surely, limits = self._next_batch(job, at)
            at += batch.targets.size
            if not batch.queries.size:
                continue
            lengths = self._lengths(self._sides(job)[1], batch.targets)
            wasteful = form.lanes * lengths[-1] > WASTE * lengths.sum()
            if wasteful and not job.turned and batch.queries.size > batch.targets.size:
                self._run(Job(batch.targets, batch.queries, job.step, turned=True))
            elif surely or batch.queries.size <= 2 * PROBE:
                self._align(batch, *limits)
            else:
                probe = np.arange(batch.queries.size) % (batch.queries.size // PROBE) == 0
                first = batch._replace(queries=batch.queries[probe])
                rest = batch._replace(queries=batch.queries[~probe])
                seen, failed = self._align(first, *limits)
                hopeless = failed > HOPELESS * seen
                key = (self.kind, form, limits[3], int(lengths[-1]).bit_length())
                _misses[key] = _misses.get(key, 0) + 1 if hopeless else 0
                if hopeless:
                    self._run(rest._replace(step=batch.step + 1))
                else:
                    self._align(rest, *limits)

    def _sides(self, job: Job) -> tuple[np.ndarray, np.ndarray]:
        """Where the sequences of the job's queries and targets are found."""
        return (self.columns, self.rows) if job.turned else (self.rows, self.columns)

    def _next_batch(self, job: Job, at: int):
        """The batch from target `at` on.

        (batch, its form, whether no key can overflow, (packing, zero, most, scheme))
        """
        queries_of, targets_of = self._sides(job)
        lengths = self._lengths(targets_of, job.targets[at:])
        alike = int(np.searchsorted(lengths, STRETCH * max(lengths[0], 1), side="right"))
        for step in range(job.step, len(LADDERS[self.kind])):
            form = LADDERS[self.kind][step]
            targets = job.targets[at : at + min(form.lanes, alike)]
            queries = job.queries
            if self.triangle and not job.turned:
                queries = queries[queries > targets[0]]
                if queries.size:
                    targets = targets[targets < queries[-1]]
            batch = Job(queries, targets, step, job.turned)
            if not queries.size:
                return batch, form, True, ()
            found, scoring = self._limits(queries_of[queries], targets_of[targets], form)
            if found is None:
                continue
            pack, surely, possible, zero, most = found
            surely = surely and not form.narrow
            longest = int(lengths[: targets.size].max())
            key = (self.kind, form, scoring, longest.bit_length())
            if surely or (possible and not is_resting(key)):
                return batch, form, surely, (pack, zero, most, scoring)
        raise ValueError("the keys of a pair do not fit 64 bits; see unfit_pair")

    def _limits(self, q: np.ndarray, t: np.ndarray, form: Form):
        """What `choose` says of sequences q against t in a form, and their scheme."""
        pairs = self.pairs
        rows, columns = int(pairs.lengths[q].max()), int(pairs.lengths[t].max())
        bound = int(min(pairs.bounds[q].max(), pairs.bounds[t].max()))
        letters = int(np.bitwise_or.reduce(pairs.letters[q]) | self._target_letters(t))
        scoring = scheme(pairs.scores, letters, pairs.gap_open, pairs.gap_extend)
        return choose(self.kind, form, scoring, rows, columns, bound), scoring

    def _target_letters(self, t: np.ndarray) -> int:
        letters = int(np.bitwise_or.reduce(self.pairs.letters[t]))
        if not self.complement.size:
            return letters
        return sum(1 << int(c) for code, c in enumerate(self.complement) if letters >> code & 1)

    def _align(self, job: Job, pack: Packing, zero: int, most: int, scoring: Scheme):
        """Align queries with one batch of targets. Returns (pairs unpacked, pairs failed)."""
        pairs, form = self.pairs, LADDERS[self.kind][job.step]
        queries_of, targets_of = self._sides(job)
        q, t = queries_of[job.queries], targets_of[job.targets]
        columns = max(int(pairs.lengths[t].max()), 1)  # of padding, where all targets are empty
        padding = pairs.scores.shape[0]
        lanes = np.empty(columns * form.lanes, np.uint8)
        interleave(pairs.codes, pairs.starts[t], pairs.lengths[t], self.complement, padding, lanes)
        table = key_table(pack, pairs.scores).astype(form.dtype).ravel()
        used = self._used(q)
        keys = np.empty((q.size, form.lanes), np.int64)
        kernel(form)(
            pairs.codes, pairs.starts[q], pairs.lengths[q], lanes, columns, table, used,
            tile_columns(form, columns, int(used.sum())), zero, pack.gap_open, pack.gap_extend,
            keys,
        )  # fmt: skip
        failed = np.empty((q.size * t.size, 3), np.int64)
        seen, n = record(
            keys, job.queries, job.targets, pairs.lengths[q], pairs.lengths[t], job.turned,
            self.triangle, self._wanted, most, tuple(pack), scoring.match, pairs.gap_open,
            pairs.gap_extend, self.score, self.identical, self.others, failed,
        )  # fmt: skip
        self._pass_on(failed[:n], job.step)
        return seen, n

    def _pass_on(self, failed: np.ndarray, step: int) -> None:
        """Overflows go to the next form; several readings to the next whose keys have one."""
        ladder = LADDERS[self.kind]
        single = step + 1
        while single < len(ladder) - 1 and ladder[single].narrow:
            single += 1
        for unclear, to in ((False, step + 1), (True, single)):
            pairs = failed[failed[:, 2] == unclear, :2]
            if pairs.size:
                with self._lock:
                    self._failed.append((pairs.copy(), to))

    def _used(self, sequences) -> np.ndarray:
        """Which codes occur in any of the sequences; the padding does."""
        letters = int(np.bitwise_or.reduce(self.pairs.letters[sequences]))
        codes = range(self.pairs.scores.shape[0])
        return np.array([*(letters >> code & 1 for code in codes), 1], np.int64)


def alike_columns(asks: np.ndarray, lanes: int, *, symmetric: bool) -> Iterator[np.ndarray]:
    """Cut the columns that are asked for into batches, those of the same rows together.

    asks (rows, columns) float32   1 where a pair is asked for
    symmetric                      rows and columns are the same sequences, [q, t] means [t, q] too
    A batch: the first column that is left, and of those like it the nearest.
    """
    pattern = (asks + asks.T if symmetric else asks).T
    left = np.flatnonzero(asks.any(axis=0))
    weight = pattern.sum(axis=1)
    while left.size:
        shared = pattern[left] @ pattern[left[0]]
        like = shared / (weight[left] + weight[left[0]] - shared)
        like[0] = 0
        order = np.argsort(like < like.max() / 2, kind="stable")
        chosen = np.concatenate([[0], order[order > 0]])[:lanes]
        yield np.sort(left[chosen])
        left = np.delete(left, chosen)


@njit
def letter_bits(codes, starts, lengths):
    """(n,) int64: bit c is set where code c occurs in the sequence."""
    bits = np.zeros(starts.size, np.int64)
    for k in range(starts.size):
        for i in range(starts[k], starts[k] + lengths[k]):
            bits[k] |= np.int64(1) << codes[i]
    return bits
