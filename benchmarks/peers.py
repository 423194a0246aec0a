"""The libraries people call for this today, each at its best settings, on a sample of the pairs.

Peers are 10 to 500 times slower than the whole matrix takes us, so they get every k-th sequence as
a query against all later sequences (or every m-th of them), chosen before anything is timed. What
can be prepared once is prepared off the clock: bytes, databases, aligners. Profiles belong to a
query and are made once per query, on the clock.

With more than one thread each peer gets what is faster for it: pyopal and compiled loops threads,
the others, whose calls are too short to leave the interpreter's lock alone, processes.
"""

import ctypes
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.sequences import SequenceSet

# Score, identical columns and alignment length; -1 where a peer does not tell.
UNKNOWN = -1


@dataclass(frozen=True)
class Job:
    """One query against a range of later sequences."""

    row: int
    targets: range


def sample_jobs(lengths: np.ndarray, cells: float, whole_rows: bool, shares: int = 1) -> list:
    """Jobs of about `cells` cells in `shares` lists of nearly equal work.

    whole_rows: every k-th query against all later sequences; else 16 queries against every m-th.
    """
    n = len(lengths)
    pairs = max(shares, round(cells / lengths.mean() ** 2))
    wanted = -(-2 * pairs // n) if whole_rows else min(16, pairs)
    step = max(1, (n - 1) // max(1, wanted))
    rows = range(min(step // 2, n - 2), n - 1, step)
    stride = 1
    if not whole_rows:
        stride = max(1, sum(n - 1 - row for row in rows) // pairs)
    parts: list[list[Job]] = [[] for _ in range(shares)]
    for turn, row in enumerate(rows):
        targets = range(row + 1, n, stride)
        cuts = [len(targets) * share // shares for share in range(shares + 1)]
        for share in range(shares):
            # The queries' ranges rotate, so that nobody always gets the last sequences.
            part = targets[cuts[share] : cuts[share + 1]]
            parts[(share + turn) % shares].append(Job(row, part))
    return parts


def job_cells(lengths: np.ndarray, parts: list) -> int:
    return sum(
        int(lengths[job.row] * lengths[np.arange(len(lengths))[job.targets]].sum())
        for jobs in parts
        for job in jobs
    )


def job_pairs(parts: list) -> np.ndarray:
    """(pairs, 2) int64 in the order in which the peers answer."""
    pairs = [(job.row, target) for jobs in parts for job in jobs for target in job.targets]
    return np.array(pairs, np.int64).reshape(-1, 2)


def parasail_python(function: str, data: SequenceSet) -> Callable[[list[Job]], np.ndarray]:
    """parasail as a Python user calls it: a profile for each query, bytes as targets."""
    import parasail

    align = getattr(parasail, function)
    stats = "stats" in function
    width = function.rsplit("_", 1)[1]
    make = getattr(parasail, f"profile_create_{'stats_' if stats else ''}{width}")
    matrix = parasail.blosum62 if data.alphabet == "protein" else parasail.dnafull
    letters = [sequence.encode() for sequence in data.sequences]

    def run(jobs: list[Job]) -> np.ndarray:
        answers = []
        for job in jobs:
            profile = make(letters[job.row], matrix)
            for target in job.targets:
                result = align(profile, letters[target], data.gap_open, data.gap_extend)
                if stats:
                    answers.append((result.score, result.matches, result.length))
                else:
                    answers.append((result.score, UNKNOWN, UNKNOWN))
        return np.array(answers, np.int64)

    return run


def parasail_compiled(function: str, data: SequenceSet) -> Callable[[list[Job]], np.ndarray]:
    """The same C functions called from a compiled loop that holds no interpreter lock.

    This takes the Python calls (2-4 microseconds each) out of the peer's time: the C library
    itself. Most of them for short reads.
    """
    import parasail
    from numba import njit
    from parasail.bindings_v2 import _lib

    pointer, number = ctypes.c_ssize_t, ctypes.c_int

    def c_function(name: str, arguments: list, result: type) -> Callable:
        found = _lib[f"parasail_{name}"]  # [] gives a new object: the package's own keeps its types
        found.argtypes, found.restype = arguments, result
        return found

    stats = "stats" in function
    width = function.rsplit("_", 1)[1]
    create = c_function(
        f"profile_create_{'stats_' if stats else ''}{width}", [pointer, number, pointer], pointer
    )
    align = c_function(function, [pointer, pointer, number, number, number], pointer)
    score = c_function("result_get_score", [pointer], number)
    matches = c_function("result_get_matches" if stats else "result_get_score", [pointer], number)
    length = c_function("result_get_length" if stats else "result_get_score", [pointer], number)
    free_result = c_function("result_free", [pointer], None)
    free_profile = c_function("profile_free", [pointer], None)
    matrix = parasail.blosum62 if data.alphabet == "protein" else parasail.dnafull
    matrix_at = ctypes.addressof(matrix.pointer.contents)
    letters = np.frombuffer("".join(data.sequences).encode(), np.uint8)
    offsets = np.concatenate([[0], np.cumsum(data.lengths)])
    base, gap_open, gap_extend = letters.ctypes.data, data.gap_open, data.gap_extend

    @njit(nogil=True)
    def loop(row: int, targets: np.ndarray, answers: np.ndarray) -> None:
        profile = create(base + offsets[row], offsets[row + 1] - offsets[row], matrix_at)
        for k in range(targets.size):
            at = offsets[targets[k]]
            size = offsets[targets[k] + 1] - at
            result = align(profile, base + at, size, gap_open, gap_extend)
            answers[k, 0] = score(result)
            answers[k, 1] = matches(result) if stats else UNKNOWN
            answers[k, 2] = length(result) if stats else UNKNOWN
            free_result(result)
        free_profile(profile)

    def run(jobs: list[Job]) -> np.ndarray:
        answers = np.empty((sum(len(job.targets) for job in jobs), 3), np.int64)
        done = 0
        for job in jobs:
            targets = np.arange(job.targets.start, job.targets.stop, job.targets.step)
            loop(job.row, targets, answers[done : done + targets.size])
            done += targets.size
        return answers

    run.keep_alive = letters  # the loop knows its address only
    return run


def pyopal_score(overflow: str, data: SequenceSet) -> Callable[[list[Job]], np.ndarray]:
    """pyopal: a query against a prepared database, scores only."""
    import pyopal
    import scoring_matrices

    if data.alphabet == "protein":
        matrix = scoring_matrices.ScoringMatrix.from_name("BLOSUM62")
    else:  # four letters are enough for these sets, and the fewer the faster
        rows = [[5.0 if a == b else -4.0 for b in "ACGT"] for a in "ACGT"]
        matrix = scoring_matrices.ScoringMatrix(rows, alphabet="ACGT")
    aligner = pyopal.Aligner(matrix, gap_open=data.gap_open, gap_extend=data.gap_extend)
    database = pyopal.Database(data.sequences, matrix.alphabet)

    def run(jobs: list[Job]) -> np.ndarray:
        scores = [
            hit.score
            for job in jobs
            if len(job.targets)
            for hit in aligner.align(
                data.sequences[job.row],
                database,
                mode="score",
                overflow=overflow,
                start=job.targets.start,
                end=job.targets.stop,
            )
        ]
        answers = np.full((len(scores), 3), UNKNOWN, np.int64)
        answers[:, 0] = scores
        return answers

    return run


def biopython(returns: str, data: SequenceSet) -> Callable[[list[Job]], np.ndarray]:
    """Biopython's PairwiseAligner: `score`, or the first alignment and its counts."""
    from Bio.Align import PairwiseAligner, substitution_matrices

    name = "BLOSUM62" if data.alphabet == "protein" else "NUC.4.4"
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load(name)
    aligner.open_gap_score, aligner.extend_gap_score = -data.gap_open, -data.gap_extend

    def run(jobs: list[Job]) -> np.ndarray:
        answers = []
        for job in jobs:
            query = data.sequences[job.row]
            for target in job.targets:
                if returns == "score":
                    answer = (aligner.score(query, data.sequences[target]), UNKNOWN, UNKNOWN)
                else:
                    alignment = aligner.align(query, data.sequences[target])[0]
                    identical = alignment.counts().identities
                    answer = (alignment.score, identical, alignment.length)
                answers.append(answer)
        return np.array(answers).astype(np.int64)

    return run


def scikit_bio(data: SequenceSet) -> Callable[[list[Job]], np.ndarray]:
    """scikit-bio's pair_align, one path; identical columns are left uncounted, to its favour."""
    import skbio
    from skbio.alignment import pair_align

    kind = skbio.Protein if data.alphabet == "protein" else skbio.DNA
    sequences = [kind(sequence) for sequence in data.sequences]
    matrix = "BLOSUM62" if data.alphabet == "protein" else "NUC.4.4"
    costs = (data.gap_open - data.gap_extend, data.gap_extend)  # a gap of k: open + k extend

    def run(jobs: list[Job]) -> np.ndarray:
        answers = []
        for job in jobs:
            for target in job.targets:
                result = pair_align(
                    sequences[job.row],
                    sequences[target],
                    mode="local",
                    sub_score=matrix,
                    gap_cost=costs,
                    max_paths=1,
                )
                answers.append((result.score, UNKNOWN, UNKNOWN))
        return np.array(answers).astype(np.int64)

    return run


@dataclass(frozen=True)
class Peer:
    """A library's way of doing it: how it is made, how much of the set it gets, who carries it."""

    name: str
    returns: str
    make: Callable[..., Callable[[list[Job]], np.ndarray]]
    setting: tuple = ()
    slow: bool = False
    threads: bool = False

    def cells(self, toy: bool) -> float:
        """Cells of a trial: long enough for the clock, short enough for five rounds."""
        if toy:
            return 2e5
        return 2e7 if self.slow else 1.5e9


_PYTHON, _C = parasail_python, parasail_compiled
STRIPED, STATS = "sw_striped_profile_", "sw_stats_striped_profile_16"
IDENTITY = "score, identical, length"
PEERS = {
    peer.name: peer
    for peer in (
        Peer("parasail striped_16", "score", _PYTHON, (STRIPED + "16",)),
        Peer("parasail striped_sat", "score", _PYTHON, (STRIPED + "sat",)),
        Peer("parasail striped_16, C loop", "score", _C, (STRIPED + "16",), threads=True),
        Peer("parasail striped_sat, C loop", "score", _C, (STRIPED + "sat",), threads=True),
        Peer("parasail stats_striped_16", IDENTITY, _PYTHON, (STATS,)),
        Peer("parasail stats_striped_16, C loop", IDENTITY, _C, (STATS,), threads=True),
        Peer("pyopal simple", "score", pyopal_score, ("simple",), threads=True),
        Peer("pyopal buckets", "score", pyopal_score, ("buckets",), threads=True),
        Peer("Biopython score", "score", biopython, ("score",), slow=True),
        Peer("Biopython counts", IDENTITY, biopython, ("counts",), slow=True),
        Peer("scikit-bio pair_align", "score, alignment", scikit_bio, slow=True),
    )
}

_made: dict[str, Callable[[list[Job]], np.ndarray]] = {}


def _make_here(data: SequenceSet, names: list[str]) -> None:
    for name in names:
        _made[name] = PEERS[name].make(*PEERS[name].setting, data)


def _run_here(name: str, jobs: list[Job]) -> np.ndarray:
    return _made[name](jobs)


class Crew:
    """Peers ready to run on `shares` cores at once: processes, or threads where they are free."""

    def __init__(self, data: SequenceSet, names: list[str], shares: int) -> None:
        self.shares = shares
        self.processes: Executor | None = None
        _made.clear()
        here = [name for name in names if shares == 1 or PEERS[name].threads]
        away = [name for name in names if name not in here]
        _make_here(data, here)
        self.threads = ThreadPoolExecutor(shares)
        if away:
            context = multiprocessing.get_context("spawn")
            self.processes = ProcessPoolExecutor(shares, context, _make_here, (data, away))

    def run(self, name: str, parts: list[list[Job]]) -> np.ndarray:
        """(pairs, 3) int64: score, identical columns, length, in the order of job_pairs(parts)."""
        if self.shares == 1:
            return _run_here(name, parts[0])
        pool = self.threads if PEERS[name].threads else self.processes
        return np.concatenate(list(pool.map(_run_here, [name] * self.shares, parts)))

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *exception: object) -> None:
        self.threads.shutdown()
        if self.processes:
            self.processes.shutdown()
        _made.clear()
