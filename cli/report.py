"""report: write report.html anew from what a result holds."""

from __future__ import annotations

import importlib

import click

from cli.run import APPLICATIONS


@click.command()
@click.argument("result", metavar="DIR")
def report(result: str) -> None:
    """Write report.html of a finished result anew."""
    from pipelines.results import read_run, replace_file

    run = read_run(result)
    application = importlib.import_module(APPLICATIONS[run["app"]])
    replace_file(result, "report.html", application.report(result))
    click.echo(f"{result.rstrip('/')}/report.html")
