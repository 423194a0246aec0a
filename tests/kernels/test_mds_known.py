"""Scaling of published data ends where it is known to end."""

import numpy as np
import pytest

from kernels import mds
from tests import naive_mds
from tests.kernels import matrices
from tests.kernels.truth import needs_data

# Ekman (1954): similarities in per cent of 14 colours, 434 to 674 nm, each with those after it.
EKMAN = """
86 42 42 18 6 7 4 2 7 9 12 13 16
50 44 22 9 7 7 2 4 7 11 13 14
81 47 17 10 8 2 1 2 1 5 3
54 25 10 9 2 1 0 1 2 4
61 31 26 7 2 2 1 2 0
62 45 14 8 2 2 2 1
73 22 14 5 2 2 0
33 19 4 3 2 2
58 37 27 20 23
74 50 41 28
76 62 55
85 68
76
"""
TO_THE_END = {"tol": 1e-13, "max_iter": 5000}


def ekman():
    similar = np.zeros((14, 14))
    for row, line in enumerate(EKMAN.split("\n")[1:-1]):
        similar[row, row + 1 :] = [int(value) for value in line.split()]
    return matrices.symmetric(1 - similar / 100)


@needs_data
@pytest.mark.parametrize("dtype", matrices.DTYPES)
def test_one_transform__is_that_of_borg_and_groenen(dtype):
    page = matrices.borg_groenen()
    values, start = np.array(page["sim"], float), np.array(page["init"])
    found = matrices.run(values, init=start, relax=False, max_iter=1, tol=0.0, dtype=dtype)
    assert np.abs(found.embedding - page["after_one_step"]).max() < 1e-3
    bands = matrices.bands_of(values, dtype)
    step = sum(mds.guttman_block(band, start) for band in bands) / 4
    assert np.abs(step - page["after_one_step"]).max() < 1e-3


@needs_data
@pytest.mark.parametrize("relax", [False, True])
@pytest.mark.parametrize("scaling", ["absolute", "ratio"])
def test_nations_from_torgerson__end_at_the_published_stress(scaling, relax):
    values, known = matrices.open_matrix("wish"), matrices.published("wish")
    found = matrices.run(values, init="classical", relax=relax, scaling=scaling, **TO_THE_END)
    assert found.stress1 == pytest.approx(known["stress1_torgerson_start"], abs=1e-7)
    assert round(found.stress1, 4) == 0.2185
    assert naive_mds.stress1(values, found.embedding) == pytest.approx(found.stress1, abs=1e-10)


@needs_data
@pytest.mark.parametrize("relax", [False, True])
def test_nations__have_the_published_raw_stress(relax):
    values, known = matrices.open_matrix("wish"), matrices.published("wish")
    options = {"relax": relax} | TO_THE_END
    found = matrices.run(values, init="classical", **options)
    assert found.stress == pytest.approx(known["raw_stress_torgerson_start"], rel=1e-7)
    found = matrices.run(values, init="random", n_init=30, **options)
    assert found.stress == pytest.approx(known["raw_stress_best"], rel=1e-7)


@needs_data
def test_nations_from_many_starts__end_at_the_best_stress():
    values, known = matrices.open_matrix("wish"), matrices.published("wish")
    found = matrices.run(values, init="random", n_init=30, **TO_THE_END)
    assert found.stress1 == pytest.approx(known["stress1_best"], abs=1e-7)
    assert round(found.stress1, 4) == 0.2177


CITIES = [
    {"init": "classical"},
    {"init": "classical", "relax": False},
    {"init": "classical", "anneal": True},
    *({"init": "random", "random_state": seed, "n_init": 4} for seed in range(3)),
    *({"init": "random", "random_state": seed, "anneal": True} for seed in range(6)),
]


@needs_data
@pytest.mark.parametrize("dtype", matrices.DTYPES)
@pytest.mark.parametrize("options", CITIES, ids=str)
def test_cities__end_at_one_stress(options, dtype):
    values, known = matrices.open_matrix("sgb128"), matrices.published("sgb128")
    found = matrices.run(values, dtype=dtype, tol=1e-10, max_iter=3000, **options)
    assert found.converged
    assert found.stress1 == pytest.approx(known["stress1_best"], abs=2e-6)
    assert round(found.stress1, 4) == 0.0294


@needs_data
@pytest.mark.parametrize("relax", [False, True])
def test_cities__have_the_published_raw_stress(relax):
    values, known = matrices.open_matrix("sgb128"), matrices.published("sgb128")
    options = {"tol": 1e-10, "max_iter": 3000, "relax": relax}
    found = matrices.run(values, init="random", n_init=4, **options)
    assert found.stress == pytest.approx(known["raw_stress_best"], rel=1e-6)


@needs_data
def test_cities_from_chance__seldom_end_elsewhere():
    """Of 60 uniform starts, 58 end there; annealed ones all do."""
    values, best = matrices.open_matrix("sgb128"), matrices.published("sgb128")["stress1_best"]
    ends = [
        matrices.run(values, init="random", random_state=seed, tol=1e-8, max_iter=2000).stress1
        for seed in range(40)
    ]
    assert sum(end < 1.001 * best for end in ends) >= 34
    assert min(ends) > best - 1e-6


def test_colours__end_at_the_published_stress():
    """0.017213 of the sum of squares (De Leeuw), smaller for no other start."""
    values = ekman()
    for options in ({"init": "classical"}, {"init": "random", "n_init": 10}):
        found = matrices.run(values, **options, **TO_THE_END)
        assert found.normalized == pytest.approx(0.017213, abs=5e-7)


@pytest.mark.parametrize("relax", [False, True])
def test_colours_in_order__end_at_the_published_stress(relax):
    """0.023 (smacof for R, ordinal, primary approach to ties)."""
    found = matrices.run(ekman(), scaling="ordinal", relax=relax, **TO_THE_END)
    assert round(found.stress1, 3) == 0.023
    order = np.argsort(np.arctan2(*(found.embedding - found.embedding.mean(axis=0)).T))
    first = int(np.flatnonzero(order == 0)[0])
    around = np.roll(order, -first)
    assert around.tolist() in (list(range(14)), [0, *range(13, 0, -1)])  # the circle of colours


@needs_data
def test_nations_in_order__end_at_the_published_stress():
    """0.185 (Borg, Groenen and Mair, from Torgerson's start)."""
    values = matrices.open_matrix("wish")
    found = matrices.run(values, scaling="ordinal", relax=False, **TO_THE_END)
    pairs = len(values) * (len(values) - 1) / 2
    assert round(np.sqrt(found.stress / pairs), 3) == 0.185
