"""The report of the whole way from sequences to a map and clusters, on one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.report import wording
from pipelines.report.cloud import CLUSTER, Cloud, drawn
from pipelines.report.cluster import cluster_numbers, cluster_sections
from pipelines.report.groups import Groups, matrix_section
from pipelines.report.histograms import length_histogram
from pipelines.report.interpolate import placement_section
from pipelines.report.iteration_rows import Iterations, found, number
from pipelines.report.iterations import iteration_section, with_iterations
from pipelines.report.maps import columns_with, map_section
from pipelines.report.mds import map_numbers, time_numbers, without_logs
from pipelines.report.page import build
from pipelines.report.partitions import data_section
from pipelines.report.parts import Number, Section
from pipelines.report.provenance import mapping, setting
from pipelines.report.running import run_section
from pipelines.report.shepard import shepard_section
from pipelines.report.stress import stress_section

CITATION = (
    "Smith TF, Waterman MS (1981) Identification of common molecular subsequences. "
    "J Mol Biol 147:195-197.\n"
    "Gotoh O (1982) An improved algorithm for matching biological sequences. "
    "J Mol Biol 162:705-708.\n"
    "Borg I, Groenen PJF (2005) Modern multidimensional scaling. 2nd ed. Springer."
)


@dataclass(frozen=True)
class Scaled:
    """What the stages left behind for the figures; each part may be missing.

    shepard, rows   as in mds_report; of the landmarks where not all sequences were compared
    linkage, leaves, medoids   as in cluster_report
    sample          {"rows": (k,), "distances": (k, k)} as in mds_report, rows of all n sequences
    nearest, stress (n,)   as in interpolate_report, NaN for landmarks
    """

    shepard: Mapping | None = None
    rows: Sequence[Mapping] = ()
    linkage: np.ndarray | None = None
    leaves: np.ndarray | None = None
    medoids: Sequence[Mapping] = ()
    sample: Mapping | None = None
    nearest: np.ndarray | None = None
    stress: np.ndarray | None = None
    timeline: Sequence[Mapping] = field(default_factory=tuple)


def sequences_report(
    run: Mapping,
    *,
    coordinates: np.ndarray,
    ids: Sequence[str],
    clusters: Sequence[int] | np.ndarray | None = None,
    lengths: Sequence[int] | np.ndarray | None = None,
    labels: Sequence[str | None] | None = None,
    columns: Mapping[str, Sequence] | None = None,
    counts: np.ndarray | None = None,
    placed: np.ndarray | None = None,
    scaled: Scaled | None = None,
    random_state: int | None = None,
) -> bytes:
    """One offline HTML page (UTF-8), the same for the same arguments.

    run                  run.json as a dict (schema 1); any key may be missing. Told where they are:
                         records, distinct (or n), duplicates, stress, n_iter, labels {one_nn, ari,
                         nmi}, silhouettes, seconds, phases, placement {normalized_stress,
                         landmarks {normalized_stress}}
    coordinates (n, d)   of the n distinct sequences; ids (n,) foreign texts
    clusters (n,)        1 .. k, the largest is 1; lengths (n,) letters; labels (n,) None = missing
    columns              {name: (n,) texts or numbers}: more to colour by
    counts (n,)          records that each sequence stands for (exact duplicates, itself included)
    placed (n,) bool     True: interpolated, False: a landmark; None: all were compared
    scaled               what the stages left behind
    random_state         seed of what is drawn at random; None = 0
    """
    n, scaled = len(ids), scaled or Scaled()
    chosen = columns_with(columns, cluster=clusters, label=labels, length=lengths)
    points = drawn(Cloud(coordinates, ids, chosen, counts, placed), random_state)
    groups = None if clusters is None else Groups(clusters, points, counts)
    told = Iterations(scaled.rows)
    sections = [map_section(points, n, CLUSTER if clusters is not None else None)]
    if groups is not None:
        sections += cluster_sections(
            run, groups, ids, scaled.linkage, scaled.leaves, scaled.medoids, "sequences"
        )
    sections += [*matrix_section(scaled.sample, ids, groups, n)]
    sections += shepard_section(scaled.shepard, setting(run, "scaling"))
    if placed is not None:
        told_of = mapping(run, "placement")
        sections.append(placement_section(told_of, scaled.nearest, scaled.stress))
    sections += stress_section(run, told) if len(told) else []
    sections += _lengths(lengths, run)
    sections += [iteration_section(scaled.rows, scaled.timeline)] if len(told) else []
    sections += [data_section(run)] if run.get("partitions") else []
    sections.append(run_section(run, with_iterations(run, told, scaled.timeline)))
    return build(
        without_logs(run),
        title=_title(run, n, groups),
        subtitle=_subtitle(run),
        numbers=[
            *_counts(run, n, counts, placed),
            *([] if groups is None else cluster_numbers(run, groups)),
            *map_numbers(run, told),
            *time_numbers(run),
        ],
        sections=sections,
        citation=CITATION,
    )


def _lengths(lengths, run: Mapping) -> list[Section]:
    if lengths is None:
        return []
    unit = "residues" if setting(run, "alphabet") == "protein" else "letters"
    figure = length_histogram(np.asarray(lengths, dtype=np.int64), unit)
    return [] if figure is None else [Section("Input", [figure])]


def _title(run: Mapping, n: int, groups: Groups | None) -> str:
    n = int(found(run, "records")) if np.isfinite(found(run, "records")) else n
    title = f"{wording.count(n)} sequence{'' if n == 1 else 's'}"
    if groups is None or not len(groups):
        return title
    return f"{title} in {wording.count(len(groups))} cluster{'' if len(groups) == 1 else 's'}"


def _subtitle(run: Mapping) -> str:
    parts = ["Smith-Waterman-Gotoh distances, a map by multidimensional scaling"]
    if setting(run, "linkage"):
        parts.append(f"{setting(run, 'linkage')} linkage")
    if setting(run, "distance"):
        parts.append(f"distance {setting(run, 'distance')}")
    return wording.short(" · ".join(parts), 300)


def _counts(run: Mapping, n: int, counts, placed) -> list[Number]:
    """Sequences, of which distinct, of which landmarks."""
    records = number(run.get("records"))
    if not np.isfinite(records):
        records = float(n if counts is None else np.asarray(counts).sum())
    numbers = [Number("sequences", wording.count(records))]
    if records > n:
        note = f"{wording.count(records - n)} are exact duplicates"
        numbers.append(Number("distinct", wording.count(n), note))
    if placed is not None:
        placed = np.asarray(placed, dtype=bool)
        n_landmarks = int((~placed).sum())
        note = f"{wording.count(int(placed.sum()))} were placed among them"
        numbers.append(Number("landmarks", wording.count(n_landmarks), note))
    return numbers
