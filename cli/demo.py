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
    ctx.meta["whorl.quiet"] = quiet
    screen = Screen(quiet=quiet)
    fasta, labels = write_input(Path(output))
    result = str(Path(output, "swg"))
    screen.line("demo", f"{N_SEQUENCES} sequences of {N_FAMILIES} families in {fasta}")
    swg = importlib.import_module(APPLICATIONS["swg"])
    config = swg.Config(fasta, labels=labels)
    arguments = ["run", "swg", fasta, "-o", result, "--labels", labels]
    ctx.meta["whorl.arguments"] = arguments  # what goes on after a stop is that run, not the demo
    command = failures.typed_command(ctx)
    options = RunOptions(
        output=result,
        executor="tasks",  # a demo shows the cluster, though so little work needs none
        overwrite=True,
        quiet=quiet,
        origins=dict.fromkeys(("sequences", "labels", "output", "executor", "overwrite"), "demo"),
        command=tuple(command),
    )
    execute(ctx, "swg", swg, config, options, screen)
    screen.line("report", f"{result}/report.html")
    screen.line("again", failures.quoted([*command, "--overwrite"]))
    click.echo(result)


def write_input(folder: Path) -> tuple[str, str]:
    """The same sequences each time: (FASTA, labels)."""
    from pipelines import generate

    folder.mkdir(parents=True, exist_ok=True)
    return generate.write_sequences(
        str(folder / "sequences.fasta"),
        N_SEQUENCES,
        alphabet="dna",
        length=LENGTH,
        classes=N_FAMILIES,
        random_state=0,
    )
