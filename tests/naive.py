"""Slow truth for the kernels: the definitions written down, with NumPy alone.

Nothing here is shared with the packages under test. `best_alignment` is plain enough that a test
may compile it with Numba where many pairs are compared.
"""

import math

import numpy as np

NUCLEOTIDES = "ATGCSWRYKMBVHDN"
AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYVBZX*"
COMPLEMENTS = dict(zip("ATGCSWRYKMBVHDN", "TACGSWYRMKVBDHN", strict=True))
TRANSITIONS = ({"A", "G"}, {"C", "T"})


def read(sequence, alphabet):
    """Letters as they are compared: upper case, U = T; O, U and J are the unknown amino acid."""
    if alphabet == "protein":
        return "".join("X" if c in "OUJ" else c for c in sequence.upper())
    return sequence.upper().replace("U", "T")


def codes(sequence, alphabet):
    """Places of the letters in the alphabet."""
    known = AMINO_ACIDS if alphabet == "protein" else NUCLEOTIDES
    return np.array([known.index(c) for c in read(sequence, alphabet)], np.int64)


def other_strand(sequence):
    return "".join(COMPLEMENTS[c] for c in reversed(read(sequence, "dna")))


def best_alignment(a, b, scores, chosen, gap_open, gap_extend):
    """The first of all local alignments of codes a and b, by (score, most identical columns, fewest
    other columns, fewest gap columns, most chosen columns); the empty alignment is one of them.

    Returns (score, identical, -others, -gaps, chosen). Gotoh's recurrence on such tuples, row by
    row: a tuple adds up along an alignment, and a larger one stays larger when both grow by the
    same.
    """

    def plus(x, y):
        return (x[0] + y[0], x[1] + y[1], x[2] + y[2], x[3] + y[3], x[4] + y[4])

    def larger(x, y):
        return x if x > y else y

    empty = (0, 0, 0, 0, 0)
    never = (-(1 << 60), 0, 0, 0, 0)
    opening, extending = (-gap_open, 0, -1, -1, 0), (-gap_extend, 0, -1, -1, 0)
    best = empty
    row = [empty] * (len(b) + 1)  # best alignment that ends in each cell
    down = [never] * (len(b) + 1)  # best one that ends in a gap in b
    for x in a:
        above, row = row, [empty]
        across = never  # best one that ends in a gap in a
        for j, y in enumerate(b):
            same = 1 if x == y else 0
            column = (int(scores[x, y]), same, same - 1, 0, int(chosen[x, y]))
            across = larger(plus(row[j], opening), plus(across, extending))
            down[j + 1] = larger(plus(above[j + 1], opening), plus(down[j + 1], extending))
            cell = larger(empty, plus(above[j], column))
            cell = larger(cell, larger(across, down[j + 1]))
            row.append(cell)
            best = larger(best, cell)
    return best


def chosen_columns(distance, scores, alphabet):
    """1 for pairs of letters that the distance counts beside the identical ones."""
    known = AMINO_ACIDS if alphabet == "protein" else NUCLEOTIDES
    chosen = np.zeros(scores.shape, np.int64)
    for i, x in enumerate(known):
        for j, y in enumerate(known):
            if distance == "similarity-aligned":
                chosen[i, j] = x != y and scores[i, j] > 0
            elif distance == "kimura":
                chosen[i, j] = {x, y} in TRANSITIONS
    return chosen


def distance(name, one, two, scoring, *, alphabet="dna", strand="one", align=best_alignment):
    """One distance of two sequences (text), by its formula.

    scoring   (scores, gap_open, gap_extend), scores in the order of the alphabet
    Returns (value, whether it had to be clipped); NaN where there is none.
    """
    scores = np.asarray(scoring[0], np.int64)
    chosen = chosen_columns(name, scores, alphabet)
    a, b = codes(one, alphabet), codes(two, alphabet)
    found = align(a, b, scores, chosen, *scoring[1:])
    if strand == "both":
        turned = codes(other_strand(two), alphabet)
        found = max(found, align(a, turned, scores, chosen, *scoring[1:]))
    score, identical, others, gaps, extra = found
    others, gaps = -others, -gaps
    columns = identical + others
    if name == "score":
        return float(score), False
    if name in ("score-max", "score-min"):
        selves = [align(c, c, scores, chosen, *scoring[1:])[0] for c in (a, b)]
        whole = max(selves) if name == "score-max" else min(selves)
        value = 1 - score / whole if whole else math.nan
        return min(max(value, 0.0), 1.0), not 0 <= value <= 1 and whole > 0
    if name.startswith("identity") or name == "similarity-aligned":
        whole = {
            "identity-longer": max(len(a), len(b)),
            "identity-shorter": min(len(a), len(b)),
        }.get(name, columns)
        return (1 - (identical + extra) / whole if columns else 1.0), False
    return corrected(name, identical + others - gaps, others - gaps, extra), False


def corrected(name, residues, mismatches, transitions):
    """Jukes-Cantor and Kimura distances; NaN where a logarithm has no value."""
    if not residues:
        return 1.0
    if name == "jukes-cantor":
        left = 1 - 4 / 3 * mismatches / residues
        return -3 / 4 * math.log(left) if left > 1e-12 else math.nan
    p, q = transitions / residues, (mismatches - transitions) / residues
    left, right = 1 - 2 * p - q, 1 - 2 * q
    if left < 1e-12 or right < 1e-12:
        return math.nan
    return -1 / 2 * math.log(left) - 1 / 4 * math.log(right)


def distance_matrix(name, sequences, scoring, **options):
    """All distances; the diagonal is 0, for 'score' the self scores."""
    n = len(sequences)
    values = np.zeros((n, n))
    for i in range(n):
        for j in range(i, n):
            if i != j or name == "score":
                one_strand = options | ({"strand": "one"} if i == j else {})
                value, _ = distance(name, sequences[i], sequences[j], scoring, **one_strand)
                values[i, j] = values[j, i] = value
    return values


def kmeans_distances(points, centroids):
    """(n, k) squared distances in float64, columns added up from first to last."""
    distances = np.zeros((len(points), len(centroids)))
    for x, c in zip(points.T.astype(np.float64), centroids.T, strict=True):
        distances += (x[:, None] - c) ** 2
    return distances


def kmeans_labels(points, centroids):
    """The nearest centroid of every point, the lower index of equal ones."""
    return kmeans_distances(points, centroids).argmin(axis=1)


def kmeans_sums(points, labels, k, weights=None):
    """(sums (k, d), weights (k,)) of the points of each label, in extended precision."""
    weights = np.ones(len(points)) if weights is None else weights
    sums = np.zeros((k, points.shape[1]), np.longdouble)
    np.add.at(sums, labels, points.astype(np.longdouble) * weights[:, None])
    totals = np.zeros(k, np.longdouble)
    np.add.at(totals, labels, weights.astype(np.longdouble))
    return sums, totals


def kmeans_inertia(points, centroids, weights=None):
    """Sum of the squared distances to the nearest centroids, in extended precision."""
    nearest = kmeans_distances(points, centroids).min(axis=1).astype(np.longdouble)
    return float((nearest if weights is None else nearest * weights).sum())


def kmeans_step(points, centroids, weights=None):
    """Centroids after one iteration. Each empty cluster takes the farthest point that is left as
    its only member, unless that point lies on its centroid; points of weight 0 do not count."""
    labels = kmeans_labels(points, centroids)
    distances = kmeans_distances(points, centroids)[np.arange(len(points)), labels]
    counted = np.ones(len(points), bool) if weights is None else weights > 0
    farthest = sorted(np.flatnonzero(counted), key=lambda i: (-distances[i], i))
    empty = [j for j in range(len(centroids)) if not counted[labels == j].any()]
    for cluster, point in zip(empty, farthest, strict=False):
        if distances[point] > 0:
            labels[point] = cluster
    sums, totals = kmeans_sums(points, labels, len(centroids), weights)
    moved = centroids.copy()
    some = totals > 0
    moved[some] = (sums[some] / totals[some, None]).astype(np.float64)
    return moved
