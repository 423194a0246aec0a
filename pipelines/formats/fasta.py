"""FASTA files, read and checked: every record is right or the file is refused with line and remedy.

What is read: plain, gzip, bzip2, xz and zstd (by content), '-' for standard input, any fsspec URL.

A header starts with ">" in the first column; all lines up to the next one are its letters. Rules:

* Lines end with LF, CRLF or CR, the last one with or without. A UTF-8 byte order mark is dropped;
  UTF-16 is refused. Blank lines may stand anywhere; blanks, tabs and form feeds inside letters are
  dropped.
* Lower case is upper case, U reads as T, the amino acids O, U, J as X. IUPAC codes are letters.
  "*" is a letter of proteins, kept where it stands.
* "-" and "." are gaps: refused, or dropped with gaps='remove'. Everything else that is not a letter
  of the alphabet is foreign: refused with line and column, or its record is dropped with
  on_bad_record='skip'. That includes digits, NUL bytes, ";" comment lines and ">" inside a line.
* Records without letters are refused, or dropped with on_bad_record='skip'.
* The id is the header to the first blank or tab, blanks after ">" left out (ids='first'); the whole
  header ('full'); or the number of the record in the file, from 1 ('number'). Headers without an id
  and ids that occur twice are refused. Tabs and control letters in headers become blanks before
  that; bytes that are not UTF-8 are kept as `\\xNN`, with a warning.
* alphabet='auto' is nucleotide when every letter is an IUPAC nucleotide code and at least 90 % are
  A, C, G, T or U, else protein. A file of which half of the records or more look like DNA and
  others like protein is refused. Where all look like DNA, other letters are foreign.
* Text before the first header is no FASTA. A file without a record is refused.
* Compressed data that ends early or does not decompress is refused: nothing of it is used.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from itertools import pairwise

import numpy as np

from kernels.sequences import FOREIGN
from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats import fasta_checks as checks
from pipelines.formats.bytestream import ByteStream, StreamDamageError
from pipelines.formats.fasta_blocks import GAPS, BlockParser, Parsed
from pipelines.formats.fasta_headers import name_records
from pipelines.formats.fasta_start import HEAD, check_start

_PLAIN = {"dna": 3, "rna": 3, "protein": 19}  # highest code of an unambiguous residue


@dataclass(frozen=True)
class Records:
    """Checked records. Sequence i is codes[offsets[i]:offsets[i + 1]], as in kernels.sequences."""

    ids: list[str]
    descriptions: list[str]  # the header without the id
    codes: np.ndarray  # (total letters,) uint8
    offsets: np.ndarray  # (n + 1,) int64
    alphabet: str  # 'dna', 'rna' or 'protein'
    lines: np.ndarray  # (n,) int64: line of each header, from 1
    source: str
    nbytes: int  # as stored, so of the compressed data
    sha256: str  # of the bytes as stored
    warnings: list[str]
    skipped: int  # records dropped by on_bad_record='skip'
    ambiguous: int  # records with a letter beyond A, C, G, T, U or the 20 amino acids

    @property
    def n(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64 letters of each record."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Survey:
    """What `check` tells of a FASTA file, right or wrong."""

    source: str
    nbytes: int
    compression: str
    n: int
    letters: int
    alphabet: str
    length_min: int
    length_median: float
    length_max: int
    ambiguous: int
    duplicate_ids: int  # ids that occur more than once
    duplicate_sequences: int  # records whose letters stand in an earlier record too
    warnings: list[str]
    n_problems: int
    problems: list[str]  # the first five by line


@dataclass
class _Content:
    """A file after the parser, before the judgement."""

    name: str
    nbytes: int
    sha256: str
    compression: str
    parsed: Parsed
    fault: InputProblem | None  # what kept it from being read at all, or to its end
    ids: list[str]
    descriptions: list[str]
    letters: np.ndarray
    offsets: np.ndarray
    alphabet: str
    warnings: list[str]
    findings: list[checks.Finding]
    bad: np.ndarray  # (n,) bool: foreign letters or none
    ambiguous: np.ndarray  # (n,) bool


def read_fasta(
    url: str,
    *,
    alphabet: str = "auto",
    ids: str = "first",
    on_bad_record: str = "error",
    gaps: str = "error",
    keep: Callable[[bytes], None] | None = None,
) -> Records:
    """Read and check a FASTA file.

    url            a path, a URL, or '-' for standard input; compressed or not
    alphabet       'auto', 'dna', 'rna' or 'protein'
    ids            'first', 'full' or 'number'
    on_bad_record  'skip' drops records without letters or with foreign letters
    gaps           'remove' drops "-" and "."
    keep           called with the bytes as stored, piece by piece, by the thread that reads
    Raises InputProblem for wrong content and UsageProblem for a missing file or an unknown option.
    """
    _one_of("alphabet", alphabet, ("auto", "dna", "rna", "protein"))
    _one_of("on_bad_record", on_bad_record, ("error", "skip"))
    content = _examine(url, alphabet, ids, gaps, keep)
    if content.fault is not None:
        raise content.fault
    chosen = ~content.bad if on_bad_record == "skip" else np.ones(len(content.ids), bool)
    findings = content.findings
    if not chosen.all():
        findings = [f for f in findings if f.kind == "mixed"] + _name_findings(content, chosen)
    if findings:
        raise _refusal(findings)
    return _records(content, chosen)


def survey_fasta(
    url: str, *, alphabet: str = "auto", ids: str = "first", gaps: str = "error"
) -> Survey:
    """Count and check a FASTA file without refusing it; UsageProblem when there is none."""
    _one_of("alphabet", alphabet, ("auto", "dna", "rna", "protein"))
    content = _examine(url, alphabet, ids, gaps, None)
    details = sorted(detail for finding in content.findings for detail in finding.details)
    problems = [text for _, _, text in details]
    n_problems = sum(finding.size for finding in content.findings)
    if content.fault is not None:
        problems = [*problems[:4], str(content.fault)]
        n_problems += 1
    lengths = np.diff(content.offsets)
    sized = lengths if lengths.size else np.zeros(1, np.int64)
    repeated = [f.size for f in content.findings if f.kind == "repeated"]
    return Survey(
        source=content.name,
        nbytes=content.nbytes,
        compression=content.compression,
        n=lengths.size,
        letters=int(lengths.sum()),
        alphabet=content.alphabet,
        length_min=int(sized.min()),
        length_median=float(np.median(sized)),
        length_max=int(sized.max()),
        ambiguous=int(content.ambiguous.sum()),
        duplicate_ids=sum(repeated),
        duplicate_sequences=_repeated_sequences(content.letters, content.offsets),
        warnings=content.warnings,
        n_problems=n_problems,
        problems=problems[:5],
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageProblem(f"{name} is {value!r}; choose one of {', '.join(allowed)}.")


def _examine(
    url: str, alphabet: str, ids: str, gaps: str, keep: Callable[[bytes], None] | None
) -> _Content:
    _one_of("ids", ids, ("first", "full", "number"))
    _one_of("gaps", gaps, ("error", "remove"))
    content = _parse(url, gaps, keep)
    if content.parsed.lines.size:
        raw = b"\n".join(content.parsed.headers)
        content.parsed.headers.clear()
        content.ids, content.descriptions, warnings = name_records(raw, content.parsed.lines, ids)
        content.warnings.extend(warnings)
    _judge(content, alphabet)
    return content


def _parse(url: str, gaps: str, keep: Callable[[bytes], None] | None) -> _Content:
    parser = BlockParser(GAPS if gaps == "remove" else b"")
    fault, size = None, 0
    with ByteStream(url, keep) as stream:
        head: bytes | None = b""  # None once the start was checked
        try:
            for block in stream.blocks():
                size += len(block)
                head = _feed(parser, head, block, stream.name)
            _feed(parser, head, b"", stream.name, last=True)
        except StreamDamageError as damage:
            with suppress(InputProblem):  # count the records of a file that ends within its head
                _feed(parser, head, b"", stream.name, last=True)
            whole = f"{parser.n - 1:,}" if parser.n > 1 else "0"
            text = f"{stream.name} {damage} after record {whole}."
            fault = InputProblem(text, remedy="Copy it again.")
        except InputProblem as problem:
            fault = problem
    parsed = parser.finish()
    if fault is None and parsed.orphans:  # after more blank lines than check_start looks at
        text = f'{stream.name} has text before its first record; a FASTA file starts with ">".'
        fault = InputProblem(text, remedy="Give a FASTA file.")
    if fault is None and not parsed.lengths.size:
        fault = _nothing(stream, size)
    return _content(stream, parsed if fault is None else Parsed(), fault)


def _feed(
    parser: BlockParser, head: bytes | None, block: bytes, name: str, last: bool = False
) -> bytes | None:
    """Hold the first bytes back until the start of the file can be judged, then pass all on."""
    if head is None:
        parser.feed(block)
        return None
    head += block
    if len(head) < HEAD and not last:
        return head
    parser.feed(check_start(head, name))
    return None


def _nothing(stream: ByteStream, size: int) -> InputProblem:
    stored = f"{stream.nbytes:,} bytes"
    if stream.compression != "none":
        stored = f"{stored} of {stream.compression}, {size:,} decompressed"
    text = f"is empty ({stored})" if not size else f"holds only blanks ({stored})"
    return InputProblem(f"{stream.name} {text}.", remedy="Give a file with at least one record.")


def _content(stream: ByteStream, parsed: Parsed, fault: InputProblem | None) -> _Content:
    offsets = np.zeros(parsed.lengths.size + 1, np.int64)
    np.cumsum(parsed.lengths, out=offsets[1:])
    letters = np.empty(int(offsets[-1]), np.uint8)
    at = 0
    pieces = parsed.letters[::-1]
    parsed.letters.clear()
    while pieces:  # one piece leaves as its copy comes, so the letters are never held twice
        piece = pieces.pop()
        letters[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    none = np.zeros(parsed.lengths.size, bool)
    facts = (stream.name, stream.nbytes, stream.sha256, stream.compression)
    return _Content(*facts, parsed, fault, [], [], letters, offsets, "dna", [], [], none, none)


def _judge(content: _Content, alphabet: str) -> None:
    """Choose the alphabet, encode the letters and list everything that is wrong."""
    parsed, mixture = content.parsed, None
    if alphabet == "auto":
        alphabet, mixture, warnings = checks.choose_alphabet(
            parsed, content.letters, content.offsets
        )
        content.warnings.extend(warnings)
    content.alphabet = alphabet
    highest = checks.encode_in_place(content.letters, content.offsets, alphabet)
    strange = highest == FOREIGN
    content.bad = strange | (parsed.lengths == 0)
    content.ambiguous = (highest > _PLAIN[alphabet]) & ~strange
    name, lines = content.name, parsed.lines
    if mixture is not None:
        content.findings.append(checks.mixed(name, mixture, content.ids, lines))
    if strange.any():
        content.findings.append(checks.foreign(name, parsed, alphabet, highest, content.ids))
    if not parsed.lengths.all():
        content.findings.append(checks.empty(name, parsed.lengths, content.ids, lines))
    content.findings.extend(_name_findings(content, np.ones(len(content.ids), bool)))


def _name_findings(content: _Content, chosen: np.ndarray) -> list[checks.Finding]:
    """Missing and repeated ids among the chosen records."""
    at = np.flatnonzero(chosen)
    ids = content.ids if chosen.all() else [content.ids[k] for k in at]
    lines = content.parsed.lines[at]
    found = [checks.nameless(content.name, ids, lines)] if "" in ids else []
    repeated = checks.repeated(content.name, ids, lines)
    return found + ([repeated] if repeated is not None else [])


def _refusal(findings: list[checks.Finding]) -> InputProblem:
    first, others = findings[0], [finding.count for finding in findings[1:]]
    also = f" Also: {', '.join(others)}." if others else ""
    return InputProblem(first.text + also, remedy=first.remedy)


def _records(content: _Content, chosen: np.ndarray) -> Records:
    n, kept = chosen.size, int(chosen.sum())
    if not kept:
        text = f"{content.name}: all {checks.plural(n, 'record')} have foreign letters or none."
        raise InputProblem(text, remedy="Leave out --on-bad-record skip to see where.")
    ids, descriptions, lines = content.ids, content.descriptions, content.parsed.lines
    codes, lengths = content.letters, np.diff(content.offsets)
    if kept < n:
        at = np.flatnonzero(chosen)
        ids, descriptions = [ids[k] for k in at], [descriptions[k] for k in at]
        codes, lengths, lines = codes[np.repeat(chosen, lengths)], lengths[at], lines[at]
        left_out = f"{checks.plural(n - kept, 'record')} with foreign letters or none left out"
        content.warnings.append(left_out)
    offsets = np.zeros(kept + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Records(
        ids=ids,
        descriptions=descriptions,
        codes=codes,
        offsets=offsets,
        alphabet=content.alphabet,
        lines=lines,
        source=content.name,
        nbytes=content.nbytes,
        sha256=content.sha256,
        warnings=content.warnings,
        skipped=n - kept,
        ambiguous=int(content.ambiguous[chosen].sum()),
    )


def _repeated_sequences(letters: np.ndarray, offsets: np.ndarray) -> int:
    """Records whose letters an earlier record has too; records without letters do not count."""
    bounds = offsets.tolist()
    view = memoryview(letters)
    seen: set[bytes] = set()
    repeated = 0
    for start, stop in pairwise(bounds):
        if stop > start:
            digest = sha1(view[start:stop], usedforsecurity=False).digest()
            repeated += digest in seen
            seen.add(digest)
    return repeated
