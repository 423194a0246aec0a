"""Still pictures: what a reader without JavaScript, a mail preview or a slow printer sees."""

import base64
import struct
import zlib

import numpy as np
from markupsafe import Markup


def png(levels: np.ndarray, palette: list[tuple[int, int, int]], clear: int | None = None) -> str:
    """A palette picture as data URL.

    levels (height, width)   uint8, number of the colour in the palette (at most 256 colours)
    clear                    number of the colour that is see-through
    """
    height, width = levels.shape
    lines = np.zeros(
        (height, width + 1), dtype=np.uint8
    )  # each line starts with its filter, 0 = none
    lines[:, 1:] = levels
    opacity = bytes(0 if number == clear else 255 for number in range(len(palette)))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(channel for colour in palette for channel in colour)),
        (b"tRNS", opacity),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def svg(
    layers: list[tuple[str, np.ndarray]], width: float, height: float, label: str, ends=()
) -> Markup:
    """Rectangles as one inline SVG that stretches to its box.

    layers             (name of a style colour, rectangles (m, 4) float: x, y, width, height)
    label, ends        our own texts, never foreign ones; ends stand below, left and right
    """
    paths = []
    for colour, rectangles in layers:
        moves = "".join(
            f"M{x:.5g} {y:.5g}h{w:.4g}v{h:.4g}h-{w:.4g}z" for x, y, w, h in rectangles.tolist()
        )
        paths.append(f'<path fill="var({colour})" d="{moves}"/>')
    return picture(paths, width, height, label, ends)


def dots(colour: str, points: np.ndarray, size: float) -> str:
    """Round dots of `size` pixels for `picture`; points (m, 2) float, rounded to whole units."""
    places = np.unique(np.rint(points).astype(np.int64), axis=0).tolist()
    return _stroke(colour, "".join(f"M{x} {y}h0" for x, y in places), size)


def line(colour: str, points: np.ndarray, size: float) -> str:
    """A line of `size` pixels through points (m, 2) for `picture`; it breaks where one is NaN."""
    moves, pen = [], "M"
    for x, y in points.tolist():
        known = np.isfinite(x) and np.isfinite(y)
        if known:
            moves.append(f"{pen}{x:.5g} {y:.5g}")
        pen = "L" if known else "M"
    return _stroke(colour, "".join(moves), size)


def _stroke(colour: str, moves: str, size: float) -> str:
    return (
        f'<path fill="none" stroke="var({colour})" stroke-width="{size:g}" stroke-linecap="round" '
        f'stroke-linejoin="round" vector-effect="non-scaling-stroke" d="{moves}"/>'
    )


def picture(
    paths: list[str], width: float, height: float, label: str, ends=(), stretch: bool = True
) -> Markup:
    """Our own paths as one inline SVG that fills its box (stretched, or as it is in its middle);
    label and ends as in `svg`."""
    fit = "none" if stretch else "xMidYMid meet"
    below = "".join(f"<span>{end}</span>" for end in ends)
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="{fit}" role="img" '
        f'aria-label="{label}">{"".join(paths)}</svg>'
    ) + Markup(f'<div class="ends">{below}</div>' if ends else "")
