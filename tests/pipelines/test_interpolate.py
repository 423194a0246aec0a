"""`run interpolate` in one process: places, files, what is told, what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from kernels import interpolation
from pipelines import interpolate, interpolate_plan
from pipelines.errors import UsageProblem
from pipelines.formats.points import load_rows, open_points
from pipelines.verify import verify
from tests.pipelines.interpolate_runs import (
    Scene,
    coordinates,
    make_map,
    prepare,
    result_bytes,
    run,
    table,
)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_points__lie_where_the_kernel_places_them(scene):
    told = scene.run()
    at = coordinates(scene.folder / "out")
    expected = interpolation.interpolate(scene.points, scene.landmarks, scene.at, k=10)
    np.testing.assert_array_equal(at, expected)
    assert (told["n"], told["placed"], told["kind"]) == (150, 150, "points")
    delta = scene.rows
    shown = cdist(at, scene.at)
    near = np.argsort(delta, axis=1, kind="stable")[:, :10]
    d, e = np.take_along_axis(delta, near, 1), np.take_along_axis(shown, near, 1)
    assert told["normalized_stress"] == pytest.approx(((d - e) ** 2).sum() / (d**2).sum())
    assert told["sampled"] == {
        "items": 150,
        "normalized_stress": pytest.approx(((delta - shown) ** 2).sum() / (delta**2).sum()),
    }
    assert told["landmarks"]["normalized_stress"] == 0.015
    assert verify(str(scene.folder / "out")).problems == []


def test_files__tell_the_same_as_the_coordinates(scene):
    told, out = scene.run(), scene.folder / "out"
    at, rows = coordinates(out), table(out)
    assert [row["id"] for row in rows] == [str(k) for k in range(150)]
    written = np.array([[float(row[name]) for name in "xyz"] for row in rows])
    np.testing.assert_allclose(written, at, rtol=1e-9)
    delta = scene.rows
    assert [row["nearest"] for row in rows] == [scene.ids[k] for k in delta.argmin(axis=1)]
    found = [float(row["distance"]) for row in rows]
    np.testing.assert_allclose(found, delta.min(axis=1), rtol=1e-9)
    outputs = {one["name"]: one for one in told["outputs"]}
    assert outputs["coordinates.npy"]["shape"] == [150, 3]
    assert "label" not in rows[0]
    with np.load(out / "shepard.npz") as sample:
        assert len(sample["delta"]) == len(sample["distance"]) == sample["pairs"] == 150 * 40
        np.testing.assert_allclose(np.sort(sample["delta"]), np.sort(delta.ravel()), rtol=1e-6)
    again = open_points(str(out))
    np.testing.assert_array_equal(load_rows(again.source(0, 150)), at)


def test_report__is_the_same_again_but_for_times(scene):
    scene.run()
    pages = [
        (scene.folder / "out" / "report.html").read_bytes(),
        interpolate.report(str(scene.folder / "out")),
    ]
    assert b"150 points placed among 40 landmarks" in pages[0]
    seen = [page.partition(b'data-of="places">')[2].partition(b"<")[0] for page in pages]
    assert len(seen[0]) > 190 * 12
    assert seen[0] == seen[1]


def test_rows_of_distances__are_as_good_as_points(scene):
    scene.run("points")
    scene.save("rows.npy", scene.rows)
    told = run(scene.folder / "rows.npy", scene.map, scene.folder / "rows")
    assert told["kind"] == "distances"
    points, rows = coordinates(scene.folder / "points"), coordinates(scene.folder / "rows")
    np.testing.assert_allclose(rows, points, atol=1e-6)


@pytest.mark.parametrize("n_far", [1, 15, 39])
@pytest.mark.parametrize("k", [1, 10])
def test_far_landmarks__are_added_to_the_nearest(scene, n_far, k):
    told = scene.run(n_far=n_far, k=k)
    job = prepare(
        scene.new, scene.map, "out", landmarks=str(scene.vectors), n_far=n_far, k=k
    )  # fmt: skip
    assert len(set(job.far)) == told["plan"]["n_far"] == n_far
    delta = scene.rows
    residuals = squares = 0.0
    for row, place in zip(delta, coordinates(scene.folder / "out"), strict=True):
        nearest = np.argsort(row, kind="stable")[:k].tolist()
        numbers = nearest + [j for j in job.far.tolist() if j not in nearest]
        expected = interpolation.place_block([numbers], [row[numbers]], scene.at)[0]
        np.testing.assert_allclose(place, expected, atol=1e-9)
        apart = np.linalg.norm(place - scene.at[numbers], axis=1)
        residuals += ((apart - row[numbers]) ** 2).sum()
        squares += (row[numbers] ** 2).sum()
    assert told["normalized_stress"] == pytest.approx(residuals / squares)


@pytest.mark.parametrize(("n", "expected"), [(3, 1000), (400_000, 500), (5_000_000, 100)])
def test_far_landmarks__are_fewer_of_very_many_points(scene, monkeypatch, n, expected):
    job = prepare(scene.new, scene.map, "out", landmarks=str(scene.vectors), n_far="auto")
    points = dataclasses.replace(job.new.points, n=n)
    job = dataclasses.replace(job, new=dataclasses.replace(job.new, points=points))
    assert job.usual_far == expected
    assert len(job.far) == 40


def test_all_landmarks__are_what_auto_means_for_few(scene):
    told = scene.run(n_far="auto")
    assert (told["plan"]["n_far"], told["config"]["n_far"]["value"]) == (40, 40)
    everything = np.broadcast_to(np.arange(40), (150, 40))
    expected = interpolation.place_block(everything, scene.rows, scene.at)
    np.testing.assert_allclose(coordinates(scene.folder / "out"), expected, atol=1e-4)
    assert told["normalized_stress"] == pytest.approx(told["sampled"]["normalized_stress"])
    assert told["normalized_stress"] < scene.run("near")["sampled"]["normalized_stress"] / 1.5


@pytest.mark.parametrize("n_far", [0, 20])
@pytest.mark.parametrize("block_size", [1, 7, 150, 1000])
def test_block_size__changes_no_place(scene, block_size, n_far):
    scene.run("one", k=4, n_far=n_far)
    told = scene.run("many", k=4, n_far=n_far, block_size=block_size)
    assert told["blocks"]["total"] == -(-150 // block_size)
    one, many = (result_bytes(scene.folder / name) for name in ("one", "many"))
    assert one.keys() == many.keys()
    for name in ("coordinates.npy", "coordinates.tsv"):
        assert one[name] == many[name]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_items_and_landmarks__are_placed(tmp_path, n, m):
    scene = Scene(tmp_path, n, m)
    told = scene.run()
    assert coordinates(tmp_path / "out").shape == (n, 3)
    assert (told["placed"], told["plan"]["k"]) == (n, m)
    assert f"--k 10 is more than the {m} landmark" in " ".join(told["warnings"])
    assert "cannot fix a place in 3 dimensions" in " ".join(told["warnings"])


def test_items__without_a_distance_are_nan_counted_and_told(scene):
    rows = scene.rows
    rows[[3, 149]] = np.nan
    rows[5, :38] = np.nan
    rows[7, 12] = 0.0
    scene.save("rows.npy", rows)
    told = run(scene.folder / "rows.npy", scene.map, scene.folder / "out")
    at = coordinates(scene.folder / "out")
    assert np.flatnonzero(np.isnan(at).any(axis=1)).tolist() == [3, 149]
    np.testing.assert_array_equal(at[7], scene.at[12])
    assert (told["unplaced"], told["placed"], told["on_landmark"]) == (2, 148, 1)
    assert "2 of 150 items (1.3 %) have no known distance to a landmark" in told["warnings"][0]
    lines = table(scene.folder / "out")
    assert (lines[3]["nearest"], lines[3]["distance"], lines[3]["x"]) == ("", "nan", "nan")
    assert (lines[7]["nearest"], lines[7]["distance"]) == ("landmark 12", "0")
    assert np.isfinite(told["normalized_stress"])


def test_nothing_known__leaves_no_stress(scene):
    scene.save("rows.npy", np.full((4, 40), np.nan))
    told = run(scene.folder / "rows.npy", scene.map, scene.folder / "out")
    assert (told["placed"], told["normalized_stress"]) == (0, None)
    assert json.loads((scene.folder / "out" / "run.json").read_text())["unplaced"] == 4


def test_too_few_steps__are_counted_and_told(scene):
    assert scene.run("enough")["not_converged"] == 0
    told = scene.run("few", max_iter=1)
    assert 100 < told["not_converged"] <= 150
    assert "has not converged; raise --max-iter or --tol" in told["warnings"][0]


def test_n_landmarks__are_drawn_by_the_seed(scene):
    job = scene.run("few", n_landmarks=8, random_state=3)
    assert (job["landmarks"]["n"], job["landmarks"]["of"]) == (8, 40)
    near = {row["nearest"] for row in table(scene.folder / "few")}
    assert len(near) == 8
    scene.run("again", n_landmarks=8, random_state=3)
    assert result_bytes(scene.folder / "few") == result_bytes(scene.folder / "again")
    scene.run("other", n_landmarks=8, random_state=4)
    assert {row["nearest"] for row in table(scene.folder / "other")} != near
    with pytest.raises(UsageProblem, match="--n-landmarks 41 is more than the 40 items"):
        scene.run("most", n_landmarks=41)


def test_labels__tell_of_the_nearest_landmark_on_the_map(scene):
    classes = ["left" if x < 0 else "right" for x in scene.at[:, 0]]
    own = ["left" if k % 3 else "right" for k in range(150)]
    rows = [f"{name}\t{label}" for name, label in zip(scene.ids, classes, strict=True)]
    rows += [f"{k}\t{label}" for k, label in enumerate(own) if k != 9]
    (scene.folder / "labels.tsv").write_text("\n".join(["id\tlabel", *rows, "who\tleft"]))
    told = scene.run(labels=str(scene.folder / "labels.tsv"))
    at = coordinates(scene.folder / "out")
    nearest = cdist(at, scene.at).argmin(axis=1)
    agree = [classes[k] == label for k, label in zip(nearest, own, strict=True)]
    del agree[9]
    assert told["labels"] == {"one_nn": np.mean(agree), "records": 149, "classes": 2}
    assert [row["label"] for row in table(scene.folder / "out")] == [*own[:9], "", *own[10:]]
    text = " ".join(told["warnings"])
    assert "1 of 150 new items have no label" in text
    assert "1 ids of the labels are neither new nor on the map" in text


def test_labels__of_the_map_are_those_it_keeps(scene):
    kept = [f"class {k % 4}" for k in range(40)]
    make_map(scene.folder / "labelled", scene.at, scene.ids, labels=kept)
    (scene.folder / "own.tsv").write_text("".join(f"{k}\tclass 1\n" for k in range(150)))
    options = {"landmarks": str(scene.vectors), "labels": str(scene.folder / "own.tsv")}
    told = run(scene.new, scene.folder / "labelled", scene.folder / "out", **options)
    nearest = cdist(coordinates(scene.folder / "out"), scene.at).argmin(axis=1)
    assert told["labels"]["one_nn"] == np.mean(nearest % 4 == 1)
    told = scene.run("none", labels=str(scene.folder / "own.tsv"))
    assert "labels" not in told
    assert "no label of the map's items is known" in " ".join(told["warnings"])


def test_freely_scaled_map__is_met_at_its_scale(scene):
    delta = np.random.default_rng(4).random(500)
    sample = {"delta": delta, "distance": 2.5 * delta}
    config = {"scaling": {"value": "ratio", "origin": "flag"}}
    make_map(scene.folder / "ratio", 2.5 * scene.at, scene.ids, shepard=sample, config=config)
    told = run(
        scene.new, scene.folder / "ratio", scene.folder / "out", landmarks=str(scene.vectors)
    )
    scene.run("plain")
    expected = 2.5 * coordinates(scene.folder / "plain")
    np.testing.assert_allclose(coordinates(scene.folder / "out"), expected, atol=1e-5)
    assert told["landmarks"]["scale"] == pytest.approx(2.5)
    assert "one of ratio scaling: distances are multiplied by 2.5" in " ".join(told["warnings"])


def test_many_items__are_written_without_a_table(scene, monkeypatch):
    monkeypatch.setattr(interpolate_plan, "TABLE_ROWS", 149)
    told = scene.run()
    assert "coordinates.tsv" not in {one["name"] for one in told["outputs"]}
    assert coordinates(scene.folder / "out").shape == (150, 3)
