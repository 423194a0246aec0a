"""What a person reads of `run interpolate` before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.engine.memory import in_words
from pipelines.interpolate_input import NewSequences
from pipelines.interpolate_map import scaling_of
from pipelines.plan_words import count
from pipelines.swg_plan import duration

if TYPE_CHECKING:
    from pipelines.interpolate_plan import Job


def plan_lines(job: Job) -> Iterator[tuple[str, str]]:
    """Input, map, plan."""
    new, there = job.new, job.map
    what = {
        "sequences": f"{count(new.n, 'sequence')}",
        "points": f"{count(new.n, 'point')}",
        "distances": f"{count(new.n, 'row')} of distances",
    }[new.kind]
    source = "standard input" if job.config.new == "-" else job.config.new
    yield "input", f"{source}: {what} to be placed"
    some = f"{len(job.chosen):,} of its " if len(job.chosen) < there.n else ""
    yield "map", f"{there.url}: onto {some}{count(there.n, 'item')}, {there.d} dimensions"
    if isinstance(new, NewSequences):
        config = new.aligned.config
        yield "scoring", f"as the map: {new.aligned.matrix_name}, distance {config.distance}"
    rate = f"{job.plan['items_per_second']:,} a second"
    yield (
        "plan",
        f"{count(len(job.ranges), 'block')} of up to {count(job.ranges[0][1], 'item')}, "
        f"{fitted_text(job)}, about {duration(job.estimated_seconds)} ({rate}), "
        f"{in_words(job.worker_bytes)} per worker",
    )
    if not job.has_table:
        yield "coordinates", f"coordinates.npy only, for as many as {job.new.n:,} items"


def fitted_text(job: Job) -> str:
    """'all 40 landmarks', '10 nearest landmarks and 1,000 others'"""
    if len(job.far) == len(job.chosen):
        return f"all {count(len(job.chosen), 'landmark')}"
    others = f" and {count(len(job.far), 'other')}" if len(job.far) else ""
    return f"{count(job.k, 'nearest landmark')}{others}"


def warnings(job: Job) -> Iterator[str]:
    """What may be a mistake and may be meant."""
    yield from job.new.warnings
    if job.config.k > job.k:
        yield f"--k {job.config.k} is more than the {count(job.k, 'landmark')}"
    if job.n_anchors <= job.map.d:
        yield (
            f"{count(job.n_anchors, 'landmark')} cannot fix a place in {job.map.d} dimensions: "
            "there are places that fit as well; take more landmarks"
        )
    if job.map.run and scaling_of(job.map.run) != "absolute":
        yield (
            f"the map is one of {scaling_of(job.map.run)} scaling: distances are multiplied by "
            f"{job.map.scale:.6g} before they are compared with it"
        )
    yield from label_warnings(job)


def label_warnings(job: Job) -> Iterator[str]:
    """What --labels does not tell."""
    if job.labels is None:
        return
    missing = sum(label is None for label in job.labels[: job.new.n])
    if missing:
        yield f"{missing:,} of {count(job.new.n, 'new item')} have no label"
    if not any(job.map_labels or ()):
        yield "no label of the map's items is known: nothing is told of agreement"
    if job.labels.unknown:
        yield f"{job.labels.unknown:,} ids of the labels are neither new nor on the map"
