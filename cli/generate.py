"""generate: data with known families, to try the applications on."""

from __future__ import annotations

import click


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
    default=4,
    show_default=True,
    help="Number of families.",
)
@click.option(
    "--divergence",
    type=click.FloatRange(min=0, max=1),
    default=0.2,
    show_default=True,
    help="Share of an ancestor's letters that change on the way to a sequence.",
)
@click.option(
    "--random-state",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the generator.",
)
def sequences(
    output: str,
    alphabet: str,
    n: int,
    length: int,
    classes: int,
    divergence: float,
    random_state: int,
) -> None:
    """Write families of sequences as FASTA, with their labels beside it."""
    from pipelines import generate as generator

    generator.write_sequences(
        output,
        n,
        alphabet=alphabet,
        length=length,
        classes=classes,
        divergence=divergence,
        random_state=random_state,
    )
    click.echo(output)
