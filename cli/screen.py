"""What a run says on stderr: plan lines, warnings, one last line. stdout belongs to results."""

from __future__ import annotations

import sys

import click

from cli.failures import coloured

WIDTH = 15  # of the first column


class Screen:
    """quiet: nothing; otherwise lines; verbose: more lines. `live` when a person is watching."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False):
        self.quiet, self.verbose = quiet, verbose
        self.live = not quiet and sys.stderr.isatty()

    def line(self, name: str, text: str) -> None:
        """One line in two columns."""
        if not self.quiet:
            click.echo(f"{name:<{WIDTH}} {text}" if name else text, err=True)

    def more(self, name: str, text: str) -> None:
        """A line for --verbose."""
        if self.verbose:
            self.line(name, text)

    def warn(self, text: str) -> None:
        """A line that begins with 'Warning: '."""
        if not self.quiet:
            click.echo(coloured(f"Warning: {text}"), err=True)
