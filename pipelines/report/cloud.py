"""Points of a map as the viewer shows them: at most 100,000, in three dimensions, with columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.report import colours, wording
from pipelines.report.sampling import choose
from pipelines.report.scatter import matched_colours, spread_colours

MOST_POINTS = 100_000
MANY_POINTS = 20_000  # with more of them, foreign texts are kept shorter
MOST_OWN = 200  # categories that have an entry in the legend
CLUSTER = "cluster"  # the column whose whole numbers are names


@dataclass(frozen=True)
class Cloud:
    """What is known of n mapped records.

    coordinates (n, d) float   rows with NaN are not drawn
    ids (n,)                   foreign texts
    columns                    {name: (n,) values}: texts (None = missing) are categories, and so
                               are truth values and the numbers of the column "cluster"; other
                               numbers (NaN = missing) are a scale
    counts (n,) int or None    equal records that each point stands for
    placed (n,) bool or None   points that were placed on a finished map; the others are landmarks
    """

    coordinates: np.ndarray
    ids: Sequence[str]
    columns: Mapping[str, Sequence] = field(default_factory=dict)
    counts: np.ndarray | None = None
    placed: np.ndarray | None = None


@dataclass(frozen=True)
class Category:
    """A column of names, the most frequent first.

    codes (m,) int64 places in texts; colours: names in page.css of the first `own` texts
    """

    name: str
    texts: list[str]
    codes: np.ndarray
    sizes: list[int]
    colours: list[str]
    own: int
    none: int  # place of "no value" in texts, -1: every point has one

    kind: str = "category"


@dataclass(frozen=True)
class Scale:
    """A column of numbers, NaN = missing."""

    name: str
    values: np.ndarray

    kind: str = "scale"


@dataclass(frozen=True)
class Drawn:
    """The points that are drawn: places (m, 3) float64 along the principal axes, centred and of
    radius 1; unit: how much of the map one of these is; rows (m,) of the cloud."""

    places: np.ndarray
    unit: float
    rows: np.ndarray
    ids: list[str]
    columns: list[Category | Scale]
    counts: np.ndarray | None
    placed: np.ndarray | None
    dimensions: int
    unseen: int  # points that have no place


def drawn(cloud: Cloud, random_state: int | None = None, most: int = MOST_POINTS) -> Drawn:
    """Choose, place and colour; the same for the same arguments."""
    coordinates = np.asarray(cloud.coordinates, dtype=np.float64)
    if coordinates.ndim < 2:
        coordinates = coordinates.reshape(len(cloud.ids), -1 if len(cloud.ids) else 0)
    seen = np.flatnonzero(np.isfinite(coordinates).all(axis=1))
    rows = _chosen(seen, cloud.placed, most, random_state)
    places, unit = _placed(coordinates[rows], random_state)
    columns = _columns(cloud.columns, rows, places)
    longest = wording.LONGEST_NAME if len(rows) <= MANY_POINTS else 40
    return Drawn(
        places, unit, rows, [wording.short(cloud.ids[row], longest) for row in rows.tolist()],
        columns, _of(cloud.counts, rows), _of(cloud.placed, rows), coordinates.shape[1],
        len(coordinates) - len(seen),
    )  # fmt: skip


def _of(values, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else np.asarray(values)[rows]


def _chosen(seen: np.ndarray, placed, most: int, random_state: int | None) -> np.ndarray:
    """Sorted rows of at most `most` points: all landmarks if they fit in half of them."""
    if len(seen) <= most or placed is None:
        return seen[choose(len(seen), most, random_state)]
    is_placed = np.asarray(placed, dtype=bool)[seen]
    first, second = seen[~is_placed], seen[is_placed]
    n_first = min(len(first), max(most // 2, most - len(second)))
    first = first[choose(len(first), n_first, random_state)]
    second = second[choose(len(second), most - n_first, random_state)]
    return np.sort(np.concatenate([first, second]))


def _placed(points: np.ndarray, random_state: int | None) -> tuple[np.ndarray, float]:
    """(places (m, 3), unit): principal axes, the centre of their range at 0, radius 1."""
    m, d = points.shape
    if not m:
        return np.zeros((0, 3)), 1.0
    largest = float(np.abs(points).max(initial=0)) or 1.0
    centred = points / largest
    centred = centred - centred.mean(axis=0)
    turned = centred @ _axes(centred)
    places = np.zeros((m, 3))
    places[:, : min(d, 3)] = turned[:, :3]
    if d == 1:  # spread upwards, since the points would cover each other
        draw = np.random.default_rng(0 if random_state is None else random_state)
        places[:, 1] = (draw.random(m) - 0.5) * 0.3 * np.ptp(places[:, 0])
    places -= (places.min(axis=0) + places.max(axis=0)) / 2
    radius = float(np.sqrt((places**2).sum(axis=1).max())) or 1.0
    return places / radius, radius * largest


def _axes(centred: np.ndarray) -> np.ndarray:
    """Columns: at most three principal axes, as a rotation (never a mirror) where d <= 3."""
    d = centred.shape[1]
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(d)] < 0, -1.0, 1.0)
    if d <= 3 and np.linalg.det(axes) < 0:
        axes[:, -1] *= -1
    return axes[:, :3]


def _columns(columns: Mapping, rows: np.ndarray, places: np.ndarray) -> list[Category | Scale]:
    found: list[Category | Scale] = []
    clusters: Category | None = None
    for name in sorted(columns, key=lambda name: name != CLUSTER):
        values = columns[name]
        numbers = _numbers(name, values)
        if numbers is not None:
            found.append(Scale(wording.short(name), numbers[rows]))
            continue
        one = _category(name, [values[row] for row in rows.tolist()], places, clusters)
        clusters = one if name == CLUSTER else clusters
        found.append(one)
    order = {wording.short(name): n for n, name in enumerate(columns)}
    return sorted(found, key=lambda one: order[one.name])


def _numbers(name: str, values) -> np.ndarray | None:
    """A column as float64, or None where it has names."""
    if name == CLUSTER:
        return None
    array = values if isinstance(values, np.ndarray) else None
    if array is None:
        known = [value for value in values if value is not None]
        if any(isinstance(value, str | bool | np.bool_) for value in known) or not known:
            return None
        array = np.array([np.nan if value is None else value for value in values])
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def _category(name: str, values: list, places: np.ndarray, clusters: Category | None) -> Category:
    """Names ranked by their number of points; `clusters` lend their colours to what is in them."""
    texts = [None if value is None or value != value else str(value) for value in values]
    counts = Counter(text for text in texts if text is not None)
    natural = {text: wording.natural(text) for text in counts}
    ranked = sorted(counts, key=lambda text: (-counts[text], natural[text]))
    if name == CLUSTER:  # numbered by size already; their order is that of their numbers
        ranked = sorted(counts, key=lambda text: natural[text])
    place = {text: code for code, text in enumerate(ranked)}
    none = len(ranked) if None in texts else -1
    codes = np.array([none if text is None else place[text] for text in texts], dtype=np.int64)
    own = min(len(ranked), MOST_OWN)
    most = 60 if len(ranked) <= 1_000 else 24  # letters; very many make a heavy page
    return Category(
        wording.short(name),
        [wording.short(text, most) for text in ranked] + (["no value"] if none >= 0 else []),
        codes,
        [counts[text] for text in ranked] + ([texts.count(None)] if none >= 0 else []),
        _category_colours(codes, own, places, clusters),
        own,
        none,
    )


def _category_colours(codes, own: int, places: np.ndarray, clusters: Category | None) -> list[str]:
    """Names of colours for the `own` first names: groups of one colour lie apart."""
    known = codes < own
    shown = np.where(known, codes, -1)
    n = max(own, 1)
    sizes = np.bincount(codes[known], minlength=n)
    if clusters is None or not clusters.own:
        sums = [np.bincount(codes[known], places[known, axis], n) for axis in range(3)]
        middles = np.column_stack(sums) / np.maximum(sizes, 1)[:, None]
        numbers = spread_colours(middles, sizes, len(colours.CATEGORIES))
    else:
        within = np.minimum(clusters.codes, clusters.own - 1)
        lent = np.array([colours.CATEGORIES.index(one) for one in clusters.colours])
        numbers = matched_colours(shown, within, lent, places[:, :2])
    return [colours.CATEGORIES[number] for number in np.asarray(numbers)[:own].tolist()]
