"""generate: data with known families or clusters, to try the applications on."""

from __future__ import annotations

from typing import Any

import click

from cli import units
from cli.screen import Screen

FAMILIES = 4
CLUSTERS = 8
GROUPS = 10  # of distances


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


@generate.command()
@click.option(
    "-o", "--output", required=True, metavar="FILE",
    help="File to write: .npy, .zarr, .csv, .tsv or .parquet.",
)  # fmt: skip
@click.option(
    "--n", type=click.IntRange(min=1), default=10_000, show_default=True, help="Number of points."
)
@click.option(
    "--n-features",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Number of columns.",
)
@click.option(
    "--n-clusters",
    type=click.IntRange(min=1),
    default=None,
    show_default="8, or --n when that is less",
    help="Number of clusters.",
)
@click.option(
    "--cluster-std",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Standard deviation in a cluster; the centres lie from -10 to 10.",
)
@click.option("--uniform", is_flag=True, help="Points without clusters.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Type of the numbers.",
)
@click.option("--labels", metavar="FILE", help="Write the true cluster of each point here (TSV).")
@click.option(
    "--random-state",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the generator.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def points(output: str, labels: str | None, uniform: bool, quiet: bool, **numbers: Any) -> None:
    """Write points in round clusters, or without clusters; larger than the memory if need be."""
    from pipelines.generate_points import Clouds, write_points

    given, n = numbers.pop("n_clusters"), numbers["n"]
    if uniform and (given is not None or labels is not None):
        other = "--labels" if given is None else "--n-clusters"
        raise click.UsageError(f"--uniform and {other} contradict each other.")
    if given is not None and given > n:
        raise click.UsageError(f"--n-clusters {given} is more than the {n} of --n.")
    clusters = 0 if uniform else min(CLUSTERS, n) if given is None else given
    clouds = Clouds(n_clusters=clusters, **numbers)
    write_points(output, clouds, labels)
    screen = Screen(quiet=quiet)
    what = f"{units.count(n, 'point')} of {units.count(clouds.n_features, 'column')}"
    where = "without clusters" if uniform else f"in {units.count(clusters, 'cluster')}"
    screen.line("generated", f"{what} {where}")
    if labels is not None:
        screen.line("labels", labels)
    click.echo(output)


@generate.command()
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="Matrix to write: .zarr or .npy."
)
@click.option(
    "--n", type=click.IntRange(min=1), default=10_000, show_default=True, help="Number of points."
)
@click.option(
    "--dims",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Dimensions that the points have.",
)
@click.option(
    "--dtype",
    type=click.Choice(["int16", "float32", "float64"]),
    default="float32",
    show_default=True,
    help="Type of the numbers; int16 holds them scaled into 0 to 1.",
)
@click.option(
    "--triangle",
    type=click.Choice(["upper", "full"]),
    default=None,
    show_default="upper; full in an .npy",
    help="Store the half above the diagonal or all.",
)
@click.option(
    "--n-clusters",
    type=click.IntRange(min=1),
    default=None,
    show_default="10, or --n when that is less",
    help="Number of clusters.",
)
@click.option(
    "--cluster-std",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    help="Standard deviation in a cluster; the centres lie from -10 to 10.",
)
@click.option("--labels", metavar="FILE", help="Write the true cluster of each point here (TSV).")
@click.option(
    "--random-state",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the generator.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def distances(
    output: str, dtype: str, triangle: str | None, labels: str | None, quiet: bool, **numbers: Any
) -> None:
    """Write the distances of points in round clusters; larger than the memory if need be."""
    from pipelines.generate_distances import Distances, write_distances
    from pipelines.generate_points import Clouds

    given, n, dims = numbers.pop("n_clusters"), numbers["n"], numbers.pop("dims")
    if given is not None and given > n:
        raise click.UsageError(f"--n-clusters {given} is more than the {n} of --n.")
    clusters = min(GROUPS, n) if given is None else given
    clouds = Clouds(n_features=dims, n_clusters=clusters, dtype="float64", **numbers)
    kept = triangle or ("full" if output.lower().endswith(".npy") else "upper")
    write_distances(output, Distances(clouds, dtype, kept), labels)
    screen = Screen(quiet=quiet)
    what = f"distances of {units.count(n, 'point')} in {units.count(clusters, 'cluster')}"
    screen.line("generated", f"{what}, {dims} dimensions")
    if labels is not None:
        screen.line("labels", labels)
    click.echo(output)
