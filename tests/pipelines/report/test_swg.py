from itertools import pairwise

import numpy as np
import pytest

from pipelines.report import swg_report
from tests.pipelines.report.samples import InBlocks, InMemory, Page, families, timed_blocks
from tests.pipelines.report.test_figures import decoded

RUN = {
    "schema": 1,
    "app": "swg",
    "status": "complete",
    "argv": ["whorl", "run", "swg", "seqs.fasta"],
    "config": {"distance": {"value": "identity-longer", "origin": "built-in"}},
    "phases": {"read": 0.5, "blocks": 9.5},
    "pairs": {"total": 435, "zero": 3, "one": 40, "missing": 2, "clipped": 0},
    "cells": 4.2e9,
    "gcups": 12.5,
    "labels": {"one_nn": 0.993},
}


def report(n=30, run=RUN, labels=True, ids=None, random_state=0, **changes):
    distances, found = families(n)
    given = {
        "ids": ids or [f"id{k}" for k in range(n)],
        "lengths": np.full(n, 300),
        "labels": found if labels else None,
        "matrix": InMemory(distances),
        "blocks": timed_blocks(6),
        "random_state": random_state,
    }
    return swg_report(run, **(given | changes))


def test_swg_report__headline_tells_the_result_in_numbers():
    text = " ".join("".join(Page(report()).text).split())
    for number in (
        "30 sequences, 435 pairs",
        "4.2 G",
        "12.5",
        "0.993",
        "10.0 s",
        "0.69 %",
        "9.2 %",
    ):
        assert number in text


def test_swg_report__draws_its_four_figures():
    assert sorted(Page(report()).drawings) == ["distances", "lengths", "map", "timeline"]


def test_swg_report__hostile_ids_and_labels_stay_text():
    ids = ["<script>alert(1)</script>", "</script><img src=x>", "\"'&", "日本語", "x" * 10_000]
    page = report(5, ids=ids, labels=False)
    page_with_labels = report(5, ids=ids, **{"labels": ids})
    for html in (page, page_with_labels):
        assert [tag for tag, _ in Page(html).elements].count("script") == 3
        assert b"x" * 100 not in html
    assert any("<script>alert(1)" in tip for tip in Page(page).drawings["map"]["tips"]["cells"])


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_swg_report__of_few_records(n):
    page = Page(report(n, run={}))
    assert ("map" in page.drawings) == (n > 1)


def test_swg_report__with_every_pair_missing():
    page = report(4, matrix=InMemory(np.full((4, 4), np.nan)))
    assert b"There is no pair with a distance." in page


@pytest.mark.parametrize("kind", ["score", "kimura", "jukes-cantor", "score-max"])
def test_swg_report__of_every_kind_of_distance(kind):
    distances, _ = families(8)
    run = {"config": {"distance": {"value": kind}}, "pairs": RUN["pairs"]}
    text = "".join(Page(report(8, run=run, matrix=InMemory(distances * 7))).text)
    assert ("at exactly 1" in text) == (kind == "score-max")
    assert ("median score" in text) == (kind == "score")


def test_swg_report__orders_similar_records_side_by_side():
    cells = Page(report(30)).drawings["map"]["tips"]["cells"]
    labels = np.array([cell.split(" · ")[1] for cell in cells])
    assert sum(a != b for a, b in pairwise(labels)) == 2


def test_swg_report__map_and_its_ids_are_in_the_same_order():
    drawing = Page(report(30, labels=False)).drawings["map"]
    numbers = [int(cell.removeprefix("id")) for cell in drawing["tips"]["cells"]]
    drawn = decoded(drawing["graph"]["data"][0]["z"])
    np.testing.assert_allclose(drawn, families(30)[0][np.ix_(numbers, numbers)], atol=1e-4)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.2, 0.5), (0.7, 0.7), (1.0, 1.0), (0, 0)])
def test_swg_report__colours_span_the_distances_that_occur(low, high):
    distances = np.linspace(high, low, 100).reshape(10, 10)
    page = Page(report(10, matrix=InMemory(distances), labels=False))
    trace = page.drawings["map"]["graph"]["data"][0]
    above = distances[np.triu_indices(10, 1)]
    assert above.min() - 0.1 <= trace["zmin"] <= above.min() + 0.01
    assert above.max() - 0.01 <= trace["zmax"] <= above.max() + 0.1
    assert trace["zmax"] > trace["zmin"]


def test_swg_report__same_arguments_same_bytes_and_other_seed_other_sample():
    n = 2_100
    one = np.ones((n, n), dtype=np.float32)
    pages = [report(n, matrix=InMemory(one), labels=False, random_state=s) for s in (0, 0, 1)]
    assert pages[0] == pages[1]
    assert pages[0] != pages[2]
    assert b"A random sample of 2,000 of 2,100 records, 1,999,000 pairs" in pages[0]


def test_swg_report__at_its_fullest_stays_under_6_mb():
    n = 2_000
    noise = np.random.default_rng(0).random((n, n), dtype=np.float32)
    page = report(
        n,
        matrix=InBlocks(noise, 500),
        ids=[f"{k}" + "名" * 5_000 for k in range(n)],
        blocks=timed_blocks(5_000, workers=150),
        run={**RUN, "warnings": ["w" * 2_000] * 500, "junk": ["j" * 100] * 10_000},
    )
    assert len(page) <= 6_000_000
