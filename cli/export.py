"""export: a result's matrix, labels, map or clusters in the form that another program reads."""

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
    "plotviz": ".plotviz.xml",
    "ordination": ".ordination.txt",
    "anndata": ".h5ad",
    "newick": ".nwk",
}


@click.command()
@click.argument("result", metavar="DIR")
@click.option(
    "--to",
    required=True,
    type=NearChoice(list(ENDINGS)),
    help="Form of the file (labels: tsv, npy; maps: tsv, npy, plotviz, ordination, anndata; "
    "clusters of distances: tsv, newick).",
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
    """Write the matrix, labels, map or clusters of a result in the form another program reads."""
    from pipelines import exports

    written = exports.export(result, to, output or beside(result, to), overwrite=overwrite)
    text = f"{to}, {units.size(written.nbytes)}"
    if written.missing_pairs:
        text += f", {units.count(written.missing_pairs, 'pair')} missing"
    if written.left_out:
        text += f", {units.count(written.left_out, 'item')} without a place left out"
    Screen(quiet=quiet).line("exported", text)
    click.echo(written.path)


def beside(result: str, to: str) -> str:
    """out/swg -> out/swg.tsv; a result at a URL is exported to the current folder."""
    path = result.rstrip("/")
    if "://" in path:
        path = path.rpartition("/")[2]
    return path + ENDINGS[to]
