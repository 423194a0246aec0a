"""generate."""

import click


@click.command()
def generate() -> None:
    """To be done."""
