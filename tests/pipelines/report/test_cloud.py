import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.cloud import Cloud, drawn
from tests.pipelines.report.maps import distances_of, families


def cloud(points, columns=None, **more):
    return Cloud(points, [f"seq{i}" for i in range(len(points))], columns or {}, **more)


@given(st.integers(0, 40), st.integers(1, 3), st.integers(0, 5))
def test_drawn__keeps_all_distances_up_to_3_dimensions(n, d, seed):
    points = np.random.default_rng(seed).normal(5, 3, (n, d))
    found = drawn(cloud(points))
    places = found.places.copy()
    if d == 1:
        places[:, 1] = 0  # spread at random, only to be seen
    np.testing.assert_allclose(
        found.unit * distances_of(places), distances_of(points), atol=1e-9 * max(found.unit, 1)
    )
    assert np.sqrt((found.places**2).sum(axis=1)).max(initial=0) <= 1 + 1e-9


def test_drawn__of_many_dimensions_shows_the_largest_three():
    draw = np.random.default_rng(0)
    wide = draw.normal(0, 5, (60, 3))
    points = (
        np.column_stack([wide, draw.normal(0, 1e-6, (60, 4))])
        @ np.linalg.qr(draw.normal(size=(7, 7)))[0]
    )
    found = drawn(cloud(points))
    np.testing.assert_allclose(
        found.unit * distances_of(found.places), distances_of(wide), rtol=1e-3
    )
    assert found.dimensions == 7


def test_drawn__is_turned_but_never_mirrored():
    points = np.random.default_rng(1).normal(0, (3, 2, 1), (50, 3))
    found = drawn(cloud(points))
    centred = points - points.mean(axis=0)
    moved = found.places - found.places.mean(axis=0)
    turn = np.linalg.lstsq(centred, moved * found.unit, rcond=None)[0]
    assert np.linalg.det(turn) == pytest.approx(1)


def test_drawn__points_without_a_place_are_counted_and_left_out():
    points = np.ones((5, 3))
    points[2, 1] = np.nan
    found = drawn(cloud(points))
    assert (found.unseen, found.rows.tolist()) == (1, [0, 1, 3, 4])
    assert found.ids == ["seq0", "seq1", "seq3", "seq4"]


def test_drawn__samples_placed_points_before_landmarks():
    placed = np.arange(1_000) >= 100
    points = np.random.default_rng(0).normal(size=(1_000, 3))
    found = drawn(cloud(points, placed=placed), 7, most=300)
    assert len(found.rows) == 300
    assert (~found.placed).sum() == 100
    assert (np.diff(found.rows) > 0).all()
    again, other = (drawn(cloud(points, placed=placed), seed, most=300).rows for seed in (7, 8))
    np.testing.assert_array_equal(found.rows, again)
    assert (found.rows != other).any()


def test_drawn__landmarks_take_at_most_half_where_both_are_many():
    placed = np.arange(1_000) >= 400
    points = np.random.default_rng(0).normal(size=(1_000, 3))
    found = drawn(cloud(points, placed=placed), most=300)
    assert (~found.placed).sum() == 150


def test_drawn__columns_are_names_or_numbers():
    points, clusters = families(30, 3)
    columns = {
        "length": np.arange(30),
        "cluster": clusters,
        "mass": [None, *np.arange(29) / 2],
        "label": [None, *("b" * (i % 2 + 1) for i in range(29))],
        "is old": [True] * 10 + [False] * 20,
        "empty": [None] * 30,
    }
    found = {column.name: column for column in drawn(cloud(points, columns)).columns}
    assert list(found) == list(columns)
    kinds = {name: column.kind for name, column in found.items()}
    assert [name for name, kind in kinds.items() if kind == "scale"] == ["length", "mass"]
    assert np.isnan(found["mass"].values[0])
    assert found["label"].texts == ["b", "bb", "no value"]
    assert found["label"].codes[0] == found["label"].none == 2
    assert found["is old"].sizes == [20, 10]
    assert found["empty"].texts == ["no value"]


def test_drawn__clusters_stand_in_the_order_of_their_numbers():
    clusters = np.array([10, 2, 2, 9, 1])
    column = drawn(cloud(np.eye(5)[:, :3], {"cluster": clusters})).columns[0]
    assert column.texts == ["1", "2", "9", "10"]
    assert [column.texts[code] for code in column.codes] == [str(c) for c in clusters]


def test_drawn__a_label_has_the_colour_of_its_cluster():
    points, clusters = families(90, 5)
    columns = {"label": [f"family {c}" for c in clusters], "cluster": clusters}
    label, cluster = drawn(cloud(points, columns)).columns
    for name, colour in zip(cluster.texts, cluster.colours, strict=True):
        assert label.colours[label.texts.index(f"family {name}")] == colour


def test_drawn__very_many_names_share_the_last_colour():
    labels = [f"only {i}" for i in range(1_500)]
    column = drawn(cloud(np.random.default_rng(0).normal(size=(1_500, 3)), {"l": labels})).columns[
        0
    ]
    assert column.own == len(column.colours) == 200
    assert len(column.texts) == 1_500
    assert max(map(len, column.texts)) <= 24


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_drawn__of_few_points(n, d):
    columns = {"cluster": np.arange(n) + 1, "x": np.arange(n) / 2}
    found = drawn(cloud(np.zeros((n, d)), columns, counts=np.ones(n, int), placed=np.ones(n, bool)))
    assert found.places.shape == (n, 3)
    assert np.isfinite(found.places).all()
