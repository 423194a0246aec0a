import json
import re
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest

from pipelines.report.page import VIEWING
from tests.pipelines.report.maps import MAKERS, RUN, View, families, interpolate, mds
from tests.pipelines.report.samples import Page
from tests.pipelines.report.test_figures import decoded

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", "\"'&\u202e\u2028"]
NODE = shutil.which("node")


def many(n, **changes):
    points, clusters = families(n, 60)
    draw = np.random.default_rng(0)
    columns = {
        "cluster": clusters,
        "label": [f"family {c}" for c in clusters.tolist()],
        "length": draw.integers(50, 3_000, n),
    }
    ids = [f"hsa-mir-{i}-{draw.integers(10**6)} a description that is not short" for i in range(n)]
    given = {"coordinates": points, "ids": ids, "columns": columns, "sample": None, "shepard": None}
    return mds(n, **(given | changes))


def test_viewer__holds_places_ids_and_columns():
    points, clusters = families(200)
    view = View(mds(200))
    assert view.told["n"] == 200
    assert view.rest["ids"] == [f"seq{i}" for i in range(200)]
    apart = np.linalg.norm(points[3] - points[150])
    shown = np.linalg.norm(view.places[3] - view.places[150]) * view.told["unit"]
    assert shown == pytest.approx(apart, rel=1e-5)
    cluster = view.columns["cluster"]
    named = [int(cluster["texts"][code]) for code in decoded(cluster["codes"])]
    assert named == clusters.tolist()
    assert len(decoded(view.columns["length"]["values"])) == 200


def test_viewer__tells_placed_points_from_landmarks():
    view = View(interpolate(30, 20))
    assert decoded(view.rest["placed"]).tolist() == [0] * 20 + [1] * 30
    assert view.columns["kind"]["texts"] == ["placed", "landmark"]
    length = decoded(view.columns["length"]["values"])  # of the landmarks alone
    assert np.isfinite(length[:20]).all()
    assert np.isnan(length[20:]).all()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_viewer__hostile_texts_stay_text(make):
    n = 60
    ids = [HOSTILE[i % 3] for i in range(n)]
    page = make(n, ids=ids, columns={HOSTILE[0]: ids, "label": ids})
    tags = [tag for tag, _ in Page(page).elements]
    assert tags.count("img") == page.count(b'<img src="data:')
    assert tags.count("script") == 7  # 3 of the viewer's data, its code, 2 of the figures', theirs
    assert b"alert(" not in re.sub(rb"&#?\w+;", b"", page.split(b"<main>")[0])
    told = View(page).rest["ids"]
    assert "alert(1)" in told[-3]


def test_viewer__policy_names_its_script():
    page = Page(mds(5))
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert len(re.findall(r"'sha256-[^']+'", policy)) == 3
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_report__of_few_points(make, n):
    page = make(n, run={})
    assert b"<h1>" in page
    assert b'data-viewer="map"' in page or (n == 0 and make is not MAKERS["interpolate"])


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_report__same_arguments_give_same_bytes(make):
    assert make(50) == make(50)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("junk", [None, "x", 3, [], {}, [1], [{}], {"a": None}])
def test_report__is_tolerant_of_what_run_json_holds(make, junk):
    keys = [*RUN, "landmarks", "workers", "executor", "partitions", "chunks", "records", "n"]
    assert b"<h1>" in make(20, run=dict.fromkeys(keys, junk))


@pytest.mark.slow
def test_viewer__stays_small():
    assert len(many(20_000)) <= 6_000_000
    assert len(many(100_000)) <= 12_000_000


def test_viewer__has_a_still_picture_and_a_legend_without_scripts():
    page = mds(200).decode()
    figure = page.split('<figure class="viewer"')[1].split("</figure>")[0]
    still = figure.split('class="still">')[1].split("</div>")[0]
    assert still.startswith("<svg")
    assert still.count("M") >= 150  # dots that round to one place are one
    assert re.findall(r"</i>(\d) \(\d+\)</li>", figure) == list("123456")


@pytest.mark.slow
def test_viewer__draws_at_most_100000_points():
    n = 100_500
    page = many(n, columns={}, ids=["x"] * n)
    assert View(page).told["n"] == 100_000
    assert b"A random sample of 100,000 of 100,500 points" in page


def node(script, *given):
    done = subprocess.run(
        [NODE, "-e", script, *map(json.dumps, given)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(NODE is None, reason="node is not on PATH")
@pytest.mark.parametrize("name", [*VIEWING, "page.js"])
def test_script__is_correct_javascript(name):
    path = files("pipelines.report").joinpath(name)
    done = subprocess.run([NODE, "--check", str(path)], capture_output=True, text=True)
    assert done.stderr == ""
    text = path.read_text("utf-8")
    assert "</script" not in text
    assert "<!--" not in text


@pytest.mark.skipif(NODE is None, reason="node is not on PATH")
def test_svg__escapes_names_and_draws_far_points_first():
    source = "\n".join(
        files("pipelines.report").joinpath(name).read_text("utf-8") for name in VIEWING[:2]
    )
    source += """
const places = new Float32Array([0, 0, 0.5, 0, 0, -0.5, 0.2, 0, 0]);
const paint = new Uint8Array([255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 0]);
const sizes = new Float32Array([5, 5, 5]);
const scene = { n: 3, places, paint, sizes, shapes: new Uint8Array(3) };
const view = { turn: [1,0,0,0,1,0,0,0,1], aim: [0,0,0], unit: 100, far: 4, grow: 1, width: 300,
               height: 200, sharp: 1, paper: [255,255,255], ink: [0,0,0] };
const style = { card: "#fff", ink: "#000", quiet: "#555", text: "sans" };
const legend = [["#f00", JSON.parse(process.argv[1])]];
console.log(JSON.stringify(whorlSave.svg(scene, view, style, legend, null)));
"""
    made = node(source, HOSTILE[0])
    assert "<script" not in made
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)" fill="(#\w+)"', made)
    assert len(circles) == 2  # the third one is hidden
    assert [float(c[2]) for c in circles] == [2.2, 2.9]  # far, then near
    assert circles[0][:2] == ("150", "100")
