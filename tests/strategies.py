"""Hypothesis strategies: sequences that are related, repetitive, ambiguous or empty, and costs."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests import naive


def steady(examples):
    """Settings for a machine that is busy: the same examples every time, no deadline."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


LETTERS = {"dna": naive.NUCLEOTIDES, "rna": "AUGC", "protein": naive.AMINO_ACIDS}


@st.composite
def sequence_sets(draw, alphabet, *, least=1, most=6, longest=30):
    """Lists of sequences: few letters make ties, pieces of one ancestor make long alignments."""
    letters = draw(
        st.sampled_from([LETTERS[alphabet], LETTERS[alphabet][:2], LETTERS[alphabet][:4]])
    )
    ancestor = draw(st.text(letters, min_size=longest // 2, max_size=longest))
    piece = st.tuples(st.integers(0, len(ancestor)), st.integers(0, len(ancestor))).map(
        lambda ends: ancestor[min(ends) : max(ends)]
    )
    one = st.one_of(st.text(letters, max_size=longest), piece)
    joined = st.tuples(piece, st.text(letters, max_size=4), piece).map("".join)
    return draw(st.lists(st.one_of(one, joined), min_size=least, max_size=most))


@st.composite
def costs(draw, alphabet, *, most=12):
    """(scores, gap_open, gap_extend): match and mismatch, or a symmetric matrix of anything."""
    a = len(LETTERS["protein" if alphabet == "protein" else "dna"])
    if draw(st.booleans()):
        scores = np.full((a, a), draw(st.integers(-most, 0)))
        np.fill_diagonal(scores, draw(st.integers(1, most)))
    else:
        seed = draw(st.integers(0, 2**32 - 1))
        scores = np.random.default_rng(seed).integers(-most, most + 1, (a, a))
        scores = np.triu(scores) + np.triu(scores, 1).T
    gap_extend = draw(st.integers(1, most))
    return scores.astype(np.int32), draw(st.integers(gap_extend, 2 * most)), gap_extend


def random_sequences(rng, letters, lengths):
    """Unrelated sequences of the given lengths."""
    return ["".join(rng.choice(list(letters), n)) for n in lengths]


def relatives(rng, letters, n, length, change=0.1):
    """n descendants of one ancestor, with substitutions, deletions and insertions."""
    ancestor = rng.choice(list(letters), length)
    found = []
    for _ in range(n):
        kind = rng.random(length)
        new = rng.choice(list(letters), length)
        parts = np.where(kind < change, new, ancestor).astype(object)
        parts[kind > 1 - change / 4] = ""
        parts[(kind > change) & (kind < change * 1.25)] += "".join(rng.choice(list(letters), 3))
        found.append("".join(parts))
    return found
