"""What `run interpolate` takes and refuses: formats, names, maps, landmarks."""

import gzip
import json

import numpy as np
import pytest
import zarr

from pipelines.errors import DamagedResult, InputProblem, UsageProblem
from pipelines.formats.points import open_points
from pipelines.results import read_run
from tests.pipelines.interpolate_runs import (
    Scene,
    coordinates,
    make_map,
    run,
    table,
)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_no_items__are_refused(scene):
    scene.save("none.npy", np.empty((0, 5)))
    with pytest.raises(InputProblem, match=r"none\.npy has no rows"):
        run(scene.folder / "none.npy", scene.map, scene.folder / "out", landmarks="landmarks.npy")


@pytest.mark.parametrize("packed", ["rows.tsv", "rows.tsv.gz", "rows.npz", "rows.zarr"])
def test_missing_distances__may_stand_in_any_format(scene, packed):
    rows = scene.rows
    rows[4], rows[100, 7], rows[9, :20] = np.nan, np.nan, np.nan
    scene.save("plain.npy", rows)
    path = scene.folder / packed
    if packed.endswith(".npz"):
        np.savez_compressed(path, distances=rows)
    elif packed.endswith(".zarr"):
        zarr.save(str(path), rows)
    else:
        words = iter(["NaN", "", "NA", *["nan"] * 60])
        lines = ["\t".join(next(words) if x != x else repr(x) for x in r) for r in rows.tolist()]
        data = ("\n".join(lines) + "\n").encode()
        path.write_bytes(gzip.compress(data) if packed.endswith(".gz") else data)
    run(path, scene.map, scene.folder / "out", block_size=40)
    run(scene.folder / "plain.npy", scene.map, scene.folder / "plain")
    found, plain = (coordinates(scene.folder / name) for name in ("out", "plain"))
    np.testing.assert_array_equal(found, plain)
    assert np.isnan(found).any(axis=1).sum() == 1


def test_columns__are_taken_by_their_names(scene):
    order = np.random.default_rng(1).permutation(40)
    names = [scene.ids[k] for k in order]
    rows = [f"new {k}\t" + "\t".join(map(repr, line[order].tolist()))
            for k, line in enumerate(scene.rows)]  # fmt: skip
    (scene.folder / "rows.tsv").write_text("\n".join(["\t".join(["id", *names]), *rows]))
    told = run(scene.folder / "rows.tsv", scene.map, scene.folder / "out")
    scene.save("rows.npy", scene.rows)
    run(scene.folder / "rows.npy", scene.map, scene.folder / "plain")
    found, plain = (coordinates(scene.folder / name) for name in ("out", "plain"))
    np.testing.assert_array_equal(found, plain)
    assert told["plan"]["items"] == 150
    assert table(scene.folder / "out", "ids.tsv")[2] == {"index": "2", "id": "new 2"}
    assert open_points(str(scene.folder / "out")).ids[149] == "new 149"


def test_landmarks__in_another_order_are_found_by_their_ids(scene):
    order = np.random.default_rng(1).permutation(40)
    lines = ["\t".join([scene.ids[k], *map(repr, scene.landmarks[k].tolist())]) for k in order]
    (scene.folder / "vectors.tsv").write_text("\n".join(["id\ta\tb\tc\td\te", *lines]))
    scene.run("out", landmarks=str(scene.folder / "vectors.tsv"))
    scene.run("plain")
    found, plain = (coordinates(scene.folder / name) for name in ("out", "plain"))
    np.testing.assert_array_equal(found, plain)


def test_compressed_points__are_read_once_and_placed(scene):
    np.savez_compressed(scene.folder / "new.npz", points=scene.points)
    options = {"landmarks": str(scene.vectors), "block_size": 40}
    run(scene.folder / "new.npz", scene.map, scene.folder / "out", **options)
    scene.run("plain")
    found, plain = (coordinates(scene.folder / name) for name in ("out", "plain"))
    np.testing.assert_array_equal(found, plain)


def test_coordinates_alone__are_a_map_too(scene):
    scene.save("at.npy", scene.at)
    options = {"landmarks": str(scene.vectors)}
    told = run(scene.new, scene.folder / "at.npy", scene.folder / "out", **options)
    assert "normalized_stress" not in told["landmarks"]
    assert table(scene.folder / "out")[0]["nearest"].isdecimal()


def test_map_of_run_sequences__is_that_of_its_stage(scene):
    whole = scene.folder / "whole"
    whole.mkdir()
    make_map(whole / "map", scene.at, scene.ids)
    run_json = read_run(str(whole / "map")) | {"app": "sequences"}
    (whole / "run.json").write_text(json.dumps(run_json))
    told = run(scene.new, whole, scene.folder / "out", landmarks=str(scene.vectors))
    assert told["landmarks"]["url"] == f"{whole}/map"


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"landmarks": None}, InputProblem, r"new\.npy has 5 columns, .*map 40 items"),
        ({"landmarks": None, "kind": "points"}, UsageProblem, "vectors of the map's items are not"),
        ({"kind": "distances"}, UsageProblem, "--landmarks is for sequences and points"),
        ({"landmarks": "few.npy"}, InputProblem, "holds 39 points, .* 40 items"),
        ({"landmarks": "narrow.npy"}, InputProblem, r"has 5 columns, --landmarks .* 4\."),
        ({"landmarks": "named.tsv"}, InputProblem, 'has no row "landmark 0" of'),
        ({"executor": "gang"}, UsageProblem, "new items are placed once each"),
    ],
)
def test_wrong_options__are_refused_in_one_line(scene, change, error, text):
    scene.save("few.npy", scene.landmarks[:39])
    scene.save("narrow.npy", scene.landmarks[:, :4])
    lines = "".join(f"other {k}\t1\t2\t3\t4\t5\n" for k in range(40))
    (scene.folder / "named.tsv").write_text(lines)
    if change.get("landmarks"):
        change = change | {"landmarks": str(scene.folder / change["landmarks"])}
    with pytest.raises(error, match=text):
        scene.run(**change)
    assert not (scene.folder / "out").exists()


@pytest.mark.parametrize("value", [-0.5, np.inf])
def test_impossible_distance__is_refused_with_its_place(scene, value):
    rows = scene.rows
    rows[60, 31] = value
    scene.save("rows.npy", rows)
    with pytest.raises(InputProblem, match=r"rows\.npy: row 60, column 31 \(counted from 0\) is"):
        run(scene.folder / "rows.npy", scene.map, scene.folder / "out", block_size=50)


def test_map__that_is_none_is_refused(scene):
    with pytest.raises(UsageProblem, match=r"nowhere does not exist"):
        run(scene.new, scene.folder / "nowhere", scene.folder / "out")
    (scene.map / ".work").mkdir()
    told = json.loads((scene.map / "run.json").read_text()) | {"status": "running"}
    (scene.map / ".work" / "run.json").write_text(json.dumps(told))
    (scene.map / "run.json").unlink()
    with pytest.raises(DamagedResult, match="map is unfinished"):
        run(scene.new, scene.map, scene.folder / "out", landmarks=str(scene.vectors))
