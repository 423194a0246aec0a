"""Slow truth of multidimensional scaling: the definitions written down, with NumPy alone.

Whole matrices, every pair twice, no blocks. Nothing here is shared with the packages under test.
Letters: n points, d dimensions; w (n, n) symmetric weights with 0 on the diagonal and where a
dissimilarity is missing (NaN or negative).
"""

import numpy as np


def known(delta):
    """(n, n) bool: pairs with a dissimilarity, the diagonal left out."""
    with np.errstate(invalid="ignore"):
        there = np.asarray(delta, float) >= 0
    return there & there.T & ~np.eye(len(delta), dtype=bool)


def weights(delta, kind="none", given=None):
    """(n, n): 1, a matrix, 1 / delta ('sammon') or delta ** P ('power:P') for every known pair;
    powers are of max(delta, mean / 1000), or of 1 where all are 0."""
    there = known(delta)
    if given is not None:
        return np.where(there, given, 0.0)
    if kind == "none" or not there.any():
        return there.astype(float)
    power = -1.0 if kind == "sammon" else float(kind.removeprefix("power:"))
    lowest = 0.001 * np.asarray(delta)[there].mean() or 1.0
    w = np.zeros(np.shape(delta))
    w[there] = np.maximum(np.asarray(delta)[there], lowest) ** power
    return w


def filled(delta, tau=0.0):
    """(n, n): max(delta - tau, 0), 0 where it is missing or on the diagonal."""
    there = known(delta)
    values = np.zeros(np.shape(delta))
    values[there] = np.maximum(np.asarray(delta, float)[there] - tau, 0)
    return values


def distances(x):
    """(n, n) Euclidean distances, by differences."""
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2))


def stress(delta, x, w=None, tau=0.0):
    """Sum over i < j of w (delta - distance)^2."""
    w = weights(delta) if w is None else w
    return float((w * (filled(delta, tau) - distances(x)) ** 2).sum() / 2)


def normalized(delta, x, w=None):
    """Stress as a share of the sum of w delta^2."""
    w = weights(delta) if w is None else w
    return stress(delta, x, w) / float((w * filled(delta) ** 2).sum() / 2)


def stress1(delta, x, w=None):
    """Kruskal's: the root of the smallest share of w distance^2 when all dissimilarities may be
    multiplied by one number."""
    w = weights(delta) if w is None else w
    wanted, there = filled(delta), distances(x)
    factor = (w * wanted * there).sum() / (w * wanted**2).sum()
    return float(np.sqrt((w * (factor * wanted - there) ** 2).sum() / (w * there**2).sum()))


def laplacian(w):
    """V: minus the weights, rows that sum to 0."""
    return np.diag(w.sum(axis=1)) - w


def b_matrix(delta, x, w=None, tau=0.0):
    """B(X): minus w delta / distance, 0 where points coincide, rows that sum to 0."""
    w = weights(delta) if w is None else w
    apart = distances(x)
    ratio = np.zeros(apart.shape)
    there = apart > 0
    ratio[there] = (w * filled(delta, tau))[there] / apart[there]
    return np.diag(ratio.sum(axis=1)) - ratio


def guttman(delta, x, w=None, tau=0.0):
    """One Guttman transform, with the pseudo-inverse of V."""
    w = weights(delta) if w is None else w
    return np.linalg.pinv(laplacian(w), hermitian=True) @ b_matrix(delta, x, w, tau) @ x


def smacof(delta, x, steps, w=None):
    """(configuration, [stress before the first step, after it, ...])."""
    history = [stress(delta, x, w)]
    for _ in range(steps):
        x = guttman(delta, x, w)
        history.append(stress(delta, x, w))
    return x, history


def temperatures(delta, d, cooling):
    """[tau, ..., 0] of deterministic annealing: sqrt(2 d) T, T from cooling * T_max, each time
    multiplied by cooling, as long as T is at least half the smallest positive dissimilarity over
    sqrt(2 d); T_max = largest dissimilarity / sqrt(2 d)."""
    values = filled(delta)
    low, high = values[values > 0].min(), values.max()
    root = np.sqrt(2 * d)
    temperature, taus = cooling * high / root, []
    while temperature >= 0.5 * low / root:
        taus.append(root * temperature)
        temperature *= cooling
    return [*taus, 0.0]


def annealed(delta, x, cooling=0.95, tol=1e-6, w=None, most=300):
    """(configuration, stress): at every temperature transforms until the stress falls by less than
    tol times the sum of w delta^2."""
    w = weights(delta) if w is None else w
    whole = float((w * filled(delta) ** 2).sum() / 2)
    for tau in temperatures(delta, x.shape[1], cooling):
        before = stress(delta, x, w, tau)
        for _ in range(most):
            x = guttman(delta, x, w, tau)
            now = stress(delta, x, w, tau)
            if before - now < tol * whole:
                break
            before = now
    return x, stress(delta, x, w)


def torgerson(delta, d):
    """(n, d): classical scaling; axes by decreasing eigenvalue, negative ones as 0."""
    n = len(delta)
    centring = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ np.asarray(delta, float) ** 2 @ centring)
    order = np.argsort(values)[::-1][:d]
    return vectors[:, order] * np.sqrt(np.maximum(values[order], 0))


def isotonic(values, w=None):
    """Nearest numbers that never fall: the largest of the smallest means of w over a..b, a <= i <=
    b. By the definition of Brunk."""
    size = len(values)
    w = np.ones(size) if w is None else w
    mean = np.empty((size, size))  # of a..b
    for a in range(size):
        mean[a, a:] = np.cumsum(w[a:] * values[a:]) / np.cumsum(w[a:])
    return np.array([max(mean[a, i:].min() for a in range(i + 1)) for i in range(size)])


def disparities(delta, there, w=None):
    """(p,) of pairs with dissimilarities delta and distances `there`: the nearest numbers that do
    not fall while delta rises; equal delta may differ; sum of w disparity^2 = p."""
    w = np.ones(len(delta)) if w is None else w
    order = sorted(range(len(delta)), key=lambda p: (delta[p], there[p]))
    fitted = np.empty(len(delta))
    fitted[order] = isotonic(there[order], w[order])
    return fitted * np.sqrt(len(delta) / (w * fitted**2).sum())


def procrustes(one, two):
    """Largest distance of a point of one to its partner of two, which may be moved, turned and
    mirrored."""
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    left, _, right = np.linalg.svd(two.T @ one)
    return float(np.sqrt(((two @ left @ right - one) ** 2).sum(axis=1)).max(initial=0.0))
