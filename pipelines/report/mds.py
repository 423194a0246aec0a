"""The report of a run of multidimensional scaling: the map, its stress, what it kept."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import wording
from pipelines.report.cloud import CLUSTER, Cloud, drawn
from pipelines.report.groups import Groups, matrix_section
from pipelines.report.iteration_rows import Iterations, found, number
from pipelines.report.iterations import iteration_section, with_iterations
from pipelines.report.maps import map_section
from pipelines.report.page import build
from pipelines.report.partitions import data_section
from pipelines.report.parts import Number
from pipelines.report.provenance import mapping, setting
from pipelines.report.running import run_section, whole_seconds
from pipelines.report.shepard import shepard_section
from pipelines.report.stress import stress_section

CITATION = (
    "de Leeuw J (1977) Applications of convex analysis to multidimensional scaling. "
    "Recent Developments in Statistics:133-145.\n"
    "Borg I, Groenen PJF (2005) Modern multidimensional scaling. 2nd ed. Springer.\n"
    "Bae S-H, Qiu J, Fox GC (2012) High performance multidimensional scaling for large "
    "high-dimensional data visualization."
)
# lists of the log, which the sections show and run.json does not hold
FROM_THE_LOG = {"chunks", "rollbacks", "checkpoints", "moves", "backups"}


def mds_report(
    run: Mapping,
    *,
    coordinates: np.ndarray,
    ids: Sequence[str],
    columns: Mapping[str, Sequence] | None = None,
    shepard: Mapping | None = None,
    rows: Sequence[Mapping] = (),
    sample: Mapping | None = None,
    counts: np.ndarray | None = None,
    timeline: Sequence[Mapping] | None = None,
    random_state: int | None = None,
) -> bytes:
    """One offline HTML page (UTF-8), the same for the same arguments.

    run                   run.json as a dict (schema 1); any key may be missing
    coordinates (n, d)    float; at most 100,000 points are drawn; ids (n,) foreign texts
    columns               {name: (n,) values} to colour by: texts (None = missing) or numbers (NaN =
                          missing), such as label and length; the numbers of "cluster" are names
    shepard               {"delta": (m,), "distance": (m,)}: given distances of sampled pairs and
                          those on the map; "pairs", where given, is the number of all known ones
    rows                  [{run, iteration, job, temperature, stress, normalized, started, mapped,
                          stopped, seconds}] of all starts in order of time; seconds: of each
                          rank's map; stress of the jobs that have one
    sample                {"rows": (k,) numbers of records, "distances": (k, k), NaN = missing} for
                          the picture of the matrix, k <= 2,000; None: no picture
    counts (n,)           equal records that each point stands for
    timeline              [{worker, started, stopped, kind}] of the tasks, epoch seconds
    random_state          seed of what is drawn at random; None = 0
    """
    columns = dict(columns or {})
    points = drawn(Cloud(coordinates, ids, columns, counts), random_state)
    told = Iterations(rows)
    groups = Groups(columns[CLUSTER], points) if CLUSTER in columns else None
    n = len(ids)
    sections = [
        map_section(points, n),
        *stress_section(run, told),
        *shepard_section(shepard, setting(run, "scaling")),
        *matrix_section(sample, ids, groups, n),
        iteration_section(rows, timeline or ()),
        data_section(run),
        run_section(run, with_iterations(run, told, timeline)),
    ]
    return build(
        without_logs(run),
        title=map_title(n, points.dimensions),
        subtitle=_subtitle(run),
        numbers=[*_counts(run, n, points.dimensions), *map_numbers(run, told), *time_numbers(run)],
        sections=sections,
        warnings=map_warnings(run),
        citation=CITATION,
    )


def without_logs(run: Mapping) -> dict:
    """run.json as the page shows it."""
    return {key: value for key, value in run.items() if key not in FROM_THE_LOG}


def map_title(n: int, d: int, what: str = "point") -> str:
    """'28,645 points in 3 dimensions'."""
    return f"{wording.count(n)} {what}{'' if n == 1 else 's'} in {d} dimension{'s' * (d != 1)}"


def _subtitle(run: Mapping) -> str:
    """'Multidimensional scaling · weights sammon · annealed · best of 4 starts · 2 workers'."""
    parts = ["Multidimensional scaling"]
    weights, scaling = setting(run, "weights"), setting(run, "scaling")
    if weights not in (None, "none"):
        parts.append(f"weights {weights}")
    if scaling not in (None, "absolute"):
        parts.append(f"{scaling} scaling")
    if setting(run, "anneal") is True:
        parts.append("annealed")
    starts = number(setting(run, "n_init"))
    if starts > 1:
        parts.append(f"best of {wording.count(starts)} starts")
    elif setting(run, "init"):
        parts.append(f"start {setting(run, 'init')}")
    return wording.short(" · ".join([*parts, *crew(run)]), 300)


def crew(run: Mapping) -> list[str]:
    """['2 workers', 'executor gang'] as far as run.json tells."""
    parts = []
    workers, executor = run.get("workers"), mapping(run, "executor").get("name")
    if isinstance(workers, Sequence) and not isinstance(workers, str) and workers:
        parts.append(f"{len(workers):,} worker{'' if len(workers) == 1 else 's'}")
    return [*parts, f"executor {executor}"] if executor else parts


def _counts(run: Mapping, n: int, d: int) -> list[Number]:
    return [Number("points", wording.large(n)), Number("dimensions", wording.count(d))]


def map_numbers(run: Mapping, told: Iterations | None = None) -> list[Number]:
    """Stress, iterations and agreement with labels, as far as they are told."""
    numbers = []
    named = (
        ("normalized_stress", "normalized stress", "0: every distance is kept"),
        ("stress1", "stress-1", "Kruskal's, after the best scaling"),
        ("stress", "raw stress", "sum of squared errors"),
    )
    for key, name, note in named:
        if np.isfinite(number(run.get(key))):
            numbers.append(Number(name, wording.number(number(run[key]), 4), note))
    n_iter = found(run, "n_iter", "iterations")
    if np.isfinite(n_iter):
        ended = {True: "converged", False: "not converged"}.get(run.get("converged"), "")
        starts = 0 if told is None else len(np.unique(told.run))
        more = f"best of {wording.count(starts)} starts" if starts > 1 else ""
        note = ", ".join(filter(None, (ended, more)))
        numbers.append(Number("iterations", wording.count(n_iter), note))
    one_nn = number(run.get("one_nn", mapping(run, "labels").get("one_nn")))
    if np.isfinite(one_nn):
        note = "nearest on the map has the same label"
        numbers.append(Number("1-NN agreement", wording.three(one_nn), note))
    return numbers


def time_numbers(run: Mapping) -> list[Number]:
    seconds = whole_seconds(run)
    return (
        [] if seconds is None else [Number("time", wording.seconds(seconds), "from start to end")]
    )


def map_warnings(run: Mapping) -> list[str]:
    """What the run did not warn of itself."""
    told = " ".join(map(str, run.get("warnings") or ())).lower()
    if run.get("converged") is False and "converge" not in told:
        return [
            "The iterations were stopped before they converged: more of them (--max-iter) may "
            "still lower the stress."
        ]
    return []
