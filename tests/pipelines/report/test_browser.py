"""The page in a real browser: drawn, and silent on its console."""

import re
import shutil
import subprocess

import pytest

from tests.pipelines.report.runs import report as kmeans
from tests.pipelines.report.test_swg import report

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
    "--dump-dom",
]


HOSTILE = ["</script><script>document.title='owned'</script>", "<img src=x onerror=alert(1)>", "c"]
PAGES = {
    "swg": (lambda: report(3, ids=HOSTILE, labels=HOSTILE), 4, "3 sequences, 3 pairs"),
    "kmeans": (lambda: kmeans(true_labels_sample=HOSTILE * 40), 10, "120 points in 4 clusters"),
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on PATH")
@pytest.mark.parametrize("app", PAGES)
def test_page__is_drawn_without_a_word_on_the_console(tmp_path, app):
    make, n_figures, title = PAGES[app]
    page = tmp_path / "report.html"
    page.write_bytes(make())
    command = ["chromium", *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert re.findall(r".*CONSOLE.*", done.stderr) == []
    assert re.search(r'<html[^>]* data-drawn="yes"', done.stdout)
    assert done.stdout.count('class="main-svg"') >= n_figures
    assert f"<title>{title}</title>" in done.stdout
