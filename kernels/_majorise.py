"""The loops of `interpolation`: items placed among landmarks that stay where they are."""

import numpy as np

from kernels._jit import njit


@njit
def place_rows(indices, distances, at, max_iter, tol, placed):
    """placed (n, d) from indices and distances (n, k) and the landmarks' positions at (m, d)."""
    n, k = indices.shape
    d = at.shape[1]
    anchors, deltas = np.empty((k, d)), np.empty(k)
    z, moved, mean = np.empty(d), np.empty(d), np.empty(d)
    for row in range(n):
        known = gather(indices[row], distances[row], at, anchors, deltas)
        on = landmark_at_zero(deltas[:known])
        if known == 0:
            placed[row] = np.nan
        elif on >= 0:
            placed[row] = anchors[on]
        else:
            start_of(anchors, deltas, known, mean, z)
            majorise(anchors, deltas, known, mean, z, moved, max_iter, tol)
            placed[row] = z


@njit
def gather(numbers, given, at, anchors, deltas):
    """Known distances of a row and the positions they belong to; returns how many there are."""
    known = 0
    for i in range(numbers.shape[0]):
        if numbers[i] >= 0 and 0 <= given[i] < np.inf:
            deltas[known] = given[i]
            anchors[known] = at[numbers[i]]
            known += 1
    return known


@njit
def landmark_at_zero(deltas):
    for i in range(deltas.shape[0]):
        if deltas[i] == 0:
            return i
    return -1


@njit
def start_of(anchors, deltas, known, mean, z):
    """The mean of the anchors, and the start: lifted off their hull where that is flat."""
    d = anchors.shape[1]
    mean[:] = 0.0
    for i in range(known):
        for c in range(d):
            mean[c] += anchors[i, c]
    for c in range(d):
        mean[c] /= known
        z[c] = mean[c]
    if known > d:
        return
    height = 0.0
    for i in range(known):
        height += deltas[i] * deltas[i]
        for c in range(d):
            apart = anchors[i, c] - mean[c]
            height -= apart * apart
    if height <= 0:
        return
    normal = normal_of(anchors, mean, known)
    for c in range(d):
        z[c] += np.sqrt(height / known) * normal[c]


@njit
def normal_of(anchors, mean, known):
    """A direction at right angles to the hull of the first `known` anchors, fewer than d + 1: what
    the hull leaves of the axis that it leaves most of."""
    d = anchors.shape[1]
    rest, side = np.zeros((d, d)), np.empty(d)
    for a in range(d):
        rest[a, a] = 1.0
    for i in range(known - 1):  # Gram and Schmidt: rest is the projection off the hull so far
        length = square = 0.0
        for a in range(d):
            side[a] = 0.0
            for b in range(d):
                side[a] += rest[a, b] * (anchors[i, b] - mean[b])
            square += side[a] * side[a]
            length += (anchors[i, a] - mean[a]) ** 2
        if square > 1e-24 * length:
            for a in range(d):
                for b in range(d):
                    rest[a, b] -= side[a] * side[b] / square
    best = 0
    for a in range(d):
        if rest[a, a] > rest[best, best] * (1 + 1e-9):
            best = a
    scale = 1 / np.sqrt(rest[best, best])
    for a in range(d):
        side[a] = rest[best, a] * scale
    return side


@njit
def majorise(anchors, deltas, known, mean, z, moved, max_iter, tol):
    """Steps from z, in place, until the stress falls by less than tol."""
    d = anchors.shape[1]
    total = 0.0
    for i in range(known):
        total += deltas[i] * deltas[i]
    before = np.inf
    for step in range(max_iter + 1):
        stress = 0.0
        moved[:] = 0.0
        for i in range(known):
            square = 0.0
            for c in range(d):
                apart = z[c] - anchors[i, c]
                square += apart * apart
            distance = np.sqrt(square)
            misfit = distance - deltas[i]
            stress += misfit * misfit
            if distance > 0:
                ratio = deltas[i] / distance
                for c in range(d):
                    moved[c] += ratio * (z[c] - anchors[i, c])
            else:
                moved[0] += deltas[i]
        stress /= total
        if step == max_iter or before - stress < tol:
            return
        before = stress
        for c in range(d):
            z[c] = mean[c] + moved[c] / known
