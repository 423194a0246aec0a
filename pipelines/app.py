"""What an application is: a Config dataclass, prepare(config, options) and run(job, engine, ...).

An option is declared once, as a field; the command line, the environment, the TOML file, run.json
and a Python call all read that declaration.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from typing import Any

from pipelines.errors import UsageProblem

DEFAULT = "default"  # the origin of a value that nobody gave


def argument(help: str, *, metavar: str | None = None) -> Any:
    """A field without a default: the positional input of the application."""
    return dataclasses.field(metadata={"argument": True, "help": help, "metavar": metavar})


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    min: float | None = None,
    max: float | None = None,
    metavar: str | None = None,
    kind: str | None = None,
    short: str | None = None,
    changes_bytes: bool = True,
    shown_default: str | None = None,
) -> Any:
    """A field that is also `--name` on the command line and WHORL_NAME in the environment.

    kind           'auto-int': 'auto' or a whole number; 'memory': 'auto' or a size such as 4GiB;
                   'address': HOST:PORT or a port; 'int-range': a whole number or LOW:HIGH;
                   None: the annotation decides (bool, int, float, str, each perhaps `| None`)
    changes_bytes  whether another value can change a byte of the result: --resume refuses it then
    shown_default  what the help says in place of the default (for None: what stands in for it)
    """
    metadata = {
        "help": help,
        "choices": choices,
        "min": min,
        "max": max,
        "metavar": metavar,
        "kind": kind,
        "short": short,
        "changes_bytes": changes_bytes,
        "shown_default": shown_default,
    }
    return dataclasses.field(default=default, metadata=metadata)


def same_option(config_class: type, name: str, **changes: Any) -> Any:
    """The option of another application, declared there, for an application that passes it on.

    changes   `default`, and what option() takes, where they differ
    """
    field = config_class.__dataclass_fields__[name]
    default = changes.pop("default", field.default)
    return dataclasses.field(default=default, metadata={**field.metadata, **changes})


def flag_name(name: str) -> str:
    """'gap_open' -> '--gap-open'."""
    return "--" + name.replace("_", "-")


def plain_type(config_class: type, name: str) -> type:
    """bool, int, float or str of a field; `int | None` is int, `int | str` is str."""
    hint = typing.get_type_hints(config_class)[name]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        return members[0] if len(members) == 1 else str
    return hint


def declared(config_class: type) -> list[dataclasses.Field]:
    """The fields made by argument() and option(), in order."""
    return [field for field in dataclasses.fields(config_class) if "help" in field.metadata]


def check_fields(config: Any) -> None:
    """Raises ValueError when a value is not among its choices or outside its limits."""
    for field in declared(type(config)):
        value, rules = getattr(config, field.name), field.metadata
        if value is None or (value == "auto" and rules.get("kind")):
            continue
        if rules.get("kind") == "int-range":
            value = range_of(value)[0]
        if rules.get("choices") and value not in rules["choices"]:
            raise ValueError(_not_a_choice(field.name, value, rules["choices"]))
        low, high = rules.get("min"), rules.get("max")
        if low is not None and value < low:
            raise ValueError(f"{flag_name(field.name)} must be at least {low}, not {value}.")
        if high is not None and value > high:
            raise ValueError(f"{flag_name(field.name)} must be at most {high}, not {value}.")


def range_of(value: int | str) -> tuple[int, int]:
    """(low, high) of 8, '8' or '2:20'. Raises ValueError."""
    low, colon, high = str(value).partition(":")
    try:
        bounds = int(low), int(high if colon else low)
    except ValueError:
        raise ValueError(f"{value!r} is neither a whole number nor a range LOW:HIGH.") from None
    if bounds[0] > bounds[1]:
        raise ValueError(f"{value} is empty: LOW is more than HIGH.")
    return bounds


def _not_a_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    near = nearest(str(value), choices)
    hint = f" Did you mean {near}?" if near else ""
    return f"{flag_name(name)} must be one of {', '.join(choices)}, not {value}.{hint}"


def nearest(word: str, known: typing.Iterable[str]) -> str | None:
    """The known word that looks most like `word`, or None when none is near."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return found[0] if found else None


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options that every application has."""

    output: str = option("", "Folder or URL of the result.", metavar="DIR|URL", short="-o",
                         changes_bytes=False, shown_default="none, required")  # fmt: skip
    block_size: int | str = option(
        "auto", "Rows (of a matrix: and columns) of one block.", min=1, kind="auto-int",
        metavar="auto|N",
    )  # fmt: skip
    random_state: int = option(0, "Seed of everything that is drawn.", min=0)
    executor: str = option(
        "auto",
        "Where it is computed: in this process, as tasks of a Dask cluster, or (iterations) by a "
        "gang of its workers.",
        choices=("auto", "serial", "tasks", "gang"),
        changes_bytes=False,
    )
    nworkers: int | None = option(
        None, "Workers of the local cluster.", min=1, metavar="N", changes_bytes=False,
        shown_default="one per usable core",
    )  # fmt: skip
    nthreads: int = option(
        1, "Threads of each local worker.", min=1, metavar="N", changes_bytes=False
    )
    memory_limit: str = option(
        "auto", "Memory of each local worker, such as 4GiB.", kind="memory", metavar="auto|SIZE",
        changes_bytes=False,
    )  # fmt: skip
    scheduler: str | None = option(
        None, "Address of a Dask cluster that is already there.", metavar="ADDRESS",
        changes_bytes=False, shown_default="none: a local cluster",
    )  # fmt: skip
    dashboard_address: str = option(
        "127.0.0.1:8787", "Where the dashboard of the local cluster listens.",
        kind="address", metavar="HOST:PORT", changes_bytes=False,
    )  # fmt: skip
    resume: bool = option(False, "Go on with an unfinished run in the output.", changes_bytes=False)
    overwrite: bool = option(False, "Replace an earlier result in the output.", changes_bytes=False)
    keep_work: bool = option(
        False, "Keep the .work folder of the output after success.", changes_bytes=False
    )
    dry_run: bool = option(
        False, "Print the plan and all values with their origins, compute nothing.",
        changes_bytes=False,
    )  # fmt: skip
    json: bool = option(False, "Print one JSON object on stdout.", changes_bytes=False)
    quiet: bool = option(False, "Print nothing but errors.", short="-q", changes_bytes=False)
    verbose: bool = option(False, "Print more.", short="-v", changes_bytes=False)
    debug: bool = option(False, "Print the traceback of an unexpected error.", changes_bytes=False)
    # Not options: where each value came from ('flag', 'WHORL_NAME', the TOML file, 'default'),
    # and the words of the command that was typed, for run.json and the report.
    origins: dict[str, str] = dataclasses.field(default_factory=dict)
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.resume and self.overwrite:
            raise UsageProblem(
                "--resume and --overwrite contradict each other.",
                remedy="Go on with the unfinished run (--resume) or start anew (--overwrite).",
            )
        if self.scheduler:
            self._check_given_cluster()

    def _check_given_cluster(self) -> None:
        for name in ("nworkers", "nthreads", "memory_limit"):
            default = RunOptions.__dataclass_fields__[name].default
            if getattr(self, name) != default or self.origins.get(name, DEFAULT) != DEFAULT:
                origin = self.origins.get("scheduler", "flag")
                named = "--scheduler" if origin == "flag" else f"the scheduler of {origin}"
                raise UsageProblem(
                    f"{flag_name(name)} cannot be used with {named} ({self.scheduler}): "
                    "that cluster has its own workers.",
                    remedy=f"Leave out {flag_name(name)}, or the scheduler.",
                )
        if self.executor == "serial":
            raise UsageProblem(
                f"--executor serial does not use the cluster at {self.scheduler}.",
                remedy="Leave out --executor, or the scheduler.",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class IterativeOptions:
    """Options of every application that iterates: a base class of its Config."""

    checkpoint_every: int = option(
        10, "Iterations between two checkpoints.", min=1, changes_bytes=False
    )
    checkpoint_seconds: float = option(
        30.0, "Seconds after which a checkpoint is due in any case.", min=0, changes_bytes=False
    )
    chunk_seconds: float = option(
        1.0, "Seconds that workers iterate by themselves between two looks at them.",
        min=0, changes_bytes=False,
    )  # fmt: skip
    replicas: int = option(
        1, "Workers that hold each partition; with 2 the faster one does what a slow one holds.",
        min=1, max=2, changes_bytes=False,
    )  # fmt: skip
    cache_memory: str = option(
        "auto", "Memory of each worker for partitions, such as 2GiB; what is beyond goes to disk.",
        kind="memory", metavar="auto|SIZE", changes_bytes=False,
    )  # fmt: skip
    cache_disk: str = option(
        "auto", "Keep partitions that memory cannot hold on the worker's disk, or read them anew.",
        choices=("auto", "off"), changes_bytes=False,
    )  # fmt: skip
    strict: bool = option(
        False, "Exit with code 7 when it did not converge; the result is written all the same.",
        changes_bytes=False,
    )  # fmt: skip


def merged_values(config: Any, options: RunOptions) -> dict[str, dict[str, Any]]:
    """Every option's value and origin, as run.json and --dry-run show them."""
    rows: dict[str, dict[str, Any]] = {}
    for part in (config, options):
        for field in declared(type(part)):
            value = getattr(part, field.name)
            rows[field.name] = {"value": value, "origin": options.origins.get(field.name, DEFAULT)}
    return rows


def byte_changing_values(config: Any, options: RunOptions) -> dict[str, Any]:
    """The options whose change can change a byte of the result; the positional input is not one.

    An application names in Config.KEEP_BYTES the run options that cannot change its result.
    """
    return {
        field.name: getattr(part, field.name)
        for part in (config, options)
        for field in declared(type(part))
        if field.metadata.get("changes_bytes", False)
        and field.name not in getattr(config, "KEEP_BYTES", ())
    }
