"""generate: data with known families, to try the applications on."""

from __future__ import annotations

import click

from cli import units
from cli.screen import Screen

FAMILIES = 4


@click.group()
def generate() -> None:
    """Generate data to try the applications on."""


@generate.command()
@click.option("-o", "--output", required=True, metavar="FILE", help="FASTA file to write.")
@click.option(
    "--alphabet",
    type=click.Choice(["dna", "rna", "protein"]),
    default="dna",
    show_default=True,
    help="Letters of the sequences.",
)
@click.option(
    "--n", type=click.IntRange(min=1), default=1000, show_default=True, help="Number of sequences."
)
@click.option(
    "--length",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Letters of each family's ancestor.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=1),
    default=None,
    show_default="4, or --n when that is less",
    help="Number of families.",
)
@click.option(
    "--divergence",
    type=click.FloatRange(min=0, max=1),
    default=0.2,
    show_default=True,
    help="Mean share of its family's letters that a sequence changes.",
)
@click.option(
    "--random-state",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the generator.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def sequences(
    output: str,
    alphabet: str,
    n: int,
    length: int,
    classes: int | None,
    divergence: float,
    random_state: int,
    quiet: bool,
) -> None:
    """Write families of sequences as FASTA, with their labels beside it."""
    from pipelines import generate as generator

    classes = min(FAMILIES, n) if classes is None else classes
    if classes > n:
        raise click.UsageError(f"--classes {classes} is more than the {n} of --n.")

    fasta, labels = generator.write_sequences(
        output,
        n,
        alphabet=alphabet,
        length=length,
        classes=classes,
        divergence=divergence,
        random_state=random_state,
    )
    screen = Screen(quiet=quiet)
    screen.line(
        "generated", f"{units.count(n, 'sequence')} of {units.count(classes, 'family', 'families')}"
    )
    screen.line("labels", labels)
    click.echo(fasta)
