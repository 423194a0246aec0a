"""The command line tools people use for this today, and ours: how each is run and read back.

Debian has them as mmseqs2, diamond-aligner and vsearch; those that are not on PATH are left out.
Ids are the numbers 0, 1, 2, ..., so a table of any tool reads as an array.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from kernels import swg

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Tool:
    """A command line tool and how to get a table of identities from it.

    steps(fasta, folder, threads) gives the commands in their order; a step may be a function of the
    folder. read(folder, lengths) gives rows of query, target, identical columns, reported identity.
    """

    name: str
    computes: str
    program: str
    version: tuple[str, ...]
    steps: Callable[[Path, Path, int], list]
    read: Callable[[Path, np.ndarray], np.ndarray]


def whorl_steps(fasta: Path, folder: Path, threads: int) -> list:
    command = [sys.executable, "-m", "cli", "run", "swg", str(fasta), "-o", str(folder / "out")]
    if threads == swg.usable_cores():
        return [command]  # as people type it: all cores
    return [[*command, "--nworkers", str(threads)]]


def whorl_table(folder: Path, lengths: np.ndarray) -> np.ndarray:
    """Every ordered pair of the default distance, turned back into identical columns."""
    distances = zarr.open(str(folder / "out" / "distances.zarr"), mode="r")[:]
    rows, columns = np.nonzero(np.isfinite(distances))
    longer = np.maximum(lengths[rows], lengths[columns])
    identity = 1 - distances[rows, columns].astype(float)
    return np.stack([rows, columns, np.rint(identity * longer), identity], axis=1)


def mmseqs_steps(fasta: Path, folder: Path, threads: int) -> list:
    """A prefilter that lists every sequence for every query, then the alignments and a table."""
    base, pairs, alignments = (str(folder / name) for name in ("db", "pairs", "alignments"))
    common = ["--threads", str(threads), "-v", "1"]
    align = ["mmseqs", "align", base, base, pairs, alignments, "--alignment-mode", "3", "-e", "inf"]
    write = ["mmseqs", "convertalis", base, base, alignments, str(folder / "table.tsv")]
    columns = ["--format-output", "query,target,fident,alnlen"]
    return [
        ["mmseqs", "createdb", str(fasta), base, "-v", "1"],
        _mmseqs_all_pairs,
        [*align, *common],
        [*write, *columns, *common],
    ]


def _mmseqs_all_pairs(folder: Path) -> None:
    """The full prefilter of the MMseqs2 manual: each query's candidates are the target's index."""
    index = folder / "db.index"
    (folder / "pairs").symlink_to(index.name)
    size = index.stat().st_size
    queries = [line.split("\t")[0] for line in index.read_text().splitlines()]
    (folder / "pairs.index").write_text("".join(f"{query}\t0\t{size}\n" for query in queries))
    (folder / "pairs.dbtype").write_bytes(bytes([7, 0, 0, 0]))


def mmseqs_table(folder: Path, lengths: np.ndarray) -> np.ndarray:
    """The identity is a share of the aligned length, with three decimals."""
    query, target, identity, length = np.loadtxt(folder / "table.tsv", ndmin=2).T
    return np.stack([query, target, np.rint(identity * length), identity], axis=1)


def diamond_steps(fasta: Path, folder: Path, threads: int) -> list:
    base, table = str(folder / "db"), str(folder / "table.tsv")
    search = ["diamond", "blastp", "-q", str(fasta), "-d", base, "-o", table, "--quiet"]
    everything = ["--swipe", "--masking", "0", "-e", "1e9", "-k", "0", "--threads", str(threads)]
    return [
        ["diamond", "makedb", "--in", str(fasta), "-d", base, "--quiet"],
        [*search, *everything, "-f", "6", "qseqid", "sseqid", "nident", "pident"],
    ]


def vsearch_steps(fasta: Path, folder: Path, threads: int) -> list:
    command = ["vsearch", "--allpairs_global", str(fasta), "--acceptall", "--quiet"]
    output = ["--userout", str(folder / "table.tsv"), "--userfields", "query+target+ids+id"]
    return [[*command, "--threads", str(threads), *output]]


def plain_table(folder: Path, lengths: np.ndarray) -> np.ndarray:
    return np.loadtxt(folder / "table.tsv", ndmin=2)


OURS = "whorl run swg"
TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            OURS,
            "local, each pair once, matrix",
            sys.executable,
            (sys.executable, "-m", "cli", "--version"),
            whorl_steps,
            whorl_table,
        ),
        Tool(
            "MMseqs2 align",
            "local, composition-corrected, both directions, table",
            "mmseqs",
            ("mmseqs", "version"),
            mmseqs_steps,
            mmseqs_table,
        ),
        Tool(
            "DIAMOND --swipe",
            "local, composition-corrected, a gap of k costs 11 + k, both directions, table",
            "diamond",
            ("diamond", "version"),
            diamond_steps,
            plain_table,
        ),
        Tool(
            "VSEARCH --allpairs_global",
            "global, each pair once, table",
            "vsearch",
            ("vsearch", "--version"),
            vsearch_steps,
            plain_table,
        ),
    )
}


def version(tool: Tool) -> str:
    """The line of the tool's version text that has a number in it."""
    done = subprocess.run(tool.version, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["unknown"]
    return next((line for line in lines if re.search(r"\d+\.\d+\.\d+", line)), lines[0])
