"""The benchmark of the map in a browser at toy size, and that its verification can fail."""

import json

import pytest

from benchmarks import viewer
from benchmarks.__main__ import main
from benchmarks.browser import Browser, BrowserError, installed

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not installed(), reason="chromium is not on PATH"),
]


def test_viewer_benchmark__runs_at_toy_size(tmp_path, capsys):
    kept = tmp_path / "results.jsonl"
    arguments = ["viewer", "--toy", "--painters", "chosen", "--json", str(kept)]
    main(arguments)
    record = json.loads(kept.read_text())["records"][0]
    assert (record["n"], record["used"], len(record["turn_s"])) == (500, "plain", 3)
    wrong = [name for name, fine in record["verified"].items() if not fine]
    assert set(wrong) <= {"in time", "correct"}  # a busy machine may be slow
    assert "500" in capsys.readouterr().out


class Deaf(Browser):
    """A browser in which nothing turns and no legend is pressed."""

    def tell(self, expression):
        if expression.startswith(("probe.turn", "probe.press")):
            return 0.0
        return super().tell(expression)


def test_viewer_benchmark__notices_a_picture_that_does_not_change(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(viewer.page(200))
    with Deaf() as browser:
        source = viewer.PROBE.read_text()
        browser.ask("Page.addScriptToEvaluateOnNewDocument", source=source)
        browser.open(path)
        painter = browser.tell("probe.painted()")["painter"]
        found = viewer.verify(browser, painter, painter, 200)
    assert not found["turned"]
    assert not found["hidden"]
    assert found["found"]
    assert found["saved"]


def test_browser__tells_what_went_wrong():
    with Browser() as browser:
        with pytest.raises(BrowserError, match="not defined"):
            browser.tell("nothing_of_that_name")
        with pytest.raises(BrowserError, match=r"Page\.no"):
            browser.ask("Page.no")
