"""Click parameters from Config dataclasses; the merge of flag, environment, file and default."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pipelines.app import (
    IterativeOptions,
    RunOptions,
    declared,
    flag_name,
    nearest,
    plain_type,
    range_of,
)

# Also the variable with which Dask itself is told of a cluster.
MORE_VARIABLES = {"scheduler": ["DASK_SCHEDULER_ADDRESS"]}
MEMORY = re.compile(r"(auto|[0-9]+(\.[0-9]+)? *([kMGTP]i?)?B?)", re.IGNORECASE)

ADDRESS = re.compile(r"(([\w.-]+|\[[0-9a-fA-F:]+\])?:)?(?P<port>[0-9]{1,5})")

CONFIG_HELP = (
    "TOML file with option values: top-level keys are options (gap_open = 16), a table named after "
    "the application ([swg]) wins over them."
)


class Option(click.Option):
    """An option whose help tells what stands in for a default of None, without a range."""

    def get_help_extra(self, ctx: click.Context) -> Any:
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


class ApplicationCommand(click.Command):
    """A command whose help tells its own options before those of every run."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shared = "Options of every run"
        section_of = {field.name: shared for field in declared(RunOptions)} | {"config": shared}
        section_of |= {field.name: "Options of iterations" for field in declared(IterativeOptions)}
        own = f"Options of {self.name}"
        rows: dict[str, list[tuple[str, str]]] = {own: [], "Options of iterations": []}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                title = shared if "--help" in param.opts else section_of.get(param.name, own)
                rows.setdefault(title, []).append(record)
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class NearChoice(click.Choice):
    """A choice that names the nearest allowed word."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in self.choices:
            near = nearest(str(value), self.choices)
            hint = f" Did you mean {near}?" if near else ""
            self.fail(f"{value!r} is not one of {', '.join(self.choices)}.{hint}", param, ctx)
        return value


class AutoOrNumber(click.ParamType):
    """'auto' or a whole number of at least `min`."""

    name = "auto|n"

    def __init__(self, min: int = 1):
        self.min = min

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto":
            return value
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a whole number.", param, ctx)
        if number < self.min:
            self.fail(f"{number} is less than {self.min}.", param, ctx)
        return number


class NumberOrRange(click.ParamType):
    """A whole number of at least `min`, or a range LOW:HIGH of such."""

    name = "k|low:high"

    def __init__(self, min: int = 1):
        self.min = min

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            low, high = range_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if low < self.min:
            self.fail(f"{low} is less than {self.min}.", param, ctx)
        return low if low == high else f"{low}:{high}"


class Memory(click.ParamType):
    """'auto' or a size with a unit."""

    name = "auto|size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not MEMORY.fullmatch(str(value)):
            self.fail(f"{value!r} is neither 'auto' nor a size such as 4GiB.", param, ctx)
        return str(value)


class Address(click.ParamType):
    """HOST:PORT or a port alone."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        match = ADDRESS.fullmatch(str(value))
        if not match or int(match["port"]) > 65535:
            self.fail(f"{value!r} is not HOST:PORT.", param, ctx)
        return str(value)


def variables(name: str) -> list[str]:
    """Environment variables of an option, the strongest first."""
    return [f"WHORL_{name.upper()}", *MORE_VARIABLES.get(name, [])]


def parameters(config_class: type) -> list[click.Parameter]:
    """The argument and options of an application followed by those of every run."""
    fields = [(config_class, field) for field in declared(config_class)]
    fields += [(RunOptions, field) for field in declared(RunOptions)]
    config = Option(
        ["--config"],
        metavar="FILE",
        envvar="WHORL_CONFIG",
        is_eager=True,
        expose_value=False,
        callback=read_config_file,
        help=CONFIG_HELP,
    )
    return [parameter(owner, field) for owner, field in fields] + [config]


def parameter(owner: type, field: dataclasses.Field) -> click.Parameter:
    """One click parameter for one declared field."""
    rules = field.metadata
    if rules.get("argument"):
        argument = click.Argument([field.name], metavar=rules["metavar"] or field.name.upper())
        argument.help = rules["help"]  # shown by click 8.5 and newer
        return argument
    names = [flag_name(field.name), field.name] + ([rules["short"]] if rules["short"] else [])
    kind = plain_type(owner, field.name)
    shared: dict[str, Any] = {"help": rules["help"], "envvar": variables(field.name)}
    if kind is bool:
        return Option(names, is_flag=True, default=field.default, **shared)
    required = field.name == "output"
    shown = rules["shown_default"] or (field.default is not None)
    return Option(
        names,
        type=click_type(kind, rules),
        default=None if required else field.default,
        required=required,
        show_default=False if required else shown,
        metavar=rules["metavar"],
        **shared,
    )


def click_type(kind: type, rules: Any) -> click.ParamType:
    """The click type that refuses what the declaration does not allow."""
    if rules["kind"] == "auto-int":
        return AutoOrNumber(int(rules["min"] or 0))
    if rules["kind"] == "int-range":
        return NumberOrRange(int(rules["min"] or 0))
    if rules["kind"] == "memory":
        return Memory()
    if rules["kind"] == "address":
        return Address()
    if rules["choices"]:
        return NearChoice(rules["choices"])
    if kind is int and rules["min"] is rules["max"] is None:
        return click.INT
    if kind is int:
        return click.IntRange(min=rules["min"], max=rules["max"])
    if kind is float and rules["min"] is rules["max"] is None:
        return click.FLOAT
    if kind is float:
        return click.FloatRange(min=rules["min"], max=rules["max"])
    return click.STRING


def read_config_file(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Puts the values of the file beneath flags and environment; refuses keys nobody reads."""
    if path is None:
        return
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} is not TOML: {error}.") from None
    known = {p.name: p for p in ctx.command.params if isinstance(p, click.Option)}
    values: dict[str, Any] = {}
    for scope, table in tables_for(ctx.info_name or "", tables, path, known):
        for key, value in table.items():
            name = key.replace("-", "_")
            if name not in known or name in ("config", "help"):
                raise click.UsageError(unknown_key(path, scope + key, name, known))
            values[name] = converted(known[name], value, f"{path}: {scope}{key}")
    ctx.default_map = {**(ctx.default_map or {}), **values}
    ctx.meta["whorl.config_file"] = path


def tables_for(
    app: str, tables: dict[str, Any], path: str, known: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """The top-level keys, then the application's own table; other tables must be applications."""
    from cli.run import APPLICATIONS

    for name, table in tables.items():
        if isinstance(table, dict) and name not in APPLICATIONS:
            raise click.UsageError(unknown_key(path, f"[{name}]", name, [*APPLICATIONS, *known]))
    top = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    return [("", top), (f"{app}.", tables.get(app, {}))]


def unknown_key(path: str, shown: str, name: str, known: Any) -> str:
    near = nearest(name, known)
    return f"{path}: {shown} is not an option." + (f" Did you mean {near}?" if near else "")


def converted(param: click.Parameter, value: Any, where: str) -> Any:
    """The value as the flag would give it. Text first, so that 5.5 is not cut to 5."""
    try:
        if isinstance(value, list | dict):
            raise click.BadParameter("one value is expected.")
        return param.type.convert(value if isinstance(value, bool) else str(value), param, None)
    except click.BadParameter as error:
        raise click.UsageError(f"{where}: {error.message}") from None


def origin(ctx: click.Context, name: str) -> str:
    """Where the value of a parameter came from, in the words of --dry-run and run.json."""
    source = ctx.get_parameter_source(name)
    if source == ParameterSource.COMMANDLINE:
        return "flag"
    if source == ParameterSource.ENVIRONMENT:
        return next(v for v in variables(name) if os.environ.get(v))
    if source == ParameterSource.DEFAULT_MAP:
        return str(ctx.meta["whorl.config_file"])
    return "default"


def merge(
    ctx: click.Context, config_class: type, values: dict[str, Any], command: list[str]
) -> tuple[Any, RunOptions]:
    """Config of the application and RunOptions; what they refuse is a usage error."""
    origins = {name: origin(ctx, name) for name in values}
    if values["executor"] == "serial" and origins["scheduler"] == "DASK_SCHEDULER_ADDRESS":
        values["scheduler"], origins["scheduler"] = None, "default"
    of_run = {field.name for field in declared(RunOptions)}
    ours = {name: value for name, value in values.items() if name in of_run}
    theirs = {name: value for name, value in values.items() if name not in of_run}
    try:
        options = RunOptions(**ours, origins=origins, command=tuple(command))
        return config_class(**theirs), options
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from None
