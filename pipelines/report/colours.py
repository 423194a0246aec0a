"""Colours that stay apart for colour-blind readers, and one perceptually even scale.

Scale: "dense" of cmocean (Thyng et al. 2016, Oceanography 29(3); MIT licence), of even lightness.
Labels: the "muted" set of Paul Tol (technical note SRON/EPS/TN/09-002).
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

NEAR_TO_FAR = (
    (54, 14, 36),
    (80, 20, 66),
    (100, 31, 104),
    (113, 50, 141),
    (119, 74, 175),
    (120, 100, 202),
    (117, 127, 221),
    (115, 154, 228),
    (129, 180, 227),
    (156, 201, 226),
    (191, 221, 229),
    (230, 240, 240),
)
MUTED = (
    "#44AA99",
    "#CC6677",
    "#DDCC77",
    "#332288",
    "#88CCEE",
    "#AA4499",
    "#117733",
    "#882255",
    "#999933",
)
OTHER, UNLABELLED = "#8A9096", "#D3D6D8"
# the categories of page.css, which follow light and dark; for pictures that need no fixed colour
CATEGORIES = tuple(f"--c{number}" for number in range(12))
NO_CATEGORY, OTHER_CATEGORY = "--c-none", "--c-other"
# the same in the light page, for still pictures that hold their colours
FIXED = {
    **{f"--c{number}": colour for number, colour in enumerate((
        "#35988A", "#CC6677", "#4A3FA0", "#C6AC3A", "#55AEDB", "#AA4499",
        "#117733", "#DD7733", "#882255", "#3F6FA5", "#8F8F2C", "#7A5230",
    ))},
    OTHER_CATEGORY: "#8A9096",
    NO_CATEGORY: "#C9CDCF",
}  # fmt: skip


def plotly_scale() -> list[list]:
    """NEAR_TO_FAR as plotly's colorscale."""
    last = len(NEAR_TO_FAR) - 1
    return [[step / last, f"rgb{colour}"] for step, colour in enumerate(NEAR_TO_FAR)]


def ramp(steps: int) -> list[tuple[int, int, int]]:
    """NEAR_TO_FAR in `steps` colours."""
    at = np.linspace(0, len(NEAR_TO_FAR) - 1, steps)
    stops = np.array(NEAR_TO_FAR, dtype=float)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, c]).round() for c in range(3)]
    return [(int(r), int(g), int(b)) for r, g, b in zip(*channels, strict=True)]


def rgb(colour: str) -> tuple[int, int, int]:
    """'#44AA99' -> (68, 170, 153); a category of the page as in the light page."""
    colour = FIXED.get(colour, colour)
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


class LabelColours:
    """A colour for each label: the most frequent ones get one of their own, the rest share a grey.

    entries   [(colour, label or None for a shared grey, records)], in order of frequency
    codes     (n,) int: number of the entry of each record
    """

    def __init__(self, labels: Sequence[str | None]):
        counts = Counter(label for label in labels if label is not None)
        ranked = sorted(counts, key=lambda label: (-counts[label], label))
        own = {label: code for code, label in enumerate(ranked[: len(MUTED)])}
        shared = sum(counts[label] for label in ranked[len(MUTED) :])
        self.n_labels = len(ranked)
        self.own = list(own)
        self.entries = [(MUTED[code], label, counts[label]) for label, code in own.items()]
        other = len(self.entries)
        if shared:
            self.entries.append((OTHER, None, shared))
        if None in labels:
            self.entries.append((UNLABELLED, None, sum(label is None for label in labels)))
        none = len(self.entries) - 1
        self.codes = np.array(
            [none if label is None else own.get(label, other) for label in labels], dtype=np.int64
        )
