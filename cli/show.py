"""show."""

import click


@click.command()
def show() -> None:
    """To be done."""
