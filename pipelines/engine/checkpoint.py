"""Checkpoints of an iteration's state: in the background, whole or not at all, without pickle.

PREFIX/0000000120.state is the state after 120 iterations: the SHA-256 of the rest, and an npz file
of its arrays and, as JSON, its structure. When a byte is damaged, the one before it is taken.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from pipelines.engine.errors import EngineError
from pipelines.engine.job import State
from storage.errors import KeyMissing
from storage.folder import Folder

KEPT = 2
SUFFIX = ".state"
DIGEST_BYTES = 32


class Saved(NamedTuple):
    """A checkpoint that reached its folder. seconds: of the writer."""

    iteration: int
    job: str
    seconds: float
    nbytes: int


class Checkpoints:
    """In `folder` under `prefix`, at least `every` iterations or `seconds` apart.

    A state is an array, a number, or a (named) tuple or dict of these. One writer at a time.
    """

    def __init__(self, folder: Folder, prefix: str, every: int = 10, seconds: float = 30.0):
        self.folder, self.prefix, self.every, self.seconds = folder, prefix, every, seconds
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[Saved] | None = None
        self._saved: list[Saved] = []
        self._iteration, self._at = 0, time.monotonic()

    def due(self, iteration: int) -> bool:
        """Whether the state after `iteration` iterations is to be saved; not while one is written.

        Raises what failed in the background.
        """
        if self._writing is not None:
            if not self._writing.done():
                return False
            self._collect()
        apart_s = time.monotonic() - self._at
        return iteration > self._iteration and (
            iteration - self._iteration >= self.every or apart_s >= self.seconds
        )

    def save(self, iteration: int, job: str, state: State) -> None:
        """Write in the background; the caller may change the state's arrays meanwhile.

        Raises what failed before, TypeError for a state of other parts.
        """
        self._collect()
        arrays: list[np.ndarray] = []
        structure = flatten(state, arrays)
        self._iteration, self._at = iteration, time.monotonic()
        self._writing = self._writer.submit(self._write, iteration, job, structure, arrays)

    def latest(self, like: State) -> tuple[int, str, State] | None:
        """(iteration, job, state) of the newest whole checkpoint, or None.

        like   any state of this iteration: its named tuples are what those in the file become.
        Raises EngineError when the file holds a state of another structure.
        """
        for key in sorted(self._keys(), reverse=True):
            found = self._read(key)
            if found is None:
                continue
            header, arrays = found
            try:
                state = unflatten(header["state"], arrays, like)
            except (LookupError, TypeError, AttributeError) as error:
                raise EngineError(
                    f"{self.folder.url}/{key} is a checkpoint of another kind of iteration",
                    remedy="Start anew with --overwrite.",
                ) from error
            self._iteration, self._at = header["iteration"], time.monotonic()
            return header["iteration"], header["job"], state
        return None

    def take_saved(self) -> list[Saved]:
        """What reached the folder since the last call."""
        if self._writing is not None and self._writing.done():
            self._collect()
        saved, self._saved = self._saved, []
        return saved

    def close(self) -> None:
        """Wait for the writer. Raises what failed."""
        try:
            self._collect()
        finally:
            self._writer.shutdown()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _collect(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            self._saved.append(writing.result())

    def _keys(self) -> list[str]:
        return [key for key in self.folder.list(self.prefix) if key.endswith(SUFFIX)]

    def _write(self, iteration: int, job: str, structure: Any, arrays: list[np.ndarray]) -> Saved:
        begun = time.monotonic()
        header = {"iteration": iteration, "job": job, "state": structure}
        file = io.BytesIO()
        named: dict[str, Any] = {f"array-{number}": array for number, array in enumerate(arrays)}
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(file, header=text, **named)
        data = file.getvalue()
        digest = hashlib.sha256(data).digest()
        self.folder.put(f"{self.prefix}/{iteration:010d}{SUFFIX}", digest + data)
        for key in sorted(self._keys())[:-KEPT]:
            self.folder.delete(key)
        return Saved(iteration, job, time.monotonic() - begun, DIGEST_BYTES + len(data))

    def _read(self, key: str) -> tuple[dict[str, Any], list[np.ndarray]] | None:
        """Header and arrays, or None when a byte of them is not what was written."""
        try:
            data = self.folder.get(key)
        except KeyMissing:
            return None
        digest, data = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            header = json.loads(bytes(file["header"]))
            return header, [file[f"array-{number}"] for number in range(len(file.files) - 1)]


def flatten(state: State, arrays: list[np.ndarray]) -> Any:
    """The structure of a state for JSON; its arrays are copied to the end of `arrays`."""
    if isinstance(state, np.ndarray | np.generic):
        if state.dtype.hasobject:
            raise TypeError(f"a state cannot be saved with an array of {state.dtype}")
        arrays.append(np.array(state))
        kind = "array" if isinstance(state, np.ndarray) else "scalar"
        return {kind: len(arrays) - 1}
    if state is None or isinstance(state, bool | int | float | str):
        return {"value": state}
    if isinstance(state, tuple):
        parts = [flatten(part, arrays) for part in state]
        return {"tuple": parts, "name": type(state).__name__ if _is_named(state) else ""}
    if isinstance(state, dict) and all(isinstance(name, str) for name in state):
        return {"dict": [[name, flatten(part, arrays)] for name, part in state.items()]}
    raise TypeError(
        f"a state is an array, a number, or a tuple or dict of these, not {type(state).__name__}"
    )


def unflatten(structure: Any, arrays: list[np.ndarray], like: State) -> State:
    """The state again. Raises LookupError or TypeError where it does not fit."""
    classes = {type(part).__name__: type(part) for part in _named_parts(like)}

    def build(node: Any) -> Any:
        if "array" in node:
            return arrays[node["array"]]
        if "scalar" in node:
            return arrays[node["scalar"]][()]
        if "value" in node:
            return node["value"]
        if "dict" in node:
            return {name: build(part) for name, part in node["dict"]}
        parts = [build(part) for part in node["tuple"]]
        return classes[node["name"]](*parts) if node["name"] else tuple(parts)

    return build(structure)


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _named_parts(state: State) -> Iterator[Any]:
    """Named tuples anywhere in a state."""
    if _is_named(state):
        yield state
    if isinstance(state, dict):
        state = tuple(state.values())
    if isinstance(state, tuple):
        for part in state:
            yield from _named_parts(part)
