"""Exceptions become one line, one remedy and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
import tempfile
import time
import traceback
from pathlib import Path

import click

import kernels
from cli.signals import Stopped
from pipelines.errors import ResourceProblem


def tell(error: BaseException, ctx: click.Context) -> int:
    """Prints what the user needs to know on stderr. Returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        error = Stopped(2)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, Stopped):
        click.echo(stopped(error.number, ctx), err=True)
        return error.exit_code
    error = known(error)
    if getattr(error, "exit_code", None) is not None:
        lines = [f"Error: {error}"]
        if getattr(error, "remedy", None):
            lines.append(str(error.remedy))
    else:
        lines = unexpected(error, ctx)
    code = int(getattr(error, "exit_code", 1))
    lines += resume_lines(ctx)
    if ctx.meta.get("whorl.debug") or "--debug" in ctx.meta.get("whorl.arguments", ()):
        there = getattr(error, "traceback_text", "")  # of the worker
        lines.append("".join([*traceback.format_exception(error), there]).rstrip())
    for line in lines:
        click.echo(coloured(line), err=True)
    return code


def known(error: BaseException) -> BaseException:
    """What Python says of a full memory or disk, as the problem that it is."""
    if isinstance(error, MemoryError):
        remedy = "Use a smaller --block-size, fewer --nworkers, or a larger machine."
        return ResourceProblem("the memory of this machine is used up.", remedy=remedy)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = error.filename or "a temporary file"
        return ResourceProblem(f"{where}: the disk is full.", remedy="Free some space.")
    return error


def stopped(number: int, ctx: click.Context) -> str:
    """What a stopped command says last."""
    return "\n".join([f"Stopped by {Stopped(number).name}.", *resume_lines(ctx)])


def resume_lines(ctx: click.Context) -> list[str]:
    """The command that goes on, once there is a result folder to go on with."""
    if ctx.meta.get("whorl.folder") is None:
        return []
    kept = ctx.meta.get("whorl.kept") or "Finished blocks are kept."
    return [f"{kept} Go on with: {resume_command(typed_command(ctx))}"]


def unexpected(error: BaseException, ctx: click.Context) -> list[str]:
    """A bug of ours: the details go to a file, which is named."""
    text = f"{type(error).__name__}: {error}".splitlines()
    told = [f"Error: unexpected {text[0]}"]
    with contextlib.suppress(OSError):  # no place for it: --debug still tells
        path = write_details(error, ctx)
        return [*told, f"This is a bug. Details for a report: {path} (or run with --debug)."]
    return [*told, "This is a bug. Run again with --debug for details."]


def write_details(error: BaseException, ctx: click.Context) -> Path:
    """error.txt in the .work folder of a local output, else in the temporary folder."""
    details = "\n".join(
        [
            f"whorl {kernels.__version__}, python {sys.version.split()[0]}, {sys.platform}",
            time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            shlex.join(typed_command(ctx)),
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    folder = ctx.meta.get("whorl.folder")
    if folder is not None and Path(str(folder), ".work").is_dir():
        path = Path(str(folder), ".work", "error.txt")
    else:
        handle, name = tempfile.mkstemp(prefix="whorl-error-", suffix=".txt")
        os.close(handle)
        path = Path(name)
    path.write_text(details, encoding="utf-8")
    return path


def typed_command(ctx: click.Context) -> list[str]:
    """The words of the command as it was typed."""
    given = [str(word) for word in ctx.meta.get("whorl.arguments", [])]
    return [*root(ctx).command_path.split(), *given]


def quoted(words: list[str]) -> str:
    """Words as one line for a shell."""
    return shlex.join(words)


def resume_command(words: list[str]) -> str:
    """The command that goes on with an unfinished run, quoted for a shell."""
    kept = [word for word in words if word not in ("--overwrite", "--resume")]
    return shlex.join([*kept, "--resume"])


def root(ctx: click.Context) -> click.Context:
    """The context of our root group, which may itself stand under `dask`."""
    while ctx.parent is not None and ctx.command.name != "whorl":
        ctx = ctx.parent
    return ctx


def coloured(line: str) -> str:
    """'Error:' and 'Warning:' in colour on a terminal that wants it."""
    if os.environ.get("NO_COLOR") or not sys.stderr.isatty():
        return line
    for word, colour in (("Error:", "red"), ("Warning:", "yellow")):
        if line.startswith(word):
            return click.style(word, fg=colour, bold=True) + line[len(word) :]
    return line
