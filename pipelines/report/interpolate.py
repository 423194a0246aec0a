"""The report of points placed on a finished map: where they came to lie, and how well."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipelines.report import wording
from pipelines.report.cloud import Cloud, drawn
from pipelines.report.histograms import distance_histogram
from pipelines.report.iteration_rows import number
from pipelines.report.maps import joined, map_section
from pipelines.report.mds import crew, time_numbers, without_logs
from pipelines.report.page import build
from pipelines.report.parts import Figure, Number, Row, Section, Table, Text
from pipelines.report.provenance import mapping, setting
from pipelines.report.running import run_section
from pipelines.report.shepard import shepard_section

CITATION = (
    "Bae S-H, Choi JY, Qiu J, Fox GC (2010) Dimension reduction and visualization of large "
    "high-dimensional data via interpolation. HPDC '10:203-214."
)
KIND = "kind"  # the column that tells landmarks from placed points


def interpolate_report(
    run: Mapping,
    *,
    coordinates: np.ndarray,
    ids: Sequence[str],
    landmarks: np.ndarray,
    landmark_ids: Sequence[str],
    columns: Mapping[str, Sequence] | None = None,
    landmark_columns: Mapping[str, Sequence] | None = None,
    nearest: np.ndarray | None = None,
    stress: np.ndarray | None = None,
    shepard: Mapping | None = None,
    counts: np.ndarray | None = None,
    timeline: Sequence[Mapping] | None = None,
    random_state: int | None = None,
) -> bytes:
    """One offline HTML page (UTF-8), the same for the same arguments.

    run                      run.json as a dict (schema 1); any key may be missing; "stress" or
                             "normalized_stress" of the placed points and "landmark_stress" or
                             {"landmarks": {"normalized_stress"}} are told side by side
    coordinates (n, d)       of the placed points, or of a sample of them; ids (n,) foreign texts
    landmarks (m, d)         of the finished map; landmark_ids (m,)
    columns                  {name: (n,) texts or numbers} of the placed points, such as label
    landmark_columns         {name: (m,) ...}; a name that stands in both is one column
    nearest (n,)             distance of each placed point to its nearest landmark, NaN = none
    stress (n,)              normalized stress of each placed point to its neighbours
    shepard                  {"delta": (p,), "distance": (p,)} of placed points and landmarks
    counts (n,)              equal records that each placed point stands for
    timeline, random_state   as in mds_report
    """
    n, m = len(ids), len(landmark_ids)
    placed, known = _places(coordinates, landmarks)
    first, second = landmark_columns or {}, columns or {}
    names = dict.fromkeys([*second, *first])
    both = {name: joined(first.get(name), m, second.get(name), n) for name in names}
    both[KIND] = ["landmark"] * m + ["placed"] * n
    cloud = Cloud(
        np.vstack([known, placed]),
        [*landmark_ids, *ids],
        both,
        None if counts is None else np.concatenate([np.ones(m, dtype=np.int64), counts]),
        np.arange(m + n) >= m,
    )
    total = int(number(run.get("n"))) if np.isfinite(number(run.get("n"))) else n
    sections = [
        map_section(drawn(cloud, random_state), m + max(total, n)),
        placement_section(run, nearest, stress),
        *shepard_section(shepard),
        run_section(run, [task for task in timeline or () if isinstance(task, Mapping)]),
    ]
    return build(
        without_logs(run),
        title=f"{wording.count(total)} point{'' if total == 1 else 's'} placed among "
        f"{wording.count(m)} landmark{'' if m == 1 else 's'}",
        subtitle=_subtitle(run),
        numbers=[
            Number("placed", wording.large(total)),
            Number("landmarks", wording.large(m)),
            *stress_numbers(run),
            *time_numbers(run),
        ],
        sections=sections,
        citation=CITATION,
    )


def _places(coordinates, landmarks) -> tuple[np.ndarray, np.ndarray]:
    """(placed (n, d), landmarks (m, d)) with the same d, also where one of them is empty."""
    found = [np.atleast_2d(np.asarray(c, dtype=np.float64)) for c in (coordinates, landmarks)]
    d = max(part.shape[1] for part in found)
    placed, known = (part if part.size else np.zeros((0, d)) for part in found)
    return placed, known


def _subtitle(run: Mapping) -> str:
    parts = ["Interpolation by majorisation"]
    k = number(setting(run, "k"))
    if np.isfinite(k):
        parts.append(f"{wording.count(k)} nearest landmarks")
    return wording.short(" · ".join([*parts, *crew(run)]), 300)


def stress_numbers(run: Mapping) -> list[Number]:
    """Stress of the placed points and of the landmarks, side by side; 1-NN agreement."""
    own = number(run.get("normalized_stress"))
    of_map = number(mapping(run, "landmarks").get("normalized_stress", run.get("landmark_stress")))
    numbers = []
    if np.isfinite(own):
        note = "normalized, to their neighbours"
        numbers.append(Number("stress of placed", wording.number(own, 4), note))
    if np.isfinite(of_map):
        note = "normalized, of the finished map"
        numbers.append(Number("stress of landmarks", wording.number(of_map, 4), note))
    one_nn = number(run.get("one_nn", mapping(run, "labels").get("one_nn")))
    if np.isfinite(one_nn):
        note = "nearest on the map has the same label"
        numbers.append(Number("1-NN agreement", wording.three(one_nn), note))
    return numbers


def placement_section(run: Mapping, nearest, stress) -> Section:
    """How near the landmarks were and how well the points fit among them."""
    figures = [
        _histogram("nearest", "Distance to the nearest landmark", nearest, "distance"),
        _histogram("fit", "Stress of each placed point", stress, "stress"),
    ]
    shown = [figure for figure in figures if figure is not None]
    parts: list = [Row(shown)] if len(shown) > 1 else list(shown)
    told = stress_numbers(run)
    if told:
        rows = [(one.label, one.value, one.note) for one in told]
        parts.append(Table(("", "", ""), rows, (1,), folded="In numbers"))
    intro = "A point whose nearest landmark is far has no neighbours to be placed by: trust its "
    intro += "place less." if shown else ""
    return Section(
        "Placement",
        parts or [Text("The run left no record of how well the points fit.")],
        intro=intro if shown else "",
    )


def _histogram(name: str, title: str, values, unit: str) -> Figure | None:
    values = np.zeros(0) if values is None else np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    zero = int((values == 0).sum())
    remark = f"{wording.count(len(values))} points"
    remark += f", {wording.share(zero, len(values))} at exactly 0" if zero else ""
    figure = distance_histogram(
        values, unit=unit, summary=f"{remark}.", exact=(0.0,), what="points"
    )
    return None if figure is None else replace(figure, name=name, title=title)
