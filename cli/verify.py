"""verify: are the bytes of a result those that were written?"""

from __future__ import annotations

import json
from typing import Any

import click

from cli import units
from pipelines.errors import DamagedResult


@click.command()
@click.argument("result", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(result: str, as_json: bool) -> None:
    """Check checksums, shapes and values of a result."""
    from pipelines import verify as checks

    try:
        found = checks.verify(result)
    except DamagedResult as error:
        if as_json and hasattr(error, "verification"):
            click.echo(json.dumps(error.verification.as_dict()))
        raise
    if as_json:
        click.echo(json.dumps(found.as_dict()))
        return
    for name, text in rows(found):
        click.echo(f"{name:<12} {text}")


def rows(found: Any) -> list[tuple[str, str]]:
    """A Verification without problems in two columns."""
    told = [
        ("result", f"{found.url} is as it was written"),
        ("files", f"{units.count(found.files, 'file')}, {units.size(found.nbytes)}, sha256 right"),
    ]
    if found.matrix_checked:
        missing = units.count(found.missing_pairs, "pair")
        told.append(("matrix", f"{found.n:,} x {found.n:,}, symmetric, {missing} missing"))
    if found.labels_checked:
        told.append(("labels", f"{found.n:,}, as many of each cluster as run.json says"))
    if found.map_checked:
        told.append(("map", f"{units.count(found.n, 'record')}, each with its coordinates"))
    if found.stages:
        told.append(("stages", f"{', '.join(found.stages)}, each as it was written"))
    if found.extra:
        told.append(("not ours", ", ".join(found.extra)))
    return told
