"""What is wrong with the records of a FASTA file: rules and texts, without any reading."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kernels.sequences import FOREIGN, code_table, detect_alphabet
from pipelines.formats.fasta_blocks import NO_LETTER, NO_NUCLEOTIDE, Parsed, Place

LOOKS_LIKE_DNA = 0.9  # share of A, C, G, T, U, N among the letters of one record
SHORTEST_DNA = 10  # letters; fewer of them are no evidence
LETTER_OF = {"dna": "DNA", "rna": "RNA", "protein": "protein"}

_GROUP = 2**22  # letters worked on at once


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. A refusal tells the first kind in full and counts the others."""

    kind: str  # 'mixed', 'foreign', 'empty', 'nameless', 'repeated'
    text: str  # the whole sentence of a refusal
    remedy: str
    count: str  # "2 records without letters", for the end of another sentence
    details: tuple[tuple[int, int, str], ...]  # (line, column, text) of the first few, for a survey
    size: int


@dataclass(frozen=True)
class Mixture:
    """Records of two alphabets in one file."""

    n_dna: int  # records that look like DNA
    protein: np.ndarray  # (n,) bool: looks like protein


def quote(text: str, limit: int = 40) -> str:
    """A header or a line in a message: in quotes, printable, not longer than `limit`."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:limit])
    return f'"{shown}..."' if len(text) > limit else f'"{shown}"'


def plural(n: int, thing: str, things: str | None = None) -> str:
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def record_groups(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, last + 1) records of about _GROUP letters together, at least one record each."""
    start, n = 0, offsets.size - 1
    while start < n:
        stop = int(np.searchsorted(offsets, offsets[start] + _GROUP, side="right")) - 1
        stop = min(max(stop, start + 1), n)
        yield start, stop
        start = stop


def per_record(ufunc: np.ufunc, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """ufunc.reduce of each record's values, (n,) int64; 0 for a record without letters."""
    result = np.zeros(offsets.size - 1, np.int64)
    full = np.flatnonzero(np.diff(offsets))
    if full.size:
        kind = np.int64 if ufunc is np.add else None
        result[full] = ufunc.reduceat(values, offsets[full], dtype=kind)
    return result


def encode_in_place(letters: np.ndarray, offsets: np.ndarray, alphabet: str) -> np.ndarray:
    """Turn raw letters (total,) uint8 into residue codes; the highest code of each record, (n,)."""
    table = code_table(alphabet)
    highest = np.zeros(offsets.size - 1, np.int64)
    for start, stop in record_groups(offsets):
        part = letters[offsets[start] : offsets[stop]]
        codes = np.frombuffer(part.tobytes().translate(table), np.uint8)
        part[:] = codes
        inside = offsets[start : stop + 1] - offsets[start]
        highest[start:stop] = per_record(np.maximum, codes, inside)
    return highest


def choose_alphabet(
    parsed: Parsed, letters: np.ndarray, offsets: np.ndarray
) -> tuple[str, Mixture | None, list[str]]:
    """The alphabet 'auto' takes: (alphabet, mixture or None, warnings).

    By detect_alphabet over all letters, with one exception: when every record looks like DNA (10
    letters or more, 90 % of them A, C, G, T, U or N) a few letters beyond IUPAC are mistakes in
    DNA, not a sign of protein. There is a mixture when half of the records or more, but not all,
    look like DNA; shorter records of nucleotide codes count on neither side.
    """
    counts = parsed.counts.copy()
    counts[list(NO_LETTER)] = 0
    alphabet = detect_alphabet(counts)
    if alphabet != "protein":
        return alphabet, None, []
    if not counts[list(NO_NUCLEOTIDE)].any():
        share = 100 * counts[list(b"ACGTUacgtu")].sum() / counts.sum()
        text = f"all letters are nucleotide codes, but only {share:.0f} % are A, C, G, T or U"
        return alphabet, None, [f"{text}: read as protein; nucleotides? --alphabet dna"]
    dna, other = _looks_like_dna(letters, offsets)
    n_dna, n_other = int(dna.sum()), int(other.sum())
    if n_dna and not n_other:
        counts[[b for b in range(256) if b not in b"ACGTUacgtu"]] = 0
        return detect_alphabet(counts), None, []
    if n_dna and n_dna >= n_other:
        return alphabet, Mixture(n_dna, other), []
    looks = "looks like DNA and is" if n_dna == 1 else "look like DNA and are"
    text = f"{n_dna:,} of {offsets.size - 1:,} records {looks} read as protein"
    return alphabet, None, [text] if n_dna else []


def _looks_like_dna(letters: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(looks like DNA, like protein), (n,) bool each. Gaps, digits and the like do not count."""
    nucleotide = bytes(b in b"ACGTUNacgtun" for b in range(256))
    foreign = bytes(b in NO_LETTER for b in range(256))
    dna, other = np.zeros(offsets.size - 1, bool), np.zeros(offsets.size - 1, bool)
    for start, stop in record_groups(offsets):
        part = letters[offsets[start] : offsets[stop]].tobytes()
        inside = offsets[start : stop + 1] - offsets[start]
        plain = per_record(np.add, np.frombuffer(part.translate(nucleotide), np.uint8), inside)
        known = np.diff(inside)
        strange = np.frombuffer(part.translate(foreign), np.uint8)
        if strange.any():
            known = known - per_record(np.add, strange, inside)
        similar = plain >= LOOKS_LIKE_DNA * known
        dna[start:stop] = similar & (known >= SHORTEST_DNA)
        other[start:stop] = ~similar
    return dna, other


def mixed(name: str, mixture: Mixture, ids: list[str], lines: np.ndarray) -> Finding:
    """Half of the records or more look like DNA, others do not."""
    other = np.flatnonzero(mixture.protein)
    first, n_dna = int(other[0]), mixture.n_dna
    look = "record looks" if n_dna == 1 else "records look"
    text = (
        f"{name}: {n_dna:,} {look} like DNA, {other.size:,} like protein "
        f"(first: {quote(ids[first])}, line {lines[first]:,})."
    )
    remedy = "Choose --alphabet protein to read all as protein."
    detail = f"line {lines[first]:,}: record {quote(ids[first])} looks like protein, others do not"
    details = ((int(lines[first]), 0, detail),)
    return Finding("mixed", text, remedy, "mixed alphabets", details, 1)


def foreign(
    name: str, parsed: Parsed, alphabet: str, highest: np.ndarray, ids: list[str]
) -> Finding:
    """Letters that the alphabet does not know."""
    wrong = NO_LETTER if alphabet == "protein" else NO_LETTER + NO_NUCLEOTIDE
    places = parsed.no_letter + ([] if alphabet == "protein" else parsed.no_nucleotide)
    places = sorted(places, key=lambda place: (place.line, place.column))
    n = int(parsed.counts[list(wrong)].sum())
    records = int((highest == FOREIGN).sum())
    others = "" if n == 1 else f"; {n:,} such letters in {plural(records, 'record')}"
    first = places[0]
    text = f"{name} {_foreign_text(first, alphabet, ids, others)}."
    details = tuple((p.line, p.column, _foreign_text(p, alphabet, ids, "")) for p in places)
    count = plural(n, "foreign letter")
    return Finding("foreign", text, _foreign_remedy(first, alphabet), count, details, n)


def _foreign_text(place: Place, alphabet: str, ids: list[str], others: str) -> str:
    shown = f'"{chr(place.byte)}"' if 32 < place.byte < 127 else f"byte 0x{place.byte:02X}"
    record = f"record {quote(ids[place.record])}{others}"
    where = f"line {place.line:,}, column {place.column:,}"
    article = "an" if alphabet == "rna" else "a"
    return f"{where}: {shown} is not {article} {LETTER_OF[alphabet]} letter ({record})"


def _foreign_remedy(place: Place, alphabet: str) -> str:
    skip = "or drop such records with --on-bad-record skip."
    if place.byte in b"-.":
        return "Aligned file? --gaps remove."
    if place.byte == ord(";") and place.column == 1:
        return "Comment lines are not read: remove them."
    if place.byte in b"0123456789":
        return f"Remove the numbers, {skip}"
    if alphabet != "protein" and place.byte in NO_NUCLEOTIDE:
        return f"Protein? --alphabet protein; {skip}"
    return f"Mend it, {skip}"


def empty(name: str, lengths: np.ndarray, ids: list[str], lines: np.ndarray) -> Finding:
    """Records that have a header only."""
    at = np.flatnonzero(lengths == 0)
    count = f"{plural(at.size, 'record')} without letters"
    text = f"{name} has {count}, first: {quote(ids[at[0]])} (line {lines[at[0]]:,})."
    details = tuple(
        (int(lines[k]), 0, f"line {lines[k]:,}: record {quote(ids[k])} has no letters")
        for k in at[:5]
    )
    remedy = "Drop them with --on-bad-record skip."
    return Finding("empty", text, remedy, count, details, at.size)


def nameless(name: str, ids: list[str], lines: np.ndarray) -> Finding:
    """Headers that hold nothing but ">" and blanks."""
    at = [k for k, record in enumerate(ids) if not record]
    count = f"{plural(len(at), 'header')} without an id"
    text = f"{name} has {count}, first: line {lines[at[0]]:,}."
    details = tuple((int(lines[k]), 0, f"line {lines[k]:,}: header without an id") for k in at[:5])
    remedy = "Use --ids number to take record numbers."
    return Finding("nameless", text, remedy, count, details, len(at))


def repeated(name: str, ids: list[str], lines: np.ndarray) -> Finding | None:
    """Ids that stand on more than one record; headers without an id are another finding."""
    if len(set(ids)) == len(ids):
        return None
    first_of: dict[str, int] = {}
    again: dict[str, list[int]] = {}
    for k, record in enumerate(ids):
        if record and first_of.setdefault(record, k) != k:
            again.setdefault(record, [first_of[record]]).append(k)
    if not again:
        return None
    record, at = next(iter(again.items()))
    shown = ", ".join(f"{lines[k]:,}" for k in at[:2]) + (", ..." if len(at) > 2 else "")
    others = f" and {plural(len(again) - 1, 'other id repeats', 'other ids repeat')}"
    text = (
        f"id {quote(record)} occurs {len(at):,} times in {name} (lines {shown})"
        f"{others if len(again) > 1 else ''}; results are addressed by id."
    )
    details = []
    for other, places in list(again.items())[:5]:
        first, second = lines[places[0]], lines[places[1]]
        detail = f"line {second:,}: id {quote(other)} is that of line {first:,} too"
        details.append((int(second), 0, detail))
    remedy, count = "Use --ids number to take record numbers.", plural(len(again), "repeated id")
    return Finding("repeated", text, remedy, count, tuple(details), len(again))
