"""The map in a real browser: both painters, mouse, keys, touch, legend, search, saving, print."""

import re

import pytest

from benchmarks.browser import Browser, installed
from benchmarks.viewer import PROBE
from tests.pipelines.report.maps import interpolate, mds, sequences
from tests.pipelines.report.test_viewer import HOSTILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not installed(), reason="chromium is not on PATH"),
]
# no other figures: they would take most of the time
BARE = {"shepard": None, "rows": (), "sample": None, "timeline": ()}
VIEW = "document.querySelector('figure.viewer').view"


def bare(n, **changes):
    return mds(n, **(BARE | changes))


class Opened(Browser):
    """A page whose map is painted; one browser for all tests of a module."""

    def show(self, page, folder, painter="plain", width=1100, **look):
        path = folder / "report.html"
        path.write_bytes(page)
        self.console.clear()
        self.look(width=width, height=900, **look)
        self.ask("Page.navigate", url="about:blank")
        self.ask("Page.navigate", url=f"{path.as_uri()}#{painter}")
        painted = self.tell("probe.painted()")
        self.tell("document.querySelector('.stage').scrollIntoView({ behavior: 'instant' })")
        return painted["painter"]

    @property
    def stage(self):
        box = "document.querySelector('.stage').getBoundingClientRect()"
        return self.tell(f"(() => {{ const b = {box}; return [b.x, b.y, b.width, b.height]; }})()")

    def at(self, i):
        """Where point i is seen, in pixels of the window."""
        left, top, *_ = self.stage
        return self.tell(
            f"(() => {{ const v = {VIEW}; whorlPaint.project(v.scene, v.view(), v.seen);"
            f"return [v.seen.x[{i}] + {left}, v.seen.y[{i}] + {top}]; }})()"
        )


@pytest.fixture(scope="module")
def browser():
    with Opened(1100, 900) as opened:
        opened.ask("Page.addScriptToEvaluateOnNewDocument", source=PROBE.read_text())
        yield opened


@pytest.mark.parametrize("painter", ["webgl", "plain"])
def test_view__turns_and_turns_back(browser, tmp_path, painter):
    assert browser.show(bare(300), tmp_path, painter) == painter
    before = browser.tell("probe.look()")
    browser.tell("probe.turn(0.5)")
    turned = browser.tell("probe.look()")
    browser.tell("probe.turn(-0.5)")
    assert before[0] > 1_000  # points are seen
    assert turned != before
    assert abs(browser.tell("probe.look()")[0] - before[0]) < 0.01 * before[0]
    assert browser.console == []


def test_painters__put_the_same_colours_in_the_same_places(browser, tmp_path):
    page, seen = bare(60), {}
    for painter in ("webgl", "plain"):
        browser.show(page, tmp_path, painter)
        seen[painter] = browser.tell("probe.pixels()")
    pairs = list(zip(seen["webgl"], seen["plain"], strict=True))
    assert len(pairs) == 60
    alike = [max(abs(a - b) for a, b in zip(*pair, strict=True)) <= 3 for pair in pairs]
    assert sum(alike) >= 52  # of points that cover each other, either may be on top


def test_legend__click_hides_double_click_isolates(browser, tmp_path):
    browser.show(bare(300), tmp_path)
    shown = f"[...Array({VIEW}.scene.n).keys()].filter(i => {VIEW}.scene.paint[4 * i + 3]).length"
    sizes = [
        int(text) for text in browser.tell("[...document.querySelectorAll('.switches .count')]"
                                           ".map(one => one.textContent)")
    ]  # fmt: skip
    press = "document.querySelectorAll('.switches button')[%d].%s"
    browser.tell(press % (0, "click()"))
    assert browser.tell(shown) == 300 - sizes[0]
    browser.tell(press % (0, "click()"))
    browser.tell(press % (2, "dispatchEvent(new MouseEvent('dblclick'))"))
    assert browser.tell(shown) == sizes[2]
    browser.tell("document.querySelector('.panel .all').click()")
    assert browser.tell(shown) == 300


def test_pointer__tells_of_a_point_and_drags(browser, tmp_path):
    browser.show(bare(40, ids=[f"<b>{i}" for i in range(40)]), tmp_path)
    x, y = browser.at(7)
    browser.mouse("mouseMoved", x, y)
    words = browser.tell("document.getElementById('tip').textContent")
    assert re.match(r"<b>\d+\ncluster \d\nlabel .*\nlength \d+$", words)
    before = browser.tell(f"{VIEW}.turn.join()")
    browser.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseMoved", x + 60, y + 20, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 60, y + 20, button="left", clickCount=1)
    assert browser.tell(f"{VIEW}.turn.join()") != before
    assert browser.tell("document.getElementById('tip').hidden") is True


def test_wheel__zooms_after_a_click_only(browser, tmp_path):
    browser.show(bare(40), tmp_path)
    left, top, width, height = browser.stage
    x, y = left + 0.05 * width, top + 0.1 * height
    before = browser.tell("scrollY")
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-100)
    browser.tell(f"probe.until(() => scrollY < {before})")
    assert browser.tell(f"{VIEW}.zoom") == 1
    browser.tell("document.querySelector('.stage').scrollIntoView({ behavior: 'instant' })")
    browser.click(x, y)
    before = browser.tell("scrollY")
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-100)
    browser.tell(f"probe.until(() => {VIEW}.zoom > 1.1)")
    assert browser.tell("scrollY") == before


def test_zoom__keeps_what_is_under_the_pointer(browser, tmp_path):
    browser.show(bare(40, d=2), tmp_path)
    left, top, width, height = browser.stage
    x, y = browser.at(3)
    browser.tell(f"{VIEW}.zoomBy(1.7, {x - left - width / 2}, {y - top - height / 2})")
    assert browser.at(3) == pytest.approx([x, y], abs=0.5)


def test_keys__turn_move_zoom_and_reset(browser, tmp_path):
    browser.show(bare(40), tmp_path)
    state = f"[{VIEW}.turn, {VIEW}.aim, {VIEW}.zoom].join()"
    first = browser.tell(state)
    browser.tell("document.querySelector('.stage').focus()")
    for key, shift in (("ArrowLeft", 0), ("ArrowUp", 8), ("+", 0)):
        before = browser.tell(state)
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key=key, modifiers=shift)
        assert browser.tell(state) != before
    browser.ask("Input.dispatchKeyEvent", type="keyDown", key="0")
    assert browser.tell(state) == first


def test_touch__one_finger_turns_two_zoom(browser, tmp_path):
    browser.show(bare(40), tmp_path)
    left, top, width, height = browser.stage
    x, y = left + width / 2, top + height / 2

    def touch(kind, *points):
        fingers = [{"x": a, "y": b, "id": n} for n, (a, b) in enumerate(points)]
        browser.ask("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    before = browser.tell(f"{VIEW}.turn.join()")
    touch("touchStart", (x, y))
    touch("touchMove", (x + 50, y + 10))
    touch("touchEnd")
    assert browser.tell(f"{VIEW}.turn.join()") != before
    touch("touchStart", (x - 40, y), (x + 40, y))
    touch("touchMove", (x - 90, y), (x + 90, y))
    touch("touchEnd")
    assert browser.tell(f"{VIEW}.zoom") > 1.5


def test_search__finds_centres_and_pales_the_others(browser, tmp_path):
    browser.show(bare(120), tmp_path)
    browser.ask("Emulation.setEmulatedMedia",
                features=[{"name": "prefers-reduced-motion", "value": "reduce"}])  # fmt: skip
    type_in = "(() => { const i = document.querySelector('.search input'); i.value = '%s';"
    type_in += "i.dispatchEvent(new Event('input')); })()"
    browser.tell(type_in % "SEQ11")
    assert browser.tell(f"{VIEW}.found") == [11, *range(110, 120)]
    assert browser.tell(f"{VIEW}.scene.paint[4 * 50 + 3]") == 128
    enter = "document.querySelector('.search input').dispatchEvent("
    enter += "new KeyboardEvent('keydown', { key: 'Enter' }))"
    browser.tell(enter)
    left, top, width, height = browser.stage
    assert browser.at(11) == pytest.approx([left + width / 2, top + height / 2], abs=2)
    assert browser.tell("document.querySelector('.search .told').textContent") == "1 of 11"
    browser.tell(type_in % "not there")
    assert browser.tell("document.querySelector('.search .told').textContent") == "none"


def test_colours__follow_the_choice(browser, tmp_path):
    browser.show(bare(80), tmp_path)
    before = browser.tell("probe.look()")
    browser.tell("(() => { const s = document.querySelector('.by select'); s.value = '2';"
                 "s.dispatchEvent(new Event('change')); })()")  # fmt: skip
    after = browser.tell("probe.look()")
    assert abs(after[0] - before[0]) < 0.01 * before[0]
    assert after[1] != before[1]
    ends = "[...document.querySelectorAll('.scale-ends span')].map(one => one.textContent)"
    low, _, high = browser.tell(ends)
    assert 60 <= int(low) < int(high) < 300


def test_save__svg_has_a_mark_for_each_point_and_escapes_names(browser, tmp_path):
    labels = [HOSTILE[0]] * 40
    browser.show(bare(40, columns={"label": labels}), tmp_path)
    svg = browser.tell(f"{VIEW}.svg()")
    assert svg.count("<circle") == 40
    assert "<script" not in svg
    read = f"new DOMParser().parseFromString({VIEW}.svg(), 'image/svg+xml')"
    assert browser.tell(f"{read}.querySelectorAll('parsererror').length") == 0
    png = browser.tell(f"{VIEW}.picture().toDataURL()")
    assert png.startswith("data:image/png;base64,")
    assert len(png) > 5_000


def test_kinds__landmarks_are_diamonds_and_can_be_hidden(browser, tmp_path):
    browser.show(interpolate(40, 20, nearest=None, stress=None), tmp_path)
    assert browser.tell(f"[...{VIEW}.scene.shapes].join('')") == "1" * 20 + "0" * 40
    browser.tell("document.querySelector('.switches button').click()")
    shown = browser.tell(f"[...{VIEW}.scene.paint].filter((_, k) => k % 4 === 3).join()")
    assert shown == ",".join(["0"] * 20 + ["255"] * 40)


def test_counts__points_that_stand_for_many_are_larger(browser, tmp_path):
    counts = [1, 2, 64, *[1] * 37]
    browser.show(sequences(40, counts=counts, placed=None, scaled=None, lengths=None), tmp_path)
    one, two, many, *_ = browser.tell(f"[...{VIEW}.scene.sizes]")
    assert one < two < many <= 5 * one


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_view__of_few_points(browser, tmp_path, n, d):
    page = bare(n, d=d)
    if n:
        browser.show(page, tmp_path)
        assert browser.tell("probe.look()")[0] > 50
    else:
        assert b"There are no points to show." in page
    assert browser.console == []


def test_dark__repaints_and_narrow__fits(browser, tmp_path):
    browser.show(bare(80), tmp_path, width=400)
    assert browser.tell("document.documentElement.scrollWidth") <= 400
    light = browser.tell("probe.look()")
    browser.look(width=400, height=900, dark=True)
    browser.tell(f"probe.until(() => {VIEW}.paper[0] < 100)")
    assert browser.tell("probe.look()")[1] != light[1]


def test_context_lost__goes_on_with_the_plain_painter(browser, tmp_path):
    assert browser.show(bare(40), tmp_path, "webgl") == "webgl"
    browser.tell(
        f"new Promise(done => {{ const c = {VIEW}.painter.canvas;"
        "c.addEventListener('webglcontextlost', () => setTimeout(done, 0));"
        "c.getContext('webgl').getExtension('WEBGL_lose_context').loseContext(); })"
    )
    assert browser.tell("document.querySelector('figure.viewer').dataset.painter") == "plain"
    assert browser.tell("probe.look()")[0] > 1_000


def test_print__shows_the_present_view_as_a_picture(browser, tmp_path):
    browser.show(bare(40), tmp_path)
    browser.tell("dispatchEvent(new Event('beforeprint'))")
    told = browser.tell("document.querySelector('.stage img.print').src.slice(0, 22)")
    assert told == "data:image/png;base64,"
