"""Labels of records: a table of id, tab, label, one record per line.

Rules: lines end with LF, CRLF or CR; plain or compressed, by content; a byte order mark is dropped.
Blank lines, and lines that start with "#" without being about a record of the input, are left out.
A first line whose id is not in the input and reads like a column name (id, name, feature id, ...)
is a header. Columns after the second are not read. An empty label is no label. An id may stand
twice with the same label, not with two. Ids that are not in the input are counted; when no id at
all is in the input the file is refused, for then it belongs to another one.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.errors import InputProblem
from pipelines.formats.bytestream import read_bytes
from pipelines.formats.fasta_checks import quote

_COLUMN_NAMES = {
    *("id", "ids", "name", "names", "record", "record id", "sequence", "sequence id", "seq"),
    *("seqid", "seq_id", "seqname", "sequence_id", "feature id", "featureid", "feature-id"),
    *("accession", "sample", "sample id", "sampleid", "sample_name", "otu", "otu id", "label"),
}


class Labels(list[str | None]):
    """One label per record, None where there is none. A list with two counts."""

    unknown: int = 0  # ids in the file that are not in the input
    missing: int = 0  # records without a label


def row_numbers(n: int) -> list[str]:
    """Ids of records that have no names: 0, 1, ..."""
    return [str(number) for number in range(n)]


def label_warnings(labels: Labels | None, what: str = "points") -> list[str]:
    """What the user should know of labels before a run."""
    found = []
    if labels is not None and labels.missing:
        found.append(f"{labels.missing:,} of {len(labels):,} {what} have no label")
    if labels is not None and labels.unknown:
        found.append(f"{labels.unknown:,} ids of the labels are not in the input")
    return found


def read_labels(url: str, ids: Sequence[str]) -> Labels:
    """The labels of `ids`, in their order, from a TSV file (a path, a URL or '-').

    Raises InputProblem naming the line, UsageProblem for a missing file.
    """
    text = read_bytes(url).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "backslashreplace")
    name = "standard input" if url == "-" else url
    wanted = set(ids)
    label_of: dict[str, tuple[str, int]] = {}
    unknown: dict[str, int] = {}
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first_line = next((k for k, line in enumerate(lines, 1) if line.strip()), 0)
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        record = fields[0].strip(" ")
        if not line.strip() or (line.startswith("#") and record not in wanted):
            continue
        if record not in wanted and number == first_line and record.lower() in _COLUMN_NAMES:
            continue
        if len(fields) < 2:
            text = f"{name} line {number:,} is {quote(line)}: id, tab and label are expected."
            raise InputProblem(text, remedy="Put one tab between the id and its label.")
        if record not in wanted:
            unknown.setdefault(record, number)
            continue
        label = " ".join(fields[1].split())
        other, line_of = label_of.setdefault(record, (label, number))
        if other != label:
            text = f"id {quote(record)} has two labels in {name}: {quote(other)} (line {line_of:,})"
            raise InputProblem(f"{text} and {quote(label)} (line {number:,}).", remedy="Keep one.")
    if not label_of:
        raise _nothing_fits(name, unknown, ids)
    labels = Labels(label_of.get(record, ("", 0))[0] or None for record in ids)
    labels.unknown = len(unknown)
    labels.missing = sum(label is None for label in labels)
    return labels


def coded(labels: Sequence[str | None]) -> tuple[list[str], np.ndarray]:
    """The classes, sorted, and the number of each record's class (n,) int64, -1 for none."""
    names = sorted({label for label in labels if label is not None})
    places = {label: k for k, label in enumerate(names)}
    codes = [-1 if label is None else places[label] for label in labels]
    return names, np.array(codes, np.int64)


def _nothing_fits(name: str, unknown: dict[str, int], ids: Sequence[str]) -> InputProblem:
    if not unknown:
        return InputProblem(
            f"{name} holds no labels.", remedy="One line per record: id, tab, label."
        )
    record, number = next(iter(unknown.items()))
    count = "its id" if len(unknown) == 1 else f"none of its {len(unknown):,} ids"
    verb = "is not" if len(unknown) == 1 else "is"
    text = f"{name}: {count} {verb} in the input, first: {quote(record)} (line {number:,})."
    example = f"The first id of the input is {quote(ids[0])}." if len(ids) else None
    return InputProblem(text, remedy=example)
