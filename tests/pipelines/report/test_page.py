import base64
import hashlib
import re
from importlib.resources import files

import numpy as np
import pytest

from pipelines.report import build
from pipelines.report.figures import bars
from pipelines.report.parts import Number, Section, Table, Text, Verbatim
from tests.pipelines.report.samples import Page

HOSTILE = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(2)>\u2028\u202e"


def figure(**changes):
    one = np.ones(1)
    given = {"summary": "one bar", "tips": ["tip"], "x_title": "x", "ticks": ([0.5], ["half"])}
    return bars("bar", "A bar", 0 * one, one, one, **(given | changes))


def page_with_everything_hostile():
    run = {key: HOSTILE for key in ("app", "status", "argv")} | {"warnings": [HOSTILE]}
    run |= {"config": {HOSTILE: {"value": HOSTILE, "origin": HOSTILE}}, "inputs": [{"a": HOSTILE}]}
    run |= {"versions": {HOSTILE: HOSTILE}, "outputs": {HOSTILE: HOSTILE}, "host": HOSTILE}
    parts = [
        Text(HOSTILE),
        Table([HOSTILE], [[HOSTILE]]),
        Verbatim(HOSTILE),
        figure(tips=[HOSTILE]),
    ]
    return build(
        run,
        title=HOSTILE,
        subtitle=HOSTILE,
        numbers=[Number(HOSTILE, HOSTILE, HOSTILE)],
        sections=[Section(HOSTILE, parts, intro=HOSTILE)],
        citation=HOSTILE,
    )


def test_page__hostile_text_makes_no_element():
    tags = [tag for tag, _ in Page(page_with_everything_hostile()).elements]
    assert tags.count("script") == 3
    assert "img" not in tags


def test_page__hostile_text_is_still_readable():
    page = Page(page_with_everything_hostile())
    assert "alert(1)" in "".join(page.text)
    assert page.drawings["bar"]["tips"]["texts"] == [[HOSTILE]]


def test_page__no_element_refers_to_the_network():
    page = page_with_everything_hostile()
    for _, attributes in Page(page).elements:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert not re.match(r"\s*(\w+:)?//", attributes.get(name) or "")
    assert b"@import" not in page
    assert re.search(rb"url\(", page) is None


def test_page__policy_allows_exactly_its_own_two_scripts():
    page = Page(build({}, title="t", sections=[Section("s", [figure()])]))
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    own = [page.scripts[-1][1].encode(), page.library]
    hashes = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in own]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_page__library_is_that_of_the_installed_plotly():
    page = Page(build({}, title="t", sections=[Section("s", [figure()])]))
    installed = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    assert page.library == installed


def test_page__without_figures_carries_no_library():
    assert len(build({}, title="t")) < 40_000


def test_page__same_arguments_give_same_bytes():
    assert page_with_everything_hostile() == page_with_everything_hostile()


@pytest.mark.parametrize(
    "run",
    [
        {},
        {"config": None, "inputs": None, "versions": [], "warnings": None, "outputs": "x"},
        {"inputs": ["a.fasta"], "config": {"a": 1}, "warnings": [{"text": "w"}, {"code": 3}, 4]},
    ],
)
def test_page__is_tolerant_of_what_run_json_lacks(run):
    assert b"<h1>Title</h1>" in build(run, title="Title")


def test_page__warnings_come_before_numbers():
    page = build({"warnings": ["w0"]}, title="t", numbers=[Number("n", "1")], warnings=["w1"])
    first, second, numbers = (page.index(text) for text in (b"<li>w0", b"<li>w1", b"<dl class"))
    assert first < second < numbers
    assert b"2 warnings" in page


def test_page__tells_how_many_warnings_it_leaves_out():
    page = build({"warnings": [f"warning {n}" for n in range(250)]}, title="t")
    assert b"250 warnings" in page
    assert b"and 150 more" in page


def test_page__command_is_quoted_for_a_shell():
    page = build({"argv": ["whorl", "run", "my file.fasta"]}, title="t")
    assert "whorl run 'my file.fasta'" in "".join(Page(page).text)


def test_page__run_json_of_any_length_stays_small():
    page = build({"junk": ["x" * 100] * 100_000}, title="t")
    assert len(page) < 500_000
    assert b"letters more" in page


def test_page__nan_in_a_graph_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        build({}, title="t", sections=[Section("s", [figure(lines=[(float("nan"), "x")])])])


def test_page__halves_of_surrogates_are_replaced():
    build({"argv": ["a\udcff"]}, title="\udcff", sections=[Section("s", [Text("\udcff")])])
