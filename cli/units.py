"""Numbers for people: sizes, times, counts."""

from __future__ import annotations


def size(nbytes: float) -> str:
    """1234567 -> '1.2 MiB'."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if nbytes < 1024 or unit == "TiB":
            break
        nbytes /= 1024
    return f"{nbytes:.0f} {unit}" if unit == "bytes" else f"{nbytes:.1f} {unit}"


def duration(seconds: float) -> str:
    """0.34 -> '340 ms', 75 -> '1 min 15 s', 7300 -> '2 h 1 min'."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(number: int, word: str, plural: str | None = None) -> str:
    """1, 'block' -> '1 block'; 1336, 'block' -> '1,336 blocks'."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"
