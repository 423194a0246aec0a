"""check: what kind of input this is, and what is wrong with it, before anything is run."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from typing import Any

import click

from cli import failures, show, units

ALPHABETS = {"dna": "DNA", "rna": "RNA", "protein": "protein"}
AMBIGUOUS = {"protein": "with letters beyond the 20 amino acids"}


@click.command()
@click.argument("source", metavar="INPUT")
@click.option(
    "--alphabet",
    type=click.Choice(["auto", *ALPHABETS]),
    default="auto",
    show_default=True,
    help="Letters of the sequences.",
)
@click.option(
    "--ids",
    type=click.Choice(["first", "full", "number"]),
    default="first",
    show_default=True,
    help="The id of a record: header to the first blank, whole header, or number.",
)
@click.option(
    "--gaps",
    type=click.Choice(["error", "remove"]),
    default="error",
    show_default=True,
    help="What a gap letter in a sequence is.",
)
@click.option(
    "--kind",
    type=click.Choice(["auto", "points", "distances", "salsa-int16-be", "salsa-int16-le"]),
    default="auto",
    show_default=True,
    help="What the input is meant to be; raw int16 of SALSA must be named.",
)
@click.option("--columns", metavar="LIST", help="Columns of points to take: 1-4,7 or x,y.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(
    ctx: click.Context, source: str, kind: str, columns: str | None, as_json: bool, **records: str
) -> None:
    """Tell kind, counts, letters or ranges, duplicates and the first problems of an input."""
    from pipelines.formats.dissimilarities_survey import looks_like_dissimilarities
    from pipelines.formats.points_survey import looks_like_points

    if kind == "auto" and columns is None and looks_like_dissimilarities(source):
        kind = "distances"
    if kind not in ("auto", "points"):
        facts, rows = distances_facts(ctx, source, kind)
    elif kind == "points" or columns is not None or looks_like_points(source):
        facts, rows = points_facts(ctx, source, columns)
    elif os.path.isdir(source):
        facts, rows = result_facts(source)
    else:
        from pipelines.formats.fasta import survey_fasta

        survey = survey_fasta(source, **records)
        kind = "fasta" if survey.n else "unknown"
        facts, rows = {"kind": kind, **dataclasses.asdict(survey)}, fasta_rows(survey)
        if not survey.n_problems:
            words = [*failures.root(ctx).command_path.split(), "run", "swg", source]
            rows.append(("next", f"{failures.quoted(words)} -o DIR"))
    if as_json:
        click.echo(json.dumps(facts))
    else:
        for name, text in rows:
            click.echo(f"{name:<12} {text}")
    if facts.get("n_problems"):
        raise click.exceptions.Exit(3)


def result_facts(source: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """A folder must be one of our results."""
    run = show.read(source)
    return {"kind": "result", **run}, [("kind", "result folder"), *show.rows(run)]


def distances_facts(
    ctx: click.Context, source: str, kind: str
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Distances, right or wrong. kind: 'distances', or how raw numbers are stored."""
    from pipelines.formats.dissimilarities_survey import survey_dissimilarities

    chosen = [] if kind == "distances" else ["--kind", kind]
    survey = survey_dissimilarities(source, kind if chosen else "auto")
    rows = distances_rows(survey)
    if not survey.n_problems:
        words = [*failures.root(ctx).command_path.split(), "run", "mds", source]
        rows.append(("next", f"{failures.quoted([*words, *chosen])} -o DIR"))
    return {"kind": "distances", **dataclasses.asdict(survey)}, rows


def distances_rows(survey: Any) -> list[tuple[str, str]]:
    """A Survey of distances in two columns."""
    form = {"text": "a table in text", "npy": "NumPy", "npz": "NumPy archive", "phylip": "PHYLIP"}
    name = form.get(survey.format, survey.format)
    rows = [("kind", f"distances, {name}, {units.size(survey.nbytes)}")]
    if survey.n:
        pairs = survey.n * (survey.n - 1) // 2
        ids = f", {units.count(survey.n_ids, 'id')}" if survey.n_ids else ""
        size = f"{units.count(survey.n, 'record')}, {units.count(pairs, 'pair')}"
        rows.append(("distances", f"{size}, {survey.dtype}{ids}"))
        rows.append(("range", f"0 to {survey.high:g}"))
        rows.append(("missing", units.count(survey.missing, "pair")))
    if survey.breaks is not None:
        text = f"{100 * survey.breaks:.1f} % of sampled triples break the triangle inequality"
        rows.append(("triangles", text))
    rows += [("warning", text) for text in survey.warnings]
    rows += [("problems", f"{survey.n_problems:,}" if survey.n_problems else "none")]
    return rows + [("", text) for text in survey.problems]


def points_facts(
    ctx: click.Context, source: str, columns: str | None
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Points, right or wrong."""
    from pipelines.formats.points_survey import survey_points

    survey = survey_points(source, columns)
    rows = points_rows(survey)
    if not survey.n_problems:
        words = [*failures.root(ctx).command_path.split(), "run", "kmeans", source]
        chosen = ["--columns", columns] if columns else []
        rows.append(("next", f"{failures.quoted([*words, *chosen])} -o DIR --n-clusters K"))
    return {"kind": "points", **dataclasses.asdict(survey)}, rows


def points_rows(survey: Any) -> list[tuple[str, str]]:
    """A Survey of points in two columns."""
    form = {"text": "a table in text", "npy": "NumPy", "npz": "NumPy archive"}
    name = form.get(survey.format, survey.format)
    rows = [("kind", f"points, {name}, {units.size(survey.nbytes)}")]
    if survey.n:
        ids = f", {units.count(survey.n_ids, 'id')}" if survey.n_ids else ""
        size = f"{units.count(survey.n, 'row')} of {units.count(survey.d, 'column')}"
        rows.append(("points", f"{size}, {survey.dtype}{ids}"))
    if survey.low:
        names = survey.names or [f"column {k}" for k in range(survey.d)]
        spans = itertools.islice(zip(names, survey.low, survey.high, strict=True), 5)
        spans = [f"{name} {low:g} to {high:g}" for name, low, high in spans]
        rows.append(("ranges", ", ".join(spans) + (", ..." if survey.d > 5 else "")))
        rows.append(("duplicates", equal_rows_text(survey)))
    if survey.not_finite:
        rows.append(("not finite", units.count(survey.not_finite, "value")))
    rows += [("warning", text) for text in survey.warnings]
    rows += [("problems", f"{survey.n_problems:,}" if survey.n_problems else "none")]
    return rows + [("", text) for text in survey.problems]


def equal_rows_text(survey: Any) -> str:
    share = 100 * survey.duplicate_rows / max(survey.compared_rows, 1)
    text = f"{units.count(survey.duplicate_rows, 'row')} ({share:.1f} %) equal to an earlier one"
    if survey.compared_rows < survey.n:
        text += f", of the first {survey.compared_rows:,}"
    return text


def fasta_rows(survey: Any) -> list[tuple[str, str]]:
    """A Survey in two columns."""
    packed = "" if survey.compression == "none" else f", {survey.compression}"
    kind = "FASTA" if survey.n else "unknown"
    rows = [("kind", f"{kind}, {units.size(survey.nbytes)}{packed}")]
    if survey.n:
        odd = AMBIGUOUS.get(survey.alphabet, "with ambiguity codes")
        few = f", {survey.ambiguous:,} {odd}" if survey.ambiguous else ""
        rows += [
            ("records", f"{units.count(survey.n, 'sequence')}, {ALPHABETS[survey.alphabet]}{few}"),
            ("lengths", lengths_text(survey)),
            ("duplicates", duplicates_text(survey)),
        ]
    rows += [("warning", text) for text in survey.warnings]
    rows += [("problems", f"{survey.n_problems:,}" if survey.n_problems else "none")]
    rows += [("", text) for text in survey.problems]
    if survey.n_problems > len(survey.problems):
        rows += [("", f"and {survey.n_problems - len(survey.problems):,} more")]
    return rows


def lengths_text(survey: Any) -> str:
    low, high = f"{survey.length_min:,}", f"{survey.length_max:,}"
    span = low if low == high else f"{low}-{high} (median {survey.length_median:,.0f})"
    return f"{span} letters, {survey.letters:,} in all"


def duplicates_text(survey: Any) -> str:
    ids = units.count(survey.duplicate_ids, "id")
    return f"{ids}, {units.count(survey.duplicate_sequences, 'sequence')}"
