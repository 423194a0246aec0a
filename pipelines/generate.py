"""Sequences to try things on: families that drifted from a random ancestor, with their labels.

A sequence of random letters is the root. Each family has an ancestor that drifted from it, and each
member drifted from that ancestor by substitutions and gaps. How far differs from member to member
(a gamma distribution around `divergence`), so that most members are clearly of their family and a
few have gone so far that only chance finds their relatives, as in real sets.
"""

import gzip
import os

import numpy as np

from kernels.sequences import AMINO_ACIDS, substitution_matrix
from pipelines.errors import UsageProblem
from storage.folder import open_folder

FAMILY_DRIFT = {"dna": 0.35, "rna": 0.35, "protein": 0.7}  # of a family's ancestor from the root
GAP_RATE = 0.06  # gaps per substitution
GAP_LENGTH = 3.0  # mean, geometric
FARTHEST = 0.9  # largest share of substituted letters

_SHAPE = 2.0  # of the gamma distribution; its standard deviation is 0.7 of the mean
_GROUP = 2**21  # letters worked on at once; part of the meaning of a random_state
# Robinson & Robinson 1991, in the order of AMINO_ACIDS
_AMINO_ACID_SHARES = np.array(
    [
        *(0.07805, 0.05129, 0.04487, 0.05364, 0.01925, 0.04264, 0.06295, 0.07377, 0.02199, 0.05142),
        *(0.09019, 0.05744, 0.02243, 0.03856, 0.05203, 0.07120, 0.05841, 0.01330, 0.03216, 0.06441),
    ]
)


def sequences(
    n: int,
    *,
    alphabet: str = "dna",
    length: int = 300,
    classes: int = 4,
    divergence: float = 0.2,
    random_state: int = 0,
) -> tuple[list[str], list[str], list[str]]:
    """Random families: (ids, sequences, labels), each of n strings, the families in mixed order.

    length       letters of an ancestor; members differ by their gaps
    divergence   mean share of letters in which a member differs from its ancestor, 0 to 1
    Raises UsageProblem for numbers that make no families. The same arguments give the same strings.
    """
    _check(n, alphabet, length, classes, divergence)
    rng = np.random.default_rng(random_state)
    letters, shares, drift = _model(alphabet)
    root = rng.choice(shares.size, size=length, p=shares).astype(np.uint8)
    ancestors = _substituted(
        np.repeat(root[None], classes, axis=0), np.full(classes, FAMILY_DRIFT[alphabet]), drift, rng
    )
    family = rng.permutation(np.arange(n) % classes)
    rates = np.minimum(rng.gamma(_SHAPE, divergence / _SHAPE, size=n), FARTHEST)
    step = max(1, _GROUP // length)
    texts: list[str] = []
    for start in range(0, n, step):
        members = ancestors[family[start : start + step]]
        some = rates[start : start + step]
        members = _substituted(members, some, drift, rng)
        texts.extend(_with_gaps(members, some, letters, shares, rng))
    width = len(str(n))
    ids = [f"s{k:0{width}d}" for k in range(1, n + 1)]
    names = [f"family-{k + 1:0{len(str(classes))}d}" for k in range(classes)]
    return ids, texts, [names[k] for k in family]


def write_sequences(
    path: str,
    n: int,
    *,
    alphabet: str = "dna",
    length: int = 300,
    classes: int = 4,
    divergence: float = 0.2,
    random_state: int = 0,
) -> tuple[str, str]:
    """Write what `sequences` returns to a FASTA file and, beside it, NAME.labels.tsv; both paths.

    path   a file or a URL; with the ending .gz it is compressed
    Each file is complete or not there. Letters come in lines of 70.
    """
    ids, texts, labels = sequences(
        n,
        alphabet=alphabet,
        length=length,
        classes=classes,
        divergence=divergence,
        random_state=random_state,
    )
    records = []
    for record, text in zip(ids, texts, strict=True):
        lines = "\n".join(text[at : at + 70] for at in range(0, len(text), 70))
        records.append(f">{record}\n{lines}\n")
    fasta = "".join(records).encode()
    table = "".join(f"{record}\t{label}\n" for record, label in zip(ids, labels, strict=True))
    parent, name = os.path.split(path)
    if not name:
        raise UsageProblem(f"{path} is a folder.", remedy="Name a file in it, as seqs.fasta.")
    stem, ending = os.path.splitext(name)
    if ending == ".gz":
        fasta = gzip.compress(fasta, 6, mtime=0)  # no time in it: equal content, equal bytes
        stem = os.path.splitext(stem)[0]
    folder = open_folder(parent or ".")
    folder.put(name, fasta)
    folder.put(f"{stem}.labels.tsv", f"id\tlabel\n{table}".encode())
    return path, os.path.join(parent, f"{stem}.labels.tsv")


def _check(n: int, alphabet: str, length: int, classes: int, divergence: float) -> None:
    if alphabet not in FAMILY_DRIFT:
        raise UsageProblem(f"alphabet is {alphabet!r}; choose one of {', '.join(FAMILY_DRIFT)}.")
    if n < 1:
        raise UsageProblem(f"n is {n}; at least 1 sequence is needed.")
    if length < 1:
        raise UsageProblem(f"length is {length}; at least 1 letter is needed.")
    if not 1 <= classes <= n:
        raise UsageProblem(f"classes is {classes}; 1 to n = {n:,} are possible.")
    if not 0 <= divergence <= 1:
        raise UsageProblem(f"divergence is {divergence}; 0 to 1 is possible.")


def _model(alphabet: str) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Letters, their shares (a,), and per letter the running sum over its substitutes (a, a)."""
    if alphabet == "protein":
        shares = _AMINO_ACID_SHARES / _AMINO_ACID_SHARES.sum()
        scores = substitution_matrix("BLOSUM62", "protein")[:20, :20]
        towards = shares * 2.0 ** (scores / 2)  # a score is twice the log2 of the odds
        letters = AMINO_ACIDS[:20]
    else:
        shares = np.full(4, 0.25)
        letters = "ACGT" if alphabet == "dna" else "ACGU"
        purine = np.array([0, 1, 0, 1])
        towards = np.where(purine[:, None] == purine, 2.0, 1.0)  # transitions are more frequent
    towards = towards * (1 - np.eye(shares.size))
    return letters.encode(), shares, np.cumsum(towards / towards.sum(axis=1, keepdims=True), axis=1)


def _substituted(
    codes: np.ndarray, rates: np.ndarray, drift: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """codes (m, length) with a share `rates` (m,) of the letters replaced by other letters."""
    hit = rng.random(codes.shape, dtype=np.float32) < rates[:, None]
    old = codes[hit]
    draw = rng.random(old.size, dtype=np.float32)
    new = np.zeros(old.size, np.uint8)
    for bound in drift.T[:-1]:
        new += draw >= bound[old]
    codes = codes.copy()
    codes[hit] = new
    return codes


def _with_gaps(
    codes: np.ndarray,
    rates: np.ndarray,
    letters: bytes,
    shares: np.ndarray,
    rng: np.random.Generator,
) -> list[str]:
    """codes (m, length) as text, after insertions and deletions; every text keeps a letter."""
    m, length = codes.shape
    events = rng.poisson(rates * GAP_RATE * length)
    row = np.repeat(np.arange(m), events)
    column = rng.integers(0, length, size=row.size)
    size = rng.geometric(1 / GAP_LENGTH, size=row.size)
    inserts = rng.random(row.size) < 0.5
    copies = np.ones((m, length + 1), np.int64)  # the last column only ends deletions
    edges = np.zeros((m, length + 1), np.int64)
    last = np.minimum(column + size, length)
    np.add.at(edges, (row[~inserts], column[~inserts]), 1)
    np.add.at(edges, (row[~inserts], last[~inserts]), -1)
    copies[np.cumsum(edges, axis=1) > 0] = 0
    copies[copies[:, :length].sum(axis=1) == 0, 0] = 1
    kept = copies[:, :length].copy()
    np.add.at(copies, (row[inserts], column[inserts]), size[inserts])
    copies = copies[:, :length]
    flat = np.repeat(codes.ravel(), copies.ravel())
    ends = np.cumsum(copies.ravel())
    original = np.zeros(flat.size, bool)  # one copy of each kept letter, before what was inserted
    original[(ends - copies.ravel())[kept.ravel() > 0]] = True
    fresh = int((~original).sum())
    flat[~original] = rng.choice(shares.size, size=fresh, p=shares).astype(np.uint8)
    text = np.frombuffer(letters, np.uint8)[flat].tobytes().decode("ascii")
    stops = ends[length - 1 :: length].tolist()
    return [text[a:b] for a, b in zip([0, *stops[:-1]], stops, strict=True)]
