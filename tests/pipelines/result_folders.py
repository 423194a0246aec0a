"""Small result folders for tests: a known matrix, written block by block."""

import json
import os
import socket
import time

import numpy as np
import psutil

from pipelines.formats.distances import MatrixLayout, ids_table
from pipelines.results import ResultFolder, write_record

INPUT = {"path": "seqs.fasta", "bytes": 1234, "sha256": "ab" * 32}
OPTIONS = {"gap_open": 16, "gap_extend": 4, "distance": "identity-longer"}


def symmetric(n, *, seed=1, missing=()):
    """(n, n) float32 in [0, 1], zero diagonal, NaN at the given pairs."""
    values = np.random.default_rng(seed).random((n, n), dtype=np.float32)
    values = np.triu(values, 1)
    values += values.T
    for row, column in missing:
        values[row, column] = values[column, row] = np.nan
    return values


def layout_of(values, block_size=7, **options):
    attributes = {"kind": "distance", "distance_range": [0.0, 1.0]}
    return MatrixLayout(len(values), block_size, attributes=attributes, **options)


def upper_blocks(layout):
    return [(i, j) for i in range(layout.n_blocks) for j in range(i, layout.n_blocks)]


def write_block(results, layout, values, i, j):
    """One block and its commit mark, as a worker does it."""
    size = layout.block_size
    block = values[i * size : (i + 1) * size, j * size : (j + 1) * size]
    chunks = layout.write_block(results.folder, results.array_prefix, i, j, block)
    write_record(results.folder, (i, j), {"chunks": chunks, "seconds": 0.5})


def write_blocks(results, layout, values, *, stop=None):
    """The blocks that are not done yet, at most `stop` of them; how many were written."""
    results.folder.put(f"{results.array_prefix}/zarr.json", layout.metadata())
    done = results.done_records()
    todo = [block for block in upper_blocks(layout) if block not in done][:stop]
    for i, j in todo:
        write_block(results, layout, values, i, j)
    return len(todo)


def create(url, **changes):
    """ResultFolder.create with everything that does not matter filled in."""
    return ResultFolder.create(
        str(url), **{"app": "swg", "options": OPTIONS, "inputs": [INPUT], **changes}
    )


def finish(results, values, ids=None):
    ids = ids or [f"s{index}" for index in range(len(values))]
    missing = int(np.isnan(np.triu(values, 1)).sum())
    table = ids_table(ids, [300] * len(ids), [""] * len(ids))
    files = {"ids.tsv": table, "report.html": b"<html>"}
    return results.finish({"missing_pairs": missing}, files)


def make_result(url, values, *, block_size=7, ids=None, **layout_options):
    """A complete result folder at url; its run.json."""
    layout = layout_of(values, block_size, **layout_options)
    with create(url) as results:
        write_blocks(results, layout, values)
        return finish(results, values, ids)


def interrupted(url, values, *, blocks):
    """An unfinished folder of so many blocks."""
    with create(url) as results:
        write_blocks(results, layout_of(values), values, stop=blocks)


def write_lock(folder, **changes):
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "heartbeat": time.time(),
        "token": "other",
    }
    (folder / ".lock").write_text(json.dumps({**owner, **changes}))
