"""demo: generated data through the applications, to see their reports in half a minute."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from cli import failures
from cli.job import execute
from cli.run import APPLICATIONS, refuse_windows
from cli.screen import Screen
from pipelines.app import RunOptions

N_SEQUENCES, N_FAMILIES, LENGTH, DIVERGENCE = 200, 4, 300, 0.1
N_POINTS, N_FEATURES, N_CLUSTERS = 20_000, 8, 6


@click.command()
@click.option(
    "-o",
    "--output",
    default="whorl-demo",
    show_default=True,
    metavar="DIR",
    help="Folder for the generated data and the results.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def demo(ctx: click.Context, output: str, quiet: bool) -> None:
    """Run everything on generated data: map and clusters of 200 sequences, of 20,000 points."""
    refuse_windows()
    ctx.meta["whorl.quiet"] = quiet
    screen, folder = Screen(quiet=quiet), Path(output)
    fasta, families = write_sequences(folder)
    screen.line("demo", f"{N_SEQUENCES} sequences of {N_FAMILIES} families in {fasta}")
    # a demo shows the cluster, though so little work needs none
    given = {"sequences": fasta, "labels": families}
    run_one(ctx, "sequences", folder, given, screen, "gang")
    points, clusters = write_points(folder)
    screen.line("demo", f"{N_POINTS:,} points in {N_CLUSTERS} clusters in {points}")
    given = {"points": points, "labels": clusters, "n_clusters": N_CLUSTERS, "n_init": 10}
    run_one(ctx, "kmeans", folder, given, screen, "auto")


def run_one(
    ctx: click.Context, name: str, folder: Path, given: dict[str, Any], screen: Screen,
    executor: str,
) -> None:  # fmt: skip
    """One application on its generated input; tells how to run it again."""
    module = importlib.import_module(APPLICATIONS[name])
    result = str(folder / name)
    source, *rest = given.items()
    arguments = ["run", name, str(source[1]), "-o", result]
    for key, value in rest:
        arguments += ["--" + key.replace("_", "-"), str(value)]
    ctx.meta["whorl.arguments"] = arguments  # what goes on after a stop is that run, not the demo
    command = failures.typed_command(ctx)
    options = RunOptions(
        output=result,
        executor=executor,
        overwrite=True,
        quiet=screen.quiet,
        origins=dict.fromkeys((*given, "output", "executor", "overwrite"), "demo"),
        command=tuple(command),
    )
    execute(ctx, name, module, module.Config(**given), options, screen)
    screen.line("report", f"{result}/report.html")
    screen.line("again", failures.quoted([*command, "--overwrite"]))
    click.echo(result)


def write_sequences(folder: Path) -> tuple[str, str]:
    """The same sequences each time: (FASTA, labels)."""
    from pipelines import generate

    folder.mkdir(parents=True, exist_ok=True)
    return generate.write_sequences(
        str(folder / "sequences.fasta"),
        N_SEQUENCES,
        alphabet="dna",
        length=LENGTH,
        classes=N_FAMILIES,
        divergence=DIVERGENCE,
        random_state=0,
    )


def write_points(folder: Path) -> tuple[str, str]:
    """The same points each time: (.npy, labels)."""
    from pipelines import generate_points

    points, labels = str(folder / "points.npy"), str(folder / "points.labels.tsv")
    clouds = generate_points.Clouds(N_POINTS, N_FEATURES, N_CLUSTERS, cluster_std=3.0)
    generate_points.write_points(points, clouds, labels)
    return points, labels
