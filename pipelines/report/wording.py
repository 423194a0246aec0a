"""Numbers and foreign names in the words of the report. Pure functions, text out."""

import math
import re
from collections.abc import Sequence

LONGEST_NAME = 60  # letters of a foreign name that a reader can take in at a glance


def count(value: float) -> str:
    """28645 -> '28,645'."""
    return f"{int(value):,}"


def large(value: float) -> str:
    """3.2e12 -> '3.20 T'; below 100,000 all digits."""
    if abs(value) < 100_000:
        return f"{value:,.0f}"
    return _scaled(value, 1000, ("", "k", "M", "G", "T", "P", "E"))


def number(value: float, digits: int = 5) -> str:
    """8917615616867.3 -> '8.9176×10¹²', 1234.5 -> '1,234.5'; the sign is a true minus."""
    if not math.isfinite(value):
        return "–"
    if value and not 1e-4 <= abs(value) < 1e7:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{mantissa.rstrip('0').rstrip('.')}×10{raised}"
    elif abs(value) >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.{digits - 4}f}"
    return text.replace("-", "−", 1) if value < 0 else text


def three(value: float) -> str:
    """Three digits, more where they would read 1 for what is a little less."""
    digits = next((n for n in (3, 4, 5, 6) if f"{value:.{n}f}" != f"{1:.{n}f}"), 3)
    return f"{value:.{digits if value < 1 else 3}f}".replace("-", "−")


def nbytes(value: float) -> str:
    """3.2e9 -> '2.98 GiB'."""
    if value < 1024:
        return f"{int(value)} bytes"
    return _scaled(value, 1024, ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"))


def _scaled(value: float, base: int, units: Sequence[str]) -> str:
    """Three digits and the unit; 999,999 is '1 M' and not '1000 k'."""
    step = 0
    while step < len(units) - 1 and float(f"{abs(value):.3g}") >= 1000:
        value, step = value / base, step + 1
    return f"{value:.3g} {units[step]}"


def seconds(value: float) -> str:
    """6e-5 -> '60 µs', 0.034 -> '34 ms', 12.34 -> '12.3 s', 4000 -> '1 h 07 min'."""
    if 0 < value < 0.00995:
        return f"{value * 1e6:.3g} µs" if value < 0.0009995 else f"{value * 1000:.2g} ms"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    value = round(value)
    if value < 3600:
        return f"{int(value // 60)} min {int(value % 60):02d} s"
    return f"{int(value // 3600):,} h {int(value % 3600 // 60):02d} min"


def share(part: float, whole: float) -> str:
    """Percentage that never rounds something to nothing: '0 %', '< 0.01 %', '12.3 %', '100 %'."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.01:
        return "< 0.01 %"
    if part < whole and percent > 99.99:
        return "> 99.99 %"
    if percent < 1:
        return f"{percent:.1g} %" if percent < 0.1 else f"{percent:.2g} %"
    return f"{percent:.3g} %" if percent < 99.95 or part == whole else f"{percent:.2f} %"


def clean(text: object) -> str:
    """Foreign text without letters that steer the display (controls, right-to-left marks, halves of
    surrogate pairs); markup is not touched here, it is escaped where it is written."""
    return "".join(
        letter if letter.isprintable() else " " if letter in "\t\n" else "\ufffd"
        for letter in str(text)
    )


def short(name: object, most: int = LONGEST_NAME) -> str:
    """A foreign name in at most `most` letters; the middle goes, since the ends tell more."""
    text = str(name)
    if len(text) > most:
        tail = most // 3
        text = f"{text[: most - tail - 1]}…{text[-tail:]}"
    return clean(text)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key for sorting that puts worker-2 before worker-10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def listing(names: Sequence[object], most: int = 3) -> str:
    """['a', 'b', 'c', 'd'] -> 'a, b, c and 1 more'."""
    shown = ", ".join(short(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {count(len(names) - most)} more"
