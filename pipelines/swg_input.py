"""What `run swg` is given: records, labels and scoring, read and checked before anything starts."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels import sequences
from pipelines.app import RunOptions
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.bytestream import read_bytes
from pipelines.formats.distances import zstd_level
from pipelines.formats.fasta import Records, read_fasta
from pipelines.formats.fasta_checks import quote
from pipelines.formats.scoring import read_scoring_matrix
from storage.errors import StorageError
from storage.folder import open_folder

if TYPE_CHECKING:
    from pipelines.swg import Config

Scoring = tuple[np.ndarray, int, int]  # scores (a, a), gap_open, gap_extend


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """(options, why) for options that exclude each other, whatever the input."""
    if (config.match is None) != (config.mismatch is None):
        yield "--match and --mismatch", "give both or neither"
    elif config.match is not None and (config.match <= 0 or config.mismatch >= config.match):
        yield "--match and --mismatch", "a match scores above 0 and above a mismatch"
    if config.match is not None and config.matrix is not None:
        yield "--match and --matrix", "give one of them"
    try:
        zstd_level(config.compression)
    except ValueError:
        yield "--compression", f"is none or zstd:1 to zstd:19, not {config.compression}"
    if config.dtype == "int16" and config.distance in ("jukes-cantor", "kimura", "score"):
        yield "--dtype int16", f"holds distances from 0 to 1; {config.distance} goes beyond"
    if config.dtype == "float16" and config.distance == "score":
        yield "--dtype float16", "holds whole numbers to 2048 only; scores go beyond"


def read_records(config: Config, options: RunOptions) -> tuple[Records, bytes | None]:
    """The records, and standard input as it was read, to be kept for --resume."""
    how = {
        "alphabet": config.alphabet, "ids": config.ids,
        "on_bad_record": config.on_bad_record, "gaps": config.gaps,
    }  # fmt: skip
    if config.sequences != "-":
        return read_fasta(config.sequences, **how), None
    if options.resume and options.output:
        with contextlib.suppress(StorageError):
            if open_folder(options.output).exists(".work/input"):
                return read_fasta(f"{options.output.rstrip('/')}/.work/input", **how), None
    pieces: list[bytes] = []
    records = read_fasta("-", **how, keep=pieces.append)
    return records, b"".join(pieces)


def scoring_of(config: Config, alphabet: str) -> tuple[Scoring, str, dict[str, Any] | None]:
    """Scores and gap costs, the matrix's name, and the file it was read from as an input.

    A name that is known is no file; a path with a "/" is no name.
    """
    name, source = config.matrix or sequences.DEFAULTS[alphabet][0], None
    matrix: str | np.ndarray = name
    if config.match is not None:
        matrix = sequences.match_mismatch(config.match, config.mismatch, alphabet)
        name = f"match {config.match}, mismatch {config.mismatch}"
    elif config.matrix and is_file(config.matrix, alphabet):
        matrix = read_scoring_matrix(config.matrix, alphabet)
        data = read_bytes(config.matrix)
        digest = hashlib.sha256(data).hexdigest()
        source = {"path": config.matrix, "bytes": len(data), "sha256": digest}
    try:
        scoring = sequences.scoring(alphabet, matrix, config.gap_open, config.gap_extend)
    except ValueError as error:
        raise UsageProblem(f"{error}.") from error
    return scoring, name, source


def is_file(matrix: str, alphabet: str) -> bool:
    """Whether --matrix means a file rather than a name."""
    if "/" in matrix:
        return True
    try:
        sequences.substitution_matrix(matrix, alphabet)
    except ValueError:
        return os.path.isfile(matrix)
    return False


def check_together(config: Config, records: Records, scoring: Scoring) -> None:
    """Options against the input: what only one alphabet has, what no key can hold.

    Raises UsageProblem, and InputProblem naming the record that is too long.
    """
    from kernels import swg

    try:
        swg.check_options(
            config.distance, config.strand, records.alphabet, config.dtype, scoring[0]
        )
    except ValueError as error:
        raise UsageProblem(f"{error}.") from error
    unfit = swg.unfit_pair(records.lengths, *scoring, config.distance)
    if unfit is not None:
        longest, other = (quote(records.ids[k]) for k in unfit)
        raise InputProblem(
            f"{config.sequences} line {int(records.lines[unfit[0]]):,}: record {longest} is too "
            f"long ({records.lengths[unfit[0]]:,} letters): aligned with {other}, "
            f"{config.distance} needs more than 64 bits.",
            remedy="Leave it out, cut it, or take --distance score-max, which needs fewer bits.",
        )
