"""Run an application: options, plan, result folder, engine, last line."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from cli import failures, options
from cli.job import check_converged, execute
from cli.screen import Screen
from pipelines import app as declaration
from pipelines.errors import UsageProblem

APPLICATIONS = {  # modules with Config, prepare() and run()
    "swg": "pipelines.swg",
    "kmeans": "pipelines.kmeans",
    "mds": "pipelines.mds",
    "cluster": "pipelines.cluster",
    "interpolate": "pipelines.interpolate",
    "sequences": "pipelines.sequences",
}


class Applications(click.Group):
    """`run NAME` for each application, made from its Config."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(APPLICATIONS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in APPLICATIONS:
            return None
        if ctx.meta.get("whorl.listing"):
            return click.Command(name, help=first_line(APPLICATIONS[name]))
        return application_command(name, importlib.import_module(APPLICATIONS[name]))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        ctx.meta["whorl.listing"] = True  # their names and first lines: nothing is imported
        super().format_commands(ctx, formatter)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        near = declaration.nearest(args[0], APPLICATIONS) if args else None
        if near and args[0] not in APPLICATIONS:
            ctx.fail(f"No such application {args[0]!r}. Did you mean {near}?")
        return super().resolve_command(ctx, args)


def first_line(module: str) -> str:
    """First line of a module's docstring, read without importing the module."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        return ""
    text = ast.get_docstring(ast.parse(Path(found.origin).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


@click.group(name="run", cls=Applications)
def run() -> None:
    """Run an application and write its result folder."""


def application_command(name: str, module: ModuleType) -> click.Command:
    """The click command of one application."""

    @click.pass_context
    def callback(ctx: click.Context, **values: Any) -> None:
        refuse_windows()
        typed = failures.typed_command(ctx)
        config, chosen = options.merge(ctx, module.Config, values, typed)
        ctx.meta["whorl.quiet"], ctx.meta["whorl.debug"] = chosen.quiet, chosen.debug
        screen = Screen(quiet=chosen.quiet, verbose=chosen.verbose)
        result = execute(ctx, name, module, config, chosen, screen)
        if chosen.json:
            click.echo(json.dumps(result, default=str))
        elif not chosen.dry_run:
            click.echo(chosen.output)
        check_converged(ctx, config, chosen, result)

    text = (module.__doc__ or "").strip()
    return options.ApplicationCommand(
        name, params=options.parameters(module.Config), callback=callback, help=text
    )


def refuse_windows() -> None:
    """Worker processes, signals and renames are those of POSIX."""
    if sys.platform == "win32":
        raise UsageProblem(
            "whorl does not run on Windows itself.",
            remedy="Use WSL: https://learn.microsoft.com/windows/wsl/install",
        )
