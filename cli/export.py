"""export: a result's matrix or labels in the form that another program reads."""

from __future__ import annotations

import click

from cli import units
from cli.options import NearChoice
from cli.screen import Screen

ENDINGS = {
    "tsv": ".tsv",
    "lsmat": ".lsmat",
    "phylip": ".phy",
    "npy": ".npy",
    "condensed": ".condensed.npy",
    "salsa-int16-be": ".int16-be.bin",
    "salsa-int16-le": ".int16-le.bin",
}


@click.command()
@click.argument("result", metavar="DIR")
@click.option(
    "--to",
    required=True,
    type=NearChoice(list(ENDINGS)),
    help="Form of the file (labels: tsv or npy).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="File to write.",
    show_default="the name of DIR with an ending, beside it",
)
@click.option("--overwrite", is_flag=True, help="Replace the file when it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def export(result: str, to: str, output: str | None, overwrite: bool, quiet: bool) -> None:
    """Write the matrix or the labels of a result in the form that another program reads."""
    from pipelines import exports

    written = exports.export(result, to, output or beside(result, to), overwrite=overwrite)
    missing = f", {units.count(written.missing_pairs, 'pair')} missing"
    Screen(quiet=quiet).line(
        "exported", f"{to}, {units.size(written.nbytes)}{missing if written.missing_pairs else ''}"
    )
    click.echo(written.path)


def beside(result: str, to: str) -> str:
    """out/swg -> out/swg.tsv; a result at a URL is exported to the current folder."""
    path = result.rstrip("/")
    if "://" in path:
        path = path.rpartition("/")[2]
    return path + ENDINGS[to]
