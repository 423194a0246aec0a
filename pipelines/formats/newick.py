"""Trees of merges as Newick text, which tree viewers and scikit-bio read.

A label is put in quotes where a letter of it means something to Newick, a quote in it is doubled.
Branches are as long as makes the path between two records the height at which they come together.
"""

from __future__ import annotations

import re

import numpy as np

from pipelines.formats.distances import printable

_PLAIN = re.compile(r"[^\s()\[\]{}':;,_]+")  # "_" without quotes is read as a blank


def newick(linkage: np.ndarray, ids: list[str]) -> str:
    """One line: the tree of a linkage (n - 1, 4) in scipy's form over the records ids, n >= 1."""
    n = len(ids)
    if n == 1:
        return f"{label(ids[0])};\n"
    heights = np.concatenate([np.zeros(n), linkage[:, 2] / 2])
    children = linkage[:, :2].astype(np.int64).tolist()
    root, parts = 2 * n - 2, []
    stack: list[int | str] = [";\n", root]
    while stack:  # not by recursion: a chain of merges is as deep as there are records
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
        elif node < n:
            parts.append(label(ids[node]))
        else:
            first, second = children[node - n]
            lengths = [_length(heights[node] - heights[child]) for child in (first, second)]
            stack += [f":{lengths[1]})", second, f":{lengths[0]},", first, "("]
    return "".join(parts)


def label(name: str) -> str:
    """The id as Newick reads it back."""
    name = printable(name)
    if _PLAIN.fullmatch(name):
        return name
    return "'" + name.replace("'", "''") + "'"


def _length(value: float) -> str:
    return f"{max(float(value), 0.0):.9g}"
