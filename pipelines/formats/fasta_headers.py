"""Headers of FASTA records to ids and descriptions."""

import numpy as np

_C1 = dict.fromkeys([*range(0x80, 0xA0), 0x2028, 0x2029], " ")  # control letters beyond ASCII
_CONTROL = bytes(32 if (b < 32 and b != 10) or b == 127 else b for b in range(256))


def name_records(raw: bytes, lines: np.ndarray, ids: str) -> tuple[list[str], list[str], list[str]]:
    """(ids, descriptions, warnings) of records.

    raw     the headers without ">", joined by newlines, at least one
    lines   (n,) line of each header
    ids     'first', 'full' or 'number'; for 'number' the description is the whole header
    """
    warnings = []
    raw = raw.translate(_CONTROL)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "backslashreplace")
        first = lines[raw.count(b"\n", 0, error.start)]
        warnings.append(
            f"headers hold bytes that are not UTF-8 (first: line {first:,}); kept as \\xNN"
        )
    if not text.isascii():
        text = text.translate(_C1)
    headers = text.split("\n")
    if text[:1] == " " or text[-1:] == " " or "\n " in text or " \n" in text:
        headers = [header.strip(" ") for header in headers]
    if ids == "number":
        return [str(k) for k in range(1, len(headers) + 1)], headers, warnings
    if ids == "full" or " " not in text:
        return headers, [""] * len(headers), warnings
    parts = zip(*[header.partition(" ") for header in headers], strict=True)
    names, _, descriptions = map(list, parts)
    if "  " in text:
        descriptions = [description.lstrip(" ") for description in descriptions]
    return names, descriptions, warnings
