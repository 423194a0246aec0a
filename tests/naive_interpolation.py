"""Slow truth for neighbours and interpolation: the definitions, item by item."""

import math

import numpy as np


def squared_distances(points, landmarks):
    """(n, m) float64: sums of (x - c)**2 over the columns from first to last."""
    points, landmarks = np.asarray(points, np.float64), np.asarray(landmarks, np.float64)
    total = np.zeros((len(points), len(landmarks)))
    for column, other in zip(points.T, landmarks.T, strict=True):
        total += (column[:, None] - other) ** 2
    return total


def nearest(points, landmarks, k):
    """(indices, distances) of the k nearest landmarks; of equally near ones the first."""
    squares = squared_distances(points, landmarks)
    indices = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return indices, np.sqrt(np.take_along_axis(squares, indices, axis=1))


def select(row, k):
    """[(distance, index)] of the k smallest known distances of a row."""
    known = [(float(d), j) for j, d in enumerate(row) if math.isfinite(d) and d >= 0]
    return sorted(known)[:k]


def known_of(indices, distances):
    return [
        (int(j), float(d))
        for j, d in zip(indices, distances, strict=True)
        if j >= 0 and math.isfinite(d) and d >= 0
    ]


def stress(z, anchors, deltas):
    lengths = [math.dist(z, p) for p in anchors]
    return sum((a - b) ** 2 for a, b in zip(lengths, deltas, strict=True))


def start(anchors, deltas):
    """The mean, lifted off the hull of no more anchors than dimensions."""
    mean = np.mean(anchors, axis=0)
    d = len(mean)
    height = np.mean(np.square(deltas)) - np.mean(np.square(anchors - mean).sum(axis=1))
    if len(anchors) > d or height <= 0:
        return mean, mean
    _, singular, axes = np.linalg.svd(anchors - mean, full_matrices=False)
    axes = axes[singular > 1e-10 * max(singular.max(), 1e-300)]
    off = np.eye(d) - axes.T @ axes  # projects onto what is at right angles to the hull
    lengths = np.sqrt(np.maximum(np.diag(off), 0))
    longest = int(np.flatnonzero(lengths > lengths.max() - 1e-7)[0])
    return mean, mean + math.sqrt(height) * off[longest] / lengths[longest]


def place(indices, distances, landmarks_at, max_iter=1000, tol=1e-6):
    """Where one item is placed."""
    d = landmarks_at.shape[1]
    known = known_of(indices, distances)
    if not known:
        return np.full(d, np.nan)
    for number, delta in known:
        if delta == 0:
            return landmarks_at[number]
    anchors = np.array([landmarks_at[number] for number, _ in known])
    deltas = np.array([delta for _, delta in known])
    mean, z = start(anchors, deltas)
    before = math.inf
    for step in range(max_iter + 1):
        now = stress(z, anchors, deltas) / float(np.square(deltas).sum())
        if before - now < tol or step == max_iter:
            return z
        before, moved = now, np.zeros(d)
        for p, delta in zip(anchors, deltas, strict=True):
            length = math.dist(z, p)
            moved += delta / length * (z - p) if length > 0 else delta * np.eye(d)[0]
        z = mean + moved / len(known)
    raise AssertionError("not reached")
