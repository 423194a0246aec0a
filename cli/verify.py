"""verify."""

import click


@click.command()
def verify() -> None:
    """To be done."""
