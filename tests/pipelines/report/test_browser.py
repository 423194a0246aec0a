"""The page in a real browser: drawn, and silent on its console."""

import re
import shutil
import subprocess

import pytest

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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on PATH")
def test_page__is_drawn_without_a_word_on_the_console(tmp_path):
    ids = ["</script><script>document.title='owned'</script>", "<img src=x onerror=alert(1)>", "c"]
    page = tmp_path / "report.html"
    page.write_bytes(report(3, ids=ids, labels=ids))
    command = ["chromium", *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert re.findall(r".*CONSOLE.*", done.stderr) == []
    assert re.search(r'<html[^>]* data-drawn="yes"', done.stdout)
    assert done.stdout.count('class="main-svg"') >= 4
    assert "<title>3 sequences, 3 pairs</title>" in done.stdout
