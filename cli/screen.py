"""What a run says on stderr: plan lines, warnings, one last line. stdout belongs to results."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import click

from cli.failures import coloured

WIDTH = 15  # of the first column


class Screen:
    """quiet: nothing; otherwise lines; verbose: more lines. `live` when a person is watching."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False):
        self.quiet, self.verbose = quiet, verbose
        self.live = not quiet and sys.stderr.isatty()
        self.warned: set[str] = set()

    def line(self, name: str, text: str) -> None:
        """One line in two columns."""
        if not self.quiet:
            click.echo(f"{name:<{WIDTH}} {text}" if name else text, err=True)

    def more(self, name: str, text: str) -> None:
        """A line for --verbose."""
        if self.verbose:
            self.line(name, text)

    def warn(self, text: str) -> None:
        """A line that begins with 'Warning: '; the same one is told once."""
        if not self.quiet and text not in self.warned:
            self.warned.add(text)
            click.echo(coloured(f"Warning: {text}"), err=True)


@contextlib.contextmanager
def warnings_as_lines(ctx: click.Context) -> Iterator[None]:
    """Python warnings of our own modules become one line; those of libraries stay unseen."""
    home = Path(__file__).resolve().parents[1]
    ours = tuple(str(home / name) for name in ("cli", "kernels", "pipelines", "storage"))

    def show(message: object, category: type, filename: str, *rest: object) -> None:
        if filename.startswith(ours) and not ctx.meta.get("whorl.quiet"):
            click.echo(coloured(f"Warning: {message}"), err=True)

    if not sys.warnoptions:  # -W asks for Python's own way
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    else:
        yield
