"""The map of a report in a browser without a graphics card: seconds to see it and to turn it.

A report with n points is opened in a headless Chromium that draws WebGL on the processor. Seconds
to the first paint run from the start of the page's navigation to the moment the points are painted
(and read back, so that nothing is still under way). A rotation step is one turn, painted and read
back. CPU seconds are those of the page's own thread, which a busy machine leaves as they are
(WebGL is painted by another thread). Then is verified, off the clock: the picture changed, turning
back restores it, hiding a cluster in the legend takes its points away, an id is found, both
pictures are saved.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import harness
from benchmarks.browser import Browser, installed
from pipelines.report import mds_report

SIZES = (28_645, 100_000)
PAINTERS = ("chosen", "webgl", "plain")  # the page's own choice; both by force
STEPS = 30
CLUSTERS = 40
LIMIT_S = 5.0  # first paint and one rotation
LIMIT_BYTES = {20_000: 6_000_000, 100_000: 12_000_000}  # of the page, up to so many points

PROBE = Path(__file__).with_name("viewer_probe.js")


@dataclass(frozen=True)
class Setting:
    """What is measured; toy: a few points, to see that it runs."""

    sizes: tuple[int, ...]
    painters: tuple[str, ...]
    steps: int
    toy: bool
    table: Callable[..., str]


def page(n: int) -> bytes:
    """The report of a map with n points in CLUSTERS families of falling size; seeded."""
    draw = np.random.default_rng(4)
    share = np.arange(CLUSTERS, 0, -1) / (CLUSTERS * (CLUSTERS + 1) / 2)
    clusters = np.sort(draw.choice(CLUSTERS, n, p=share)) + 1
    points = draw.normal(0, 3, (CLUSTERS, 3))[clusters - 1] + draw.normal(0, 0.35, (n, 3))
    i, j = draw.integers(0, n, (2, 100_000))
    apart = np.sqrt(((points[i] - points[j]) ** 2).sum(axis=1))
    return mds_report(
        {"app": "mds", "status": "complete"},
        coordinates=points,
        ids=[f"hsa-mir-{row}-{draw.integers(10**6)}" for row in range(n)],
        columns={
            "cluster": clusters,
            "label": [f"family {c % 17}" if c % 5 else None for c in clusters.tolist()],
            "length": draw.integers(55, 150, n),
        },
        counts=draw.geometric(0.7, n),
        shepard={"delta": apart * draw.normal(1, 0.05, len(apart)), "distance": apart},
    )


def run(setting: Setting) -> Iterator[list[dict]]:
    """The records of one size after the other; prints a table at the end."""
    if not installed():
        harness.tell("viewer: there is no chromium on PATH; Debian's package has that name")
        return
    records: list[dict] = []
    for n in setting.sizes:
        records += (found := [measure(n, name, setting.steps) for name in setting.painters])
        yield found
    harness.tell(_table(records, setting))


def measure(n: int, painter: str, steps: int) -> dict:
    """One page in one fresh browser."""
    content = page(n)
    with tempfile.TemporaryDirectory() as folder, Browser(1280, 900) as browser:
        path = Path(folder) / "report.html"
        path.write_bytes(content)
        address = path.as_uri() + ("" if painter == "chosen" else f"#{painter}")
        browser.ask("Page.addScriptToEvaluateOnNewDocument", source=PROBE.read_text())
        browser.ask("Page.navigate", url=address)
        painted = browser.tell("probe.painted()")
        paint_cpu_s = browser.cpu_seconds()
        ready_s = browser.tell("probe.ready()")
        begun = browser.cpu_seconds()
        turns = [browser.tell("probe.turn(0.1)") for _ in range(steps)]
        turn_cpu_s = (browser.cpu_seconds() - begun) / steps
        memory = browser.memory()
        verified = verify(browser, painter, painted["painter"], n)
    most = next((size for points, size in LIMIT_BYTES.items() if n <= points), None)
    verified["size"] = most is None or len(content) <= most
    verified["in time"] = painted["read_s"] + max(turns) <= LIMIT_S
    correct = all(verified.values())
    return {
        "benchmark": "viewer", "n": n, "painter": painter, "used": painted["painter"],
        "bytes": len(content),
        "first_paint_s": painted["first_s"], "read_back_s": round(painted["read_s"], 4),
        "paint_cpu_s": round(paint_cpu_s, 4), "turn_cpu_s": round(turn_cpu_s, 5),
        "page_ready_s": round(ready_s, 4), "turn_s": [round(turn, 5) for turn in turns],
        "heap_bytes": memory["heap"], "resident_bytes": memory["resident"],
        "verified": {**verified, "correct": correct},
    }  # fmt: skip


def verify(browser: Browser, wanted: str, painter: str, n: int) -> dict[str, bool]:
    """What the picture must do; off the clock."""
    browser.tell("probe.reset()")
    before = browser.tell("probe.look()")
    browser.tell("probe.turn(0.8)")
    turned = browser.tell("probe.look()")
    browser.tell("probe.turn(-0.8)")
    back = browser.tell("probe.look()")
    browser.tell("probe.press()")
    hidden = browser.tell("probe.look()")
    browser.tell("probe.press()")
    shown = browser.tell("probe.look()")
    saved = browser.tell("probe.saved()")
    return {
        "painter": painter == wanted or wanted == "chosen",
        "turned": turned != before,
        "turned back": abs(back[0] - before[0]) <= 0.001 * before[0] + 2,
        "hidden": hidden[0] < before[0],
        "shown": shown == back,
        "found": browser.tell("probe.find()") == [n - 1],
        "saved": saved["png"] > 1_000 and saved["svg"] > 20 * min(n, 1_000),
        "console": browser.console == [],
    }


def _table(records: list[dict], setting: Setting) -> str:
    rows = [
        (
            f"{one['n']:,}",
            f"{one['painter']}: {one['used']}" if one["painter"] == "chosen" else one["painter"],
            f"{one['bytes'] / 1e6:.2f}",
            f"{one['first_paint_s']:.2f}",
            f"{one['paint_cpu_s']:.2f}",
            f"{one['page_ready_s']:.2f}",
            f"{1000 * statistics.median(one['turn_s']):.0f}",
            f"{1000 * max(one['turn_s']):.0f}",
            f"{1000 * one['turn_cpu_s']:.0f}",
            f"{one['heap_bytes'] / 2**20:.0f}",
            f"{one['resident_bytes'] / 2**20:.0f}",
            "yes" if one["verified"]["correct"] else _wrong(one["verified"]),
        )
        for one in records
    ]
    heads = (
        "points", "painter", "MB", "first paint s", "CPU s", "page ready s", "turn ms", "longest",
        "CPU ms", "heap MiB", "browser MiB", "verified",
    )  # fmt: skip
    return setting.table(heads, rows)


def _wrong(verified: dict[str, bool]) -> str:
    return "NO: " + ", ".join(name for name, fine in verified.items() if not fine)
