"""The seeded sequence sets of the benchmarks: families and singletons, as sets from nature have.

Why not uniformly random letters: their scores are all small, no narrow lane ever overflows and all
optimal alignments are short, so both our kernels and the peers' would show speeds nobody sees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

AMINO_ACIDS = np.frombuffer(b"ARNDCQEGHILKMFPSTWYV", np.uint8)
NUCLEOTIDES = np.frombuffer(b"ACGT", np.uint8)
# Composition of Swiss-Prot in percent, in the order of AMINO_ACIDS.
AMINO_ACID_PERCENT = np.array(
    [8.25, 5.53, 4.06, 5.45, 1.37, 3.93, 6.75, 7.07, 2.27, 5.96]
    + [9.66, 5.84, 2.42, 3.86, 4.70, 6.56, 5.34, 1.08, 2.92, 6.87]
)


@dataclass(frozen=True)
class SequenceSet:
    """n sequences of one alphabet, and their gap costs (a gap of k: open + (k-1) extend)."""

    name: str
    alphabet: str
    sequences: list[str]
    gap_open: int
    gap_extend: int

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(sequence) for sequence in self.sequences], np.int64)

    @property
    def cells(self) -> int:
        """Cells of the dynamic programs of all pairs i < j."""
        lengths = self.lengths
        return int((lengths.sum() ** 2 - (lengths**2).sum()) // 2)


def mutate(
    rng: np.random.Generator,
    codes: np.ndarray,
    substitution: float,
    indel: float,
    frequencies: np.ndarray,
) -> np.ndarray:
    """A descendant of `codes`: each residue is lost, or preceded by an insertion, each with
    probability indel / 2; a residue that stays is drawn anew with probability `substitution`."""
    draw = rng.random(codes.size)
    changed = rng.random(codes.size) < substitution
    fresh = rng.choice(frequencies.size, size=codes.size, p=frequencies)
    residues = np.where(changed, fresh, codes)
    inserted = (draw >= indel / 2) & (draw < indel)
    # 2 or more residues, geometric: an insertion event in proteins is seldom a single residue.
    repeats = np.where(inserted, 1 + rng.geometric(0.4, size=codes.size), 0)
    insertions = rng.choice(frequencies.size, size=int(repeats.sum()), p=frequencies)
    at = np.repeat(np.arange(codes.size), repeats)
    order = np.argsort(np.concatenate([at, np.arange(codes.size)]), kind="stable")
    kept = np.concatenate([np.ones(at.size, bool), draw >= indel / 2])
    return np.concatenate([insertions, residues])[order][kept[order]]


def proteins(n: int, seed: int = 9, mean_length: int = 300) -> list[str]:
    """Families of 3-12 members (10-70 % drawn anew) and singletons, 100-600 residues."""
    rng = np.random.default_rng(seed)
    frequencies = AMINO_ACID_PERCENT / AMINO_ACID_PERCENT.sum()
    members: list[np.ndarray] = []
    while len(members) < n:
        length = int(np.clip(rng.normal(mean_length, 60), 100, 600))
        ancestor = rng.choice(20, size=length, p=frequencies)
        size = 1 if rng.random() < 0.4 else int(rng.integers(3, 13))
        for _ in range(size):
            substitution, indel = rng.uniform(0.1, 0.7), rng.uniform(0.005, 0.03)
            members.append(mutate(rng, ancestor, substitution, indel, frequencies))
    return [AMINO_ACIDS[codes].tobytes().decode() for codes in members[:n]]


def nucleotides(n: int, length: int, seed: int = 2) -> list[str]:
    """Three subfamilies 15 % apart from one ancestor, members 2-20 % away, like a repeat family."""
    rng = np.random.default_rng(seed)
    frequencies = np.full(4, 0.25)
    ancestor = rng.choice(4, size=length, p=frequencies)
    subfamilies = [mutate(rng, ancestor, 0.15, 0.02, frequencies) for _ in range(3)]
    members = []
    for i in range(n):
        substitution, indel = rng.uniform(0.02, 0.2), rng.uniform(0.002, 0.02)
        members.append(mutate(rng, subfamilies[i % 3], substitution, indel, frequencies))
    return [NUCLEOTIDES[codes].tobytes().decode() for codes in members]


@dataclass(frozen=True)
class Recipe:
    """How a named set is made: its usual size, its toy size and its generator."""

    n: int
    toy: int
    alphabet: str
    generate: Callable[[int], list[str]]


RECIPES = {
    "protein": Recipe(1000, 24, "protein", lambda n: proteins(n)),
    "dna400": Recipe(800, 18, "dna", lambda n: nucleotides(n, 400, seed=2)),
    "dna1500": Recipe(200, 6, "dna", lambda n: nucleotides(n, 1500, seed=3)),
    "reads85": Recipe(3000, 40, "dna", lambda n: nucleotides(n, 82, seed=5)),
}
GAP_COSTS = {"protein": (11, 1), "dna": (16, 4)}


def sequence_set(name: str, n: int | None = None, toy: bool = False) -> SequenceSet:
    """The named set with n sequences (None: its usual or its toy size). KeyError: unknown name."""
    recipe = RECIPES[name]
    count = n if n is not None else recipe.toy if toy else recipe.n
    gap_open, gap_extend = GAP_COSTS[recipe.alphabet]
    return SequenceSet(name, recipe.alphabet, recipe.generate(count), gap_open, gap_extend)


def write_fasta(path: Path, sequences: list[str]) -> None:
    """Records named 0, 1, 2, ...: numbers, so that every tool's table can be read as an array."""
    with path.open("w") as file:
        for i, sequence in enumerate(sequences):
            file.write(f">{i}\n{sequence}\n")
