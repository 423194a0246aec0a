"""What the kernel tests share: the naive truth compiled, counts in the given order, open data."""

import gzip
from pathlib import Path

import numba
import numpy as np
import pytest

from kernels import _pairs, sequences, swg
from tests import naive

align = numba.njit(naive.best_alignment)
DATA = Path(__file__).parents[3] / "shared" / "data"
RELATED = ["ACGTTGCAACGTAC", "ACGTTGCATCGTAC", "TTGACACGTACNRY", "acguu", "", "N", "GGGGGGGGGG",
           "ACGTTGCAACGTACACGTTGCAACG"]  # fmt: skip
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")


def fasta(name, most=None):
    """(header, sequence) of the first records of an open data set."""
    raw = (DATA / "fasta" / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("latin-1")
    records = [
        record.splitlines() for record in text.split(">")[1 : None if most is None else most + 1]
    ]
    return [(lines[0], "".join(lines[1:])) for lines in records]


def fill(texts, alphabet, kind, costs=(None, None, None), *, rows=None, columns=None, n_threads=1):
    """Counts of all pairs, or of some rows with some columns, filled in."""
    _pairs._misses.clear()  # what other tests have taught this process
    codes, offsets, _ = sequences.pack(texts, alphabet)
    pairs = _pairs.group(codes, offsets, *sequences.scoring(alphabet, *costs))
    everything = np.arange(len(texts))
    counts = _pairs.Counts(
        pairs,
        everything if rows is None else rows,
        everything if columns is None else columns,
        triangle=rows is None,
        kind=kind,
    )
    counts.fill(n_threads)
    return counts


def found_pairs(counts):
    """{(i, j): (score, identical, others)} in the given order, i < j; None: not counted."""
    found = {}
    for r, i in enumerate(counts.rows):
        for c, j in enumerate(counts.columns):
            if not counts.triangle or r > c:
                values = [
                    int(part[r, c]) if part.size else None
                    for part in (counts.score, counts.identical, counts.others)
                ]
                found[min(i, j), max(i, j)] = tuple(values)
    return found


def true_pair(a, b, alphabet, costs=(None, None, None)):
    """(score, identical, others) by definition."""
    scores, gap_open, gap_extend = sequences.scoring(alphabet, *costs)
    codes = [naive.codes(text, alphabet) for text in (a, b)]
    scores = scores.astype(np.int64)
    best = align(*codes, scores, np.zeros_like(scores), gap_open, gap_extend)
    return best[0], best[1], -best[2]


def assert_true(counts, texts, alphabet, costs=(None, None, None), sample=None, seed=0):
    """Every pair (or a sample of them) has the counts of the definition."""
    found = found_pairs(counts)
    pairs = sorted(found)
    if sample is not None and sample < len(pairs):
        chosen = np.random.default_rng(seed).choice(len(pairs), sample, replace=False)
        pairs = [pairs[k] for k in chosen]
    assert pairs
    for i, j in pairs:
        expected = true_pair(texts[i], texts[j], alphabet, costs)
        expected = tuple(
            None if got is None else value for got, value in zip(found[i, j], expected, strict=True)
        )
        assert found[i, j] == expected, (i, j, texts[i][:80], texts[j][:80])


def forms_used(monkeypatch):
    """A set that collects the forms in which jobs are aligned from now on."""
    used, real = set(), _pairs.kernel

    def noting(form):
        used.add(form)
        return real(form)

    monkeypatch.setattr(_pairs, "kernel", noting)
    return used


def assert_near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12, equal_nan=True)


def block(texts, rows, columns, distance, alphabet="dna", n_threads=1, strand="one"):
    codes, offsets, _ = sequences.pack(texts, alphabet)
    scores, gap_open, gap_extend = sequences.scoring(alphabet)
    costs = {"scores": scores, "gap_open": gap_open, "gap_extend": gap_extend}
    selves = None
    if swg.needs_self_scores(distance):
        selves = swg.self_scores(codes, offsets, **costs)
    return swg.distance_block(
        codes, offsets, rows, columns, **costs, distance=distance, strand=strand,
        self_scores=selves, n_threads=n_threads,
    )  # fmt: skip
