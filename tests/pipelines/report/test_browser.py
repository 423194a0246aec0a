"""The page in a real browser: drawn, silent on its console, and it answers the pointer."""

import re
import shutil
import subprocess

import pytest

from tests.pipelines.report.runs import blobs
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
# Points at the lonely row 7, zooms there, and points at the middle; the texts come as a title.
POINTING = """
const wait = setInterval(() => {
  if (document.documentElement.dataset.drawn !== "yes") return;
  clearInterval(wait);
  const live = document.querySelector('[data-figure="clusters"] .live');
  const tip = document.getElementById("tip");
  const { xaxis, yaxis } = live._fullLayout, box = live.getBoundingClientRect();
  const told = (x, y) => {
    const place = { clientX: box.left + x, clientY: box.top + y };
    live.dispatchEvent(new MouseEvent("mousemove", place));
    return tip.hidden ? "nothing" : tip.textContent.replaceAll("\\n", "; ");
  };
  const at = (value) => [xaxis, yaxis].map((axis) => axis._offset + axis.l2p(value));
  const texts = [told(...at(500)), told(...at(250))];
  const before = live.layout.images[0].source;
  Plotly.relayout(live, { "xaxis.range": [499, 501], "yaxis.range": [499, 501] }).then(() => {
    texts.push(told(xaxis._offset + xaxis._length / 2, yaxis._offset + yaxis._length / 2));
    texts.push(live.layout.images[0].source === before ? "stale" : "painted anew");
    texts.push(live.layout.images.length);
    document.title = texts.join(" | ");
  });
}, 50);
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on PATH"),
]


def opened(page, folder):
    """(document, console) of a page after its scripts ran."""
    path = folder / "report.html"
    path.write_bytes(page)
    command = ["chromium", *FLAGS, f"--user-data-dir={folder / 'profile'}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    return done.stdout, re.findall(r".*CONSOLE.*", done.stderr)


@pytest.mark.parametrize("app", PAGES)
def test_page__is_drawn_without_a_word_on_the_console(tmp_path, app):
    make, n_figures, title = PAGES[app]
    document, console = opened(make(), tmp_path)
    assert console == []
    assert re.search(r'<html[^>]* data-drawn="yes"', document)
    assert document.count('class="main-svg"') >= n_figures
    assert f"<title>{title}</title>" in document


def test_cloud__tells_of_the_point_at_the_pointer_and_follows_the_axes(tmp_path):
    points, clusters, centroids = blobs(60, 2, 3)
    points[7] = 500.0
    page = kmeans(
        60, 2, 3, labels=False, points_sample=points, labels_sample=clusters, centroids=centroids
    ).decode()
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)  # lets us in
    page = page.replace("</body>", f"<script>{POINTING}</script></body>")
    document, console = opened(page.encode(), tmp_path)
    told = re.search("<title>(.*)</title>", document)[1]
    row = f"row 7; cluster {clusters[7]}"
    assert told == f"{row} | nothing | {row} | painted anew | 1"
    assert console == []
