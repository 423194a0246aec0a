"""All-pairs Smith-Waterman-Gotoh: `kernels.swg.distance_matrix` against the libraries in use.

Ours is the whole public call: letters in, encoding, all pairs i < j, the matrix out. The rate of
everybody is cells of unordered pairs per second: sum of len(a) len(b), whatever was computed twice
or for padding.
"""

import contextlib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import harness, peers
from benchmarks.harness import Contender, tell
from benchmarks.sequences import SequenceSet
from kernels import swg
from kernels._pairs import LADDERS

IDENTITY_PEERS = ("parasail stats_striped_16", "parasail stats_striped_16, C loop")
SCORE_PEERS = (
    "parasail striped_16",
    "parasail striped_sat",
    "parasail striped_16, C loop",
    "parasail striped_sat, C loop",
    "pyopal simple",
    "pyopal buckets",
)
# Who is compared with which distance. Biopython and scikit-bio once each: they are far away.
PEERS_OF = {
    "identity-longer": (*IDENTITY_PEERS, "Biopython counts", "scikit-bio pair_align"),
    "identity-shorter": IDENTITY_PEERS,
    "identity-aligned": IDENTITY_PEERS,
    "score-max": SCORE_PEERS,
    "score-min": SCORE_PEERS,
    "score": (*SCORE_PEERS, "Biopython score"),
}
# Proteins only: the score pass without its 8-bit lanes and the repeats they bring.
SCORE_INT16 = "score-int16"
PEERS_OF[SCORE_INT16] = SCORE_PEERS
DISTANCES = ("identity-longer", "identity-aligned", "score", SCORE_INT16)
HEADING = (
    "contender",
    "gives",
    "GCUPS",
    "lowest",
    "highest",
    "ours is",
    "lowest",
    "highest",
    "by CPU",
)
ORACLE_PAIRS = 1000


@dataclass(frozen=True)
class Setting:
    """What a run of this benchmark does."""

    threads: tuple[int, ...] = (1, 2)
    trials: int = 5
    distances: tuple[str, ...] = DISTANCES
    peers: tuple[str, ...] | None = None
    toy: bool = False

    def peers_of(self, distance: str) -> list[str]:
        """The peers of a distance, less those that were not asked for."""
        wanted = PEERS_OF[distance]
        return [name for name in wanted if self.peers is None or name in self.peers]


def ours(data: SequenceSet, distance: str, threads: int) -> Contender:
    """The public function on the whole set; its result is the (n, n) matrix."""

    def run() -> np.ndarray:
        with _lanes_of_16(distance == SCORE_INT16):
            return swg.distance_matrix(
                data.sequences,
                alphabet=data.alphabet,
                gap_open=data.gap_open,
                gap_extend=data.gap_extend,
                distance="score" if distance == SCORE_INT16 else distance,
                n_threads=threads,
            )

    plural = "s" if threads > 1 else ""
    return Contender(f"ours {distance}, {threads} thread{plural}", "matrix", data.cells, run)


@contextlib.contextmanager
def _lanes_of_16(wanted: bool) -> Iterator[None]:
    """Keep the score pass from 8-bit lanes: no option of the product, which knows better."""
    ladder = LADDERS["score"]
    if wanted:
        LADDERS["score"] = tuple(form for form in ladder if form.bits > 8)
    try:
        yield
    finally:
        LADDERS["score"] = ladder


def run(data: SequenceSet, setting: Setting) -> list[dict]:
    """Measure, verify and show one set; one record for each number of threads, ready to be kept."""
    lengths = data.lengths
    tell(
        f"\n## {data.name}: {len(lengths)} {data.alphabet} sequences, mean length "
        f"{lengths.mean():.0f}, {data.cells / 1e9:.3f} G cells of unique pairs"
    )
    if data.alphabet != "protein":
        kept = tuple(name for name in setting.distances if name != SCORE_INT16)
        setting = replace(setting, distances=kept)
    records = [_run_threads(data, setting, threads) for threads in setting.threads]
    if len(setting.threads) > 1:
        records.append(_run_scaling(data, setting))
    return records


def _run_threads(data: SequenceSet, setting: Setting, threads: int) -> dict:
    names = sorted({name for distance in setting.distances for name in setting.peers_of(distance)})
    parts = {name: _sample(data, name, threads, setting.toy) for name in names}
    watch = harness.Watch()
    timed, comparisons, rows, best = [], [], [], []
    with peers.Crew(data, names, threads) as crew:
        for distance in setting.distances:
            group = [ours(data, distance, threads)]
            group += [_peer(data, name, parts[name], crew) for name in setting.peers_of(distance)]
            harness.alternate(group, setting.trials)
            timed += group
            comparisons += [harness.comparison(group[0], other) for other in group[1:]]
            rows += _rows(group)
            best += _best(group)
    shares = watch.shares()
    verified = verify(data, timed, parts, 100 if setting.toy else ORACLE_PAIRS)
    tell(f"\n{data.name}, {threads} thread{'s' if threads > 1 else ''}")
    tell(harness.table(HEADING, rows))
    for line in [*best, *verified["lines"], harness.disturbance(shares)]:
        tell(line)
    record = _record(data, setting, timed, comparisons)
    return record | shares | {"threads": threads, "verified": verified}


def _run_scaling(data: SequenceSet, setting: Setting) -> dict:
    """Our own second, third ... thread: the numbers of threads in turn."""
    watch = harness.Watch()
    timed, comparisons, rows = [], [], []
    for distance in setting.distances:
        group = [ours(data, distance, threads) for threads in sorted(setting.threads)]
        harness.alternate(group, setting.trials)
        timed += group
        comparisons += [harness.comparison(more, group[0]) for more in group[1:]]
        for more in group[1:]:
            values = harness.ratios(more, group[0])
            low, middle, high = min(values), statistics.median(values), max(values)
            rows.append((more.name, f"{middle:.2f} times one thread", f"{low:.2f}", f"{high:.2f}"))
    shares = watch.shares()
    tell(f"\n{data.name}, threads")
    tell(harness.table(("ours", "speed-up", "lowest", "highest"), rows))
    tell(harness.disturbance(shares))
    return _record(data, setting, timed, comparisons) | shares | {"threads": "scaling"}


def _record(
    data: SequenceSet, setting: Setting, timed: Sequence[Contender], comparisons: list[dict]
) -> dict:
    return {
        "benchmark": "swg",
        "set": data.name,
        "n": len(data.sequences),
        "mean_length": round(float(data.lengths.mean()), 1),
        "cells": data.cells,
        "gap_costs": [data.gap_open, data.gap_extend],
        "toy": setting.toy,
        "trials": setting.trials,
        "contenders": [contender.record() for contender in timed],
        "comparisons": comparisons,
    }


def _sample(data: SequenceSet, name: str, threads: int, toy: bool) -> list[list[peers.Job]]:
    peer = peers.PEERS[name]
    # Each core gets the same work for any number of cores: a trial lasts as long.
    return peers.sample_jobs(data.lengths, peer.cells(toy) * threads, not peer.slow, threads)


def _peer(data: SequenceSet, name: str, parts: list, crew: peers.Crew) -> Contender:
    cells = peers.job_cells(data.lengths, parts)
    peer = peers.PEERS[name]
    elsewhere = len(parts) > 1 and not peer.threads
    return Contender(name, peer.returns, cells, lambda: crew.run(name, parts), elsewhere)


def _rows(group: Sequence[Contender]) -> list[tuple[str, ...]]:
    rows = []
    for contender in group:
        rates = contender.rates()
        row = [contender.name, contender.returns]
        row += [f"{rate:.3f}" for rate in (contender.rate(), min(rates), max(rates))]
        if contender is group[0]:
            row += ["", "", "", ""]
        else:
            values = harness.ratios(group[0], contender)
            spread = (statistics.median(values), min(values), max(values))
            row += [f"{value:.2f}x" for value in spread]
            by_cpu = harness.cpu_ratio(group[0], contender)
            row.append("" if by_cpu is None else f"{by_cpu:.2f}x")
        rows.append(tuple(row))
    return rows


def _best(group: Sequence[Contender]) -> list[str]:
    """The sentence about the peer that came nearest."""
    if len(group) == 1:
        return []
    nearest = max(group[1:], key=Contender.rate)
    ratio = statistics.median(harness.ratios(group[0], nearest))
    return [f"{group[0].name}: {ratio:.2f}x the fastest peer, {nearest.name}"]


def verify(data: SequenceSet, timed: Sequence[Contender], parts: dict, oracle_pairs: int) -> dict:
    """Compare what was computed while the clock ran; nothing here is timed.

    Scores: every peer's, and parasail's sw_scan as the oracle, must be ours exactly. Identical
    columns: ours are the most that an optimal alignment has, so parasail's may be fewer, never
    more, and are the same wherever the optimum is unique.
    """
    matrices = {c.name.split()[1].rstrip(","): c.result for c in timed if c.name.startswith("ours")}
    scores = matrices.get("score")
    if scores is None:
        scores = ours(data, "score", 1).run()
    different, shares = {}, {}
    if SCORE_INT16 in matrices:
        different[SCORE_INT16] = int((matrices[SCORE_INT16] != scores).sum())
    pairs = _oracle_sample(len(data.sequences), oracle_pairs)
    different["parasail sw_scan_32"] = _count(scores, pairs, _scan(data, pairs))
    for contender in timed:
        if contender.name not in parts:
            continue
        pairs = peers.job_pairs(parts[contender.name])
        different[contender.name] = _count(scores, pairs, contender.result[:, 0])
        if (contender.result[:, 1] != peers.UNKNOWN).any():
            shares.update(_identities(data, matrices, contender, pairs))
    for name, matrix in matrices.items():
        if not np.array_equal(matrix, matrix.T):
            different[f"{name} is not symmetric"] = int((matrix != matrix.T).sum())
    wrong = {name: count for name, count in different.items() if count}
    correct = not wrong and not any(share["more"] for share in shares.values())
    lines = [f"scores: WRONG, pairs that differ: {wrong}"]
    if not wrong:
        lines = [f"scores: all pairs equal to all {len(different)} others, sw_scan among them"]
    for name, share in shares.items():
        wrongly = f", WRONG: {share['more']} pairs have more" if share["more"] else ""
        lines.append(f"{name}: {share['equal']:.1%} of the pairs equal{wrongly}")
    return {"correct": correct, "different": different, "identities": shares, "lines": lines}


def _identities(data: SequenceSet, matrices: dict, peer: Contender, pairs: np.ndarray) -> dict:
    """Share of pairs with the peer's identical columns; pairs where the peer has more of them."""
    rows, columns = pairs.T
    theirs = np.where(peer.result[:, 0] > 0, peer.result[:, 1], 0)  # parasail: -2^30 at score 0
    found = {}
    if "identity-longer" in matrices:
        longer = np.maximum(data.lengths[rows], data.lengths[columns])
        mine = np.rint((1 - matrices["identity-longer"][rows, columns].astype(float)) * longer)
        found[f"identical columns, {peer.name}"] = {
            "equal": float((mine == theirs).mean()),
            "more": int((theirs > mine).sum()),
        }
    if "identity-aligned" in matrices:
        distance = 1 - theirs / np.maximum(peer.result[:, 2], 1)
        mine = matrices["identity-aligned"][rows, columns]
        found[f"identity of the aligned region, {peer.name}"] = {
            "equal": float(np.isclose(mine, distance, atol=1e-6).mean()),
            "more": 0,  # fewer columns may well give a higher share of identical ones
        }
    return found


def _oracle_sample(n: int, pairs: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, n - 1, pairs)
    return np.stack([rows, rng.integers(rows + 1, n)], axis=1)


def _scan(data: SequenceSet, pairs: np.ndarray) -> np.ndarray:
    import parasail

    matrix = parasail.blosum62 if data.alphabet == "protein" else parasail.dnafull
    letters, costs = data.sequences, (data.gap_open, data.gap_extend)
    return np.array(
        [parasail.sw_scan_32(letters[i], letters[j], *costs, matrix).score for i, j in pairs]
    )


def _count(scores: np.ndarray, pairs: np.ndarray, theirs: np.ndarray) -> int:
    return int((scores[pairs[:, 0], pairs[:, 1]] != theirs).sum())
