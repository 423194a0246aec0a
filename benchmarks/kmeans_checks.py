"""What the KMeans benchmark computed, against the definition in float64. Nothing here is timed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from benchmarks.harness import Contender
from benchmarks.kmeans_crew import Ours

ROWS = 20_000  # measured at a time
# Relative distance below which two centroids count as equally near, and may differ between
# an exact label and one by another order of the same sums.
TIE = {"float32": 2e-6, "float64": 1e-12}
CLOSE = 1e-9


def nearest(drawn: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(n,) labels by scores |c|^2 - 2 x.c in float64, of points and centroids about their mean."""
    origin = drawn.mean(axis=0, dtype=np.float64)
    centred = centroids - origin
    halves = (centred**2).sum(axis=1) / 2
    labels = np.empty(len(drawn), np.int64)
    for at in range(0, len(drawn), ROWS):
        rows = slice(at, at + ROWS)
        labels[rows] = (halves - (drawn[rows] - origin) @ centred.T).argmin(axis=1)
    return labels


def squared(drawn: np.ndarray, centroids: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,) squared distances to the centroids of these labels, by definition in float64."""
    found = np.empty(len(drawn))
    for at in range(0, len(drawn), ROWS):
        rows = slice(at, at + ROWS)
        found[rows] = ((drawn[rows] - centroids[labels[rows]]) ** 2).sum(axis=1)
    return found


def compare_labels(drawn: np.ndarray, centroids: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    """How many labels differ from the nearest centroid's: between ties, and wrongly."""
    centroids = np.asarray(centroids, np.float64)
    reference = nearest(drawn, centroids)
    rows = np.flatnonzero(labels != reference)
    theirs = squared(drawn[rows], centroids, labels[rows])
    nearer = squared(drawn[rows], centroids, reference[rows])
    apart = np.abs(theirs - nearer) / np.maximum(nearer, 1e-300)
    ties = int((apart <= TIE[str(drawn.dtype)]).sum())
    return {"ties": ties, "wrong": len(rows) - ties}


def iteration(
    drawn: np.ndarray, start: np.ndarray, ours: Ours, group: list[Contender], before: dict | None
) -> dict:
    """Ours: labels, inertia and the centroids after one iteration, or that they have the bytes of
    a record before. Peers: labels or objective."""
    start = np.asarray(start, np.float64)
    state: Any = group[0].result
    digest = hashlib.sha256(state.centroids.tobytes() + np.float64(state.inertia).tobytes())
    found: dict[str, Any] = {"digest": digest.hexdigest()}
    if before is not None:
        same = before["verified"]["digest"] == found["digest"]
        words = "the same bytes as" if same else "WRONG, other bytes than"
        line = f"ours: {words} with {before['threads']} threads"
        return found | {"correct": same, "lines": [line]}
    labels = ours.labels(start)
    found |= _definition(drawn, start, labels, state)
    lines = [
        f"ours {'right' if found['correct'] else 'WRONG'}: {found['labels']['wrong']} labels "
        f"wrong, {found['labels']['ties']} between ties, inertia to {found['inertia_off']:.0e}, "
        f"centroids to {found['centroids_off']:.0e}"
    ]
    for peer in group[1:]:
        if peer.name == "scikit-learn lloyd":
            found[peer.name] = compare_labels(drawn, start, peer.result)
            lines.append(f"{peer.name}: {found[peer.name]['wrong']} labels of another centroid")
        elif peer.name == "faiss":
            found[peer.name] = abs(peer.result / found["inertia"] - 1)
            lines.append(f"{peer.name}: objective to {found[peer.name]:.0e}")
    return found | {"lines": lines}


def _definition(drawn: np.ndarray, start: np.ndarray, labels: np.ndarray, state: Any) -> dict:
    """How far labels, inertia and the next centroids are from what the definition says."""
    counts = np.bincount(labels, minlength=len(start))
    sums = [np.bincount(labels, column, len(start)) for column in drawn.T.astype(np.float64)]
    moved = np.stack(sums, axis=1) / counts[:, None]
    inertia = float(squared(drawn, start, labels).sum())
    compared = compare_labels(drawn, start, labels)
    inertia_off = abs(state.inertia / inertia - 1)
    centroids_off = float(np.abs(state.centroids - moved).max() / np.abs(moved).max())
    return {
        "labels": compared,
        "inertia": inertia,
        "inertia_off": inertia_off,
        "centroids_off": centroids_off,
        "correct": not compared["wrong"] and max(inertia_off, centroids_off) <= CLOSE,
    }
