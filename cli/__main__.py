"""python -m cli: all-pairs distances, clusters and more, on Dask."""

from __future__ import annotations

import importlib
from typing import Any

import click

import kernels
from cli import failures, signals
from cli.screen import warnings_as_lines
from pipelines.app import nearest

COMMANDS = {  # name -> module under cli/ that has a click command of that name
    "run": "run",
    "check": "check",
    "show": "show",
    "report": "report",
    "export": "export",
    "verify": "verify",
    "demo": "demo",
    "generate": "generate",
    "doctor": "doctor",
}


class LazyGroup(click.Group):
    """Imports the module of a command when the command is needed; a typo is told the nearest."""

    commands_of: dict[str, str]

    def __init__(self, *args: Any, commands_of: dict[str, str] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.commands_of = commands_of or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_of)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.commands_of:
            return None
        module = importlib.import_module(f"cli.{self.commands_of[name]}")
        return getattr(module, name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        near = nearest(args[0], known) if args and args[0] not in known else None
        if near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near}?")
        return super().resolve_command(ctx, args)


class Whorl(LazyGroup):
    """The root: one place where signals and exceptions become exit codes."""

    def main(self, args: Any = None, **kwargs: Any) -> Any:
        try:
            return super().main(args, **kwargs)
        except SystemExit as end:
            if args is None and end.code in signals.CODES:  # this process is ours to end
                signals.end_soon(end.code)
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["whorl.arguments"] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings_as_lines(ctx), signals.stoppable(lambda n: failures.stopped(n, ctx)):
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except BaseException as error:
            ctx.exit(failures.tell(error, ctx))


@click.group(
    name="whorl",
    cls=Whorl,
    commands_of=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(kernels.__version__, prog_name="whorl", message="%(prog)s %(version)s")
def main() -> None:
    """All-pairs distances of sequences and KMeans on Dask, with exact kernels and a report."""


if __name__ == "__main__":
    main(prog_name="python -m cli")
