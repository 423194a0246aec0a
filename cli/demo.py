"""demo: generated sequences through the applications, to see a report in half a minute."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from cli import failures
from cli.job import execute
from cli.run import APPLICATIONS, refuse_windows
from cli.screen import Screen
from pipelines.app import RunOptions

N_SEQUENCES, N_FAMILIES, LENGTH = 200, 4, 300


@click.command()
@click.option(
    "-o",
    "--output",
    default="whorl-demo",
    show_default=True,
    metavar="DIR",
    help="Folder for the sequences and the results.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def demo(ctx: click.Context, output: str, quiet: bool) -> None:
    """Run everything on 200 generated sequences of 4 families."""
    refuse_windows()
    screen = Screen(quiet=quiet)
    fasta, labels = write_input(Path(output))
    result = str(Path(output, "swg"))
    screen.line("demo", f"{N_SEQUENCES} sequences of {N_FAMILIES} families in {fasta}")
    swg = importlib.import_module(APPLICATIONS["swg"])
    config = swg.Config(str(fasta), labels=str(labels))
    words = [*failures.root(ctx).command_path.split(), "run", "swg", str(fasta), "-o", result]
    options = RunOptions(
        output=result,
        executor="tasks",  # a demo shows the cluster, though so little work needs none
        overwrite=True,
        quiet=quiet,
        command=(*words, "--labels", str(labels), "--overwrite"),
    )
    execute(ctx, "swg", swg, config, options, screen)
    screen.line("report", f"{result}/report.html")
    screen.line("again", failures.quoted([*words, "--overwrite"]))
    click.echo(result)


def write_input(folder: Path) -> tuple[Path, Path]:
    """The same sequences each time: (FASTA, labels)."""
    from pipelines import generate

    folder.mkdir(parents=True, exist_ok=True)
    fasta = folder / "sequences.fasta"
    generate.write_sequences(
        str(fasta),
        N_SEQUENCES,
        alphabet="dna",
        length=LENGTH,
        classes=N_FAMILIES,
        divergence=0.2,
        random_state=0,
    )
    return fasta, folder / "sequences.labels.tsv"
