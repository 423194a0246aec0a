"""verify: are the bytes of a result those that were written?"""

from __future__ import annotations

import json
import click


@click.command()
@click.argument("result", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(result: str, as_json: bool) -> None:
    """Check checksums, shapes, symmetry and values of a result."""
    from pipelines import verify as checks

    report = checks.verify(result)
