"""Who worked when: a lane per worker thread, a bar per block; with very many, how busy."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import still, wording
from pipelines.report.figures import STILL_WIDTH, typed
from pipelines.report.parts import Figure

MOST_BARS = 5_000
MOST_FRAMED = 300  # bars with a line around them, which would hide thin ones
MOST_LANES = 200
TIME_BINS = 300
STATES = {"done": "--accent", "repeated": "--second", "lost": "--lost"}
KINDS = ("--accent", "--c0", "--c3", "--c5", "--c9", "--c6", "--c11", "--c-other")


def state(block: Mapping) -> str:
    """'lost' when its result never arrived, 'repeated' when an attempt came before, or 'done'."""
    if block.get("lost") or block.get("state") == "lost":
        return "lost"
    again = int(block.get("attempt") or 1) > 1 or block.get("repeated")
    return "repeated" if again or block.get("state") == "repeated" else "done"


def kind_colours(blocks: Sequence[Mapping]) -> dict[str, str]:
    """A colour for each kind of task, in order of appearance; {} for blocks of one kind."""
    kinds = dict.fromkeys(str(block["kind"]) for block in blocks if block.get("kind"))
    return {kind: KINDS[min(n, len(KINDS) - 1)] for n, kind in enumerate(kinds)}


def noun(blocks: Sequence[Mapping]) -> str:
    """What the blocks of a timeline are called: those with a kind are tasks."""
    return "tasks" if any(block.get("kind") for block in blocks) else "blocks"


def lanes(
    workers: Sequence[str], started: np.ndarray, stopped: np.ndarray
) -> list[tuple[str, int]]:
    """The lane of each block: its worker, and the first of the worker's threads that is free.

    A block that starts up to a millisecond before another's end fits behind it: clocks are coarse.
    """
    free: dict[str, list[float]] = {}
    placed: list[tuple[str, int]] = [("", 0)] * len(workers)
    for block in np.lexsort((stopped, started)).tolist():
        ends = free.setdefault(workers[block], [])
        lane = next((n for n, end in enumerate(ends) if end <= started[block] + 1e-3), len(ends))
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = float(stopped[block])
        placed[block] = (workers[block], lane)
    return placed


def timeline(blocks: Sequence[Mapping], lost: Sequence[Mapping] = ()) -> Figure | None:
    """blocks [{i, j, worker, started, stopped}] in epoch seconds, attempt and lost where known;
    tasks have a `kind`, which gives their colour, in place of i and j.
    lost: the workers that died, [{name, at}].

    None when no block tells its time.
    """
    timed = [b for b in blocks if b.get("started") is not None and b.get("stopped") is not None]
    if not timed:
        return None
    started = np.array([b["started"] for b in timed], dtype=np.float64)
    stopped = np.array([b["stopped"] for b in timed], dtype=np.float64)
    origin = started.min()
    started, stopped = started - origin, np.maximum(stopped, started) - origin
    workers = [str(b.get("worker", "")) for b in timed]
    names = sorted(set(workers), key=wording.natural)
    drawn = _bars if len(timed) <= MOST_BARS and len(names) <= MOST_LANES else _density
    return drawn(timed, workers, names, started, stopped, _losses(lost, origin))


def _losses(lost: object, origin: float) -> list[float]:
    if not isinstance(lost, Sequence) or isinstance(lost, str):
        return []
    return [
        float(entry["at"]) - origin
        for entry in lost
        if isinstance(entry, Mapping) and "at" in entry
    ]


def _bars(timed, workers, names, started, stopped, losses) -> Figure:
    placed = lanes(workers, started, stopped)
    order = sorted(set(placed), key=lambda lane: (names.index(lane[0]), lane[1]))
    rows = {lane: row for row, lane in enumerate(order)}
    row = np.array([rows[lane] for lane in placed])
    kinds = kind_colours(timed)
    states = np.array([_class(block, kinds) for block in timed])
    data, tips, layers = [], [], []
    width = STILL_WIDTH / max(float(stopped.max()), 1e-9)
    for name, colour in (kinds | STATES).items():
        of = np.flatnonzero(states == name)
        data.append(_trace(started[of], (stopped - started)[of], row[of], colour))
        data[-1]["marker"]["line"]["width"] = 0.5 if len(timed) <= MOST_FRAMED else 0
        tips.append(
            [_tip(timed[n], name, started[n], stopped[n] - started[n]) for n in of.tolist()]
        )
        box = [started[of] * width, row[of] * 10 + 1, (stopped - started)[of] * width, 0 * of + 8]
        layers.append((colour, np.column_stack(box)))
    labels = [wording.short(worker, 24) if lane == 0 else "" for worker, lane in order]
    title = f"{noun(timed).capitalize()} by worker"
    return Figure(
        name="timeline",
        title=title,
        graph={"data": data, "layout": _layout(labels, losses)},
        summary=_summary(timed, len(names), float(stopped.max()), len(losses)),
        still=still.svg(layers, STILL_WIDTH, 10 * len(order), title, _ends(stopped.max())),
        tips={"texts": tips},
        height=_height(len(order)),
    )


def _class(block: Mapping, kinds: Mapping[str, str]) -> str:
    found = state(block)
    return str(block["kind"]) if found == "done" and kinds and block.get("kind") else found


def _ends(span: float) -> tuple[str, str]:
    return "0 s", wording.seconds(float(span))


def _trace(base, length, row, colour: str) -> dict:
    return {
        "type": "bar",
        "orientation": "h",
        "base": typed(base),
        "x": typed(length),
        "y": typed(row),
        "width": 0.8,
        "marker": {"color": colour, "line": {"color": "--card", "width": 0.5}},
        "hoverinfo": "none",
    }


def _tip(block: Mapping, name: str, start: float, length: float) -> str:
    place = (
        f"block {wording.short(block.get('i', '?'), 12)}, {wording.short(block.get('j', '?'), 12)}"
    )
    if block.get("kind"):
        place = wording.short(block["kind"], 24)
    remark = f" · {name}" if name in ("repeated", "lost") else ""
    worker = wording.short(block.get("worker", ""), 40)
    return f"{place}{remark}\n{wording.seconds(length)} from {start:.2f} s\n{worker}"


def _layout(labels: list[str], losses: list[float]) -> dict:
    from html import escape

    mark = {"type": "line", "yref": "paper", "y0": 0, "y1": 1}
    line = {"color": "--ink", "width": 1.5, "dash": "dash"}
    return {
        "barmode": "overlay",
        "xaxis": {"title": {"text": "seconds"}, "rangemode": "tozero"},
        "yaxis": {
            "tickvals": list(range(len(labels))),
            "ticktext": [escape(label) for label in labels],  # plotly reads tags in tick texts
            "autorange": "reversed",
            "showgrid": False,
            "zeroline": False,
        },
        "shapes": [{**mark, "x0": at, "x1": at, "line": line} for at in losses],
    }


def _height(rows: int) -> int:
    return 76 + max(48, min(26 * rows, 620))


def _summary(timed: Sequence[Mapping], n_workers: int, span: float, n_lost: int) -> str:
    states = [state(block) for block in timed]
    found = {name: states.count(name) for name in STATES}
    text = f"{wording.count(len(timed))} {noun(timed)} on {wording.count(n_workers)} worker"
    text += f"{'' if n_workers == 1 else 's'} in {wording.seconds(span)}"
    remarks = [
        f"{wording.count(found[name])} {name}" for name in ("repeated", "lost") if found.get(name)
    ]
    if n_lost:
        remarks.append(f"{n_lost} worker{'' if n_lost == 1 else 's'} lost (dashed)")
    return text + (": " + ", ".join(remarks) if remarks else "") + "."


def busy(started: np.ndarray, stopped: np.ndarray, row: np.ndarray, n_rows: int, span: float):
    """Mean number of blocks at work in each lane and time bin: (n_rows, TIME_BINS) float64.

    Each block adds its overlap with every bin: whole bins by a running sum, the two ends apart.
    """
    work = np.zeros((n_rows, TIME_BINS + 1))
    for at, sign in ((started, 1.0), (stopped, -1.0)):
        # integral of a step at `at`: (bin end - at) in its own bin, a whole bin in each later one
        place = np.clip(at / span * TIME_BINS, 0, TIME_BINS)
        first = np.minimum(place.astype(np.int64), TIME_BINS - 1)
        np.add.at(work, (row, first), sign * (first + 1 - place))
        np.add.at(work, (row, first + 1), sign * (place - first))
    return np.cumsum(work, axis=1)[:, :TIME_BINS]


def _density(timed, workers, names, started, stopped, losses) -> Figure:
    span = max(float(stopped.max()), 1e-9)
    group = -(-len(names) // MOST_LANES)  # workers that share a lane when there are very many
    lane = {name: number // group for number, name in enumerate(names)}
    row = np.array([lane[worker] for worker in workers])
    work = busy(started, stopped, row, max(lane.values()) + 1, span)
    part = work / max(float(work.max()), 1e-9)
    edges = np.linspace(0, span, TIME_BINS + 1)
    labels = [wording.short(name, 24) for name in names[::group]]
    layout = _layout(labels if len(labels) <= 40 else [], losses)
    trace = {
        "type": "heatmap",
        "meta": "busy",
        "x": typed((edges[:-1] + edges[1:]) / 2),
        "z": typed(np.round(part, 3)),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "--accent-soft"], [1, "--accent"]],
        "showscale": False,
        "hoverinfo": "none",
    }
    tall = np.column_stack([np.repeat(np.arange(len(part)), TIME_BINS), part.ravel()])
    boxes = np.column_stack(
        [
            np.tile(edges[:-1], len(part)) / span * STILL_WIDTH,
            tall[:, 0] * 10 + 9 - 8 * tall[:, 1],
            np.full(len(tall), STILL_WIDTH / TIME_BINS),
            8 * tall[:, 1],
        ]
    )
    return Figure(
        name="timeline",
        title="How busy the workers were",
        graph={"data": [trace], "layout": layout},
        summary=_summary(timed, len(names), span, len(losses)),
        still=still.svg(
            [("--accent", boxes[boxes[:, 3] > 0])], STILL_WIDTH, 10 * len(part), "Busy", _ends(span)
        ),
        height=_height(len(part)),
    )
