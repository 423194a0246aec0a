"""Work on a cluster that somebody else started: reach it, check it, leave it as it was."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines.engine import probe
from pipelines.engine.contract import Engine, shown_name
from pipelines.engine.errors import ClusterMismatch, ClusterUnreachable, EngineError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 8.0
FIRST_WORKER_S = 30.0
COMPARED = ("python", "whorl", "numba", "dask", "distributed")
PAUSES_S = (0.1, 0.5, 2.0)  # until the scheduler, too, knows that a worker is gone
TOKEN_S = 5.0  # network file systems show a new file to other hosts with some delay


def reach(scheduler: str) -> Client:
    """A client of the scheduler at an address, or of a scheduler file (*.json)."""
    from distributed import Client

    where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
    if "scheduler_file" in where and not os.path.exists(scheduler):
        raise ClusterUnreachable(f"scheduler file {scheduler} does not exist")
    try:
        with warnings.catch_warnings():
            # our own check of versions follows, with a text that names the remedy
            warnings.filterwarnings("ignore", message="Mismatched versions found")
            return Client(**where, timeout=CONNECT_S, set_as_default=False, name="whorl")
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterUnreachable(
            f"no Dask scheduler answers at {scheduler} ({_first_line(error)})",
            remedy="Start one with `dask scheduler`, or leave --scheduler out to work locally.",
        ) from error


def check_workers(client: Client) -> dict[str, dict[str, Any]]:
    """Facts by worker address; ClusterMismatch when one cannot run our code."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_S)
    except TimeoutError:
        raise EngineError(
            f"the cluster at {client.scheduler.address} has no worker; none came within "
            f"{FIRST_WORKER_S:.0f} s"
        ) from None
    ours = probe.versions()
    basic: Any = client.get_versions()
    # Python first: code does not travel between minor versions
    for address, found in {"scheduler": basic["scheduler"], **basic["workers"]}.items():
        python = ".".join(str(part) for part in found["host"]["python"].split(".")[:3])
        _compare(address, {"python": ours["python"]}, {"python": python})
    try:  # the scheduler reads our tasks too
        _compare("scheduler", ours, client.run_on_scheduler(probe.versions))
    except ModuleNotFoundError:
        _compare("scheduler", ours, {"python": ours["python"]})
    facts: dict[str, dict[str, Any]] = {}
    for address, found in ask(client, probe.facts).items():
        if isinstance(found, BaseException):  # it could not even import this module
            found = {"versions": {"python": ours["python"]}, "cpu": ""}
        _compare(address, ours, found["versions"])
        facts[address] = found
    return facts


def cpu_warning(facts: dict[str, dict[str, Any]]) -> str | None:
    """One line when workers compile for different CPUs."""
    targets = sorted({found["cpu"] for found in facts.values()})
    if len(targets) < 2:
        return None
    return (
        f"workers have different CPUs ({', '.join(targets)}): floating-point results may differ "
        "in their last bits from run to run; integer scores do not"
    )


def check_token(engine: Engine, url: str, content: bytes, **storage_options: Any) -> None:
    """ClusterMismatch when a worker does not read content at url: the output is not shared.

    The caller has written content there before.
    """
    client: Client | None = getattr(engine, "client", None)
    if client is None:
        return
    local = url if "://" in url else os.path.abspath(url)
    names = {worker.address: worker.name for worker in engine.workers}
    answers = ask(client, reads_token, local, content, storage_options)
    for address, found in sorted(answers.items(), key=lambda pair: names.get(pair[0], pair[0])):
        if found is not True:
            raise ClusterMismatch(
                f"worker {names.get(address, address)} does not see {url}",
                remedy="Use a folder that all workers share, or a URL such as s3://bucket/name.",
            )


def reads_token(url: str, content: bytes, storage_options: dict[str, Any]) -> bool:
    """Whether content is at url, waiting a little for it. Runs on the worker."""
    deadline = time.monotonic() + TOKEN_S
    while probe.read_bytes(url, storage_options) != content:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def ask(client: Client, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """function(*args) on every worker, beside its tasks: address -> result or exception.

    Workers that die meanwhile have no answer; those that took their places have one.
    """
    for pause_s in (*PAUSES_S, None):
        answers: dict[str, Any] = client.run(in_thread, function, *args, on_error="return")
        lost = any(isinstance(answer, OSError) for answer in answers.values())
        if not lost or pause_s is None:
            break
        time.sleep(pause_s)
    return answers


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(function, *args)


def _compare(address: str, ours: dict[str, str], theirs: dict[str, str]) -> None:
    for package in COMPARED:
        version = ours.get(package, "")
        found = theirs.get(package, "")
        if version and _minor(found) != _minor(version):
            says = f"has {package} {found}" if found else f"has no {package}"
            raise ClusterMismatch(
                f"{_who(address)} {says}, the driver has {version}",
                remedy="In the environment of that process: " + _install_command(ours),
            )


def _install_command(ours: dict[str, str]) -> str:
    if set(ours) == {"python"}:
        return f"use Python {_minor(ours['python'])}"
    pins = " ".join(
        f"{package}=={version}"
        for package, version in ours.items()
        if version and package != "python"
    )
    return f"python -m pip install {pins}"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _who(address: str) -> str:
    return "the scheduler" if address == "scheduler" else f"worker {shown_name(address)}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
