"""check: what kind of input this is, and what is wrong with it, before anything is run."""

from __future__ import annotations

import dataclasses
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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(
    ctx: click.Context, source: str, alphabet: str, ids: str, gaps: str, as_json: bool
) -> None:
    """Tell kind, counts, letters, duplicates and the first problems of an input."""
    if os.path.isdir(source):
        facts, rows = result_facts(source)
    else:
        from pipelines.formats.fasta import survey_fasta

        survey = survey_fasta(source, alphabet=alphabet, ids=ids, gaps=gaps)
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
