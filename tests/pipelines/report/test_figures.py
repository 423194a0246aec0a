import base64
import zlib
from itertools import pairwise

import numpy as np
import pytest

from pipelines.report import colours, figures
from pipelines.report.figures import bars, block_mean, cell_edges, heat_map, typed
from tests.pipelines.report.samples import families


def decoded(graph):
    values = np.frombuffer(base64.b64decode(graph["bdata"]), "<" + graph["dtype"])
    return values.reshape([int(side) for side in graph.get("shape", str(len(values))).split(",")])


def test_typed__keeps_numbers_and_gaps():
    values = np.array([[0.5, np.nan], [1.0, 0.0]])
    np.testing.assert_array_equal(decoded(typed(values)), values.astype(np.float32))
    np.testing.assert_array_equal(decoded(typed(np.arange(5))), np.arange(5))


@pytest.mark.parametrize("k", [0, 1, 499, 500, 501, 2000])
def test_cell_edges__cover_all_records_in_at_most_500_cells(k):
    edges = cell_edges(k)
    assert (edges[0], edges[-1]) == (0, k)
    assert len(edges) - 1 == min(k, 500)
    assert (np.diff(edges) > 0).all()


def test_block_mean__is_the_mean_of_present_pairs_off_the_diagonal():
    distances, _ = families(23)
    distances[2, 9] = distances[9, 2] = np.nan
    edges = np.array([0, 4, 5, 12, 23])
    off = np.where(np.eye(23, dtype=bool), np.nan, distances)
    naive = [
        [
            np.nanmean(off[a:b, c:d]) if (a, b) != (4, 5) or (c, d) != (4, 5) else 0
            for c, d in pairwise(edges)
        ]
        for a, b in pairwise(edges)
    ]
    np.testing.assert_allclose(block_mean(distances, edges), naive, rtol=1e-5)


def test_block_mean__of_missing_pairs_is_missing():
    distances, _ = families(10)
    distances[:5, 5:] = distances[5:, :5] = np.nan
    mean = block_mean(distances, np.array([0, 5, 10]))
    assert np.isnan(mean).tolist() == [[False, True], [True, False]]


def test_heat_map__draws_the_matrix_as_given():
    distances, _ = families(12)
    part = heat_map("m", "Map", distances, list("abcdefghijkl"), None, summary="")
    np.testing.assert_allclose(decoded(part.graph["data"][0]["z"]), distances, atol=1e-4)
    assert part.tips["cells"] == list("abcdefghijkl")


def test_heat_map__cuts_ids_at_the_pointer():
    distances, _ = families(3)
    part = heat_map("m", "Map", distances, ["x" * 10_000, "a", "b"], None, summary="")
    assert max(map(len, part.tips["cells"])) <= 60


def test_heat_map__strip_shows_the_label_of_most_records_in_a_cell(monkeypatch):
    monkeypatch.setattr(figures, "MOST_CELLS", 2)
    distances, _ = families(6)
    labels = colours.LabelColours(["a", "a", "b", "b", "b", "a"])
    part = heat_map("m", "Map", distances, list("123456"), labels, summary="")
    strip = decoded(part.graph["data"][1]["z"]).ravel().astype(int)
    assert [labels.entries[code][1] for code in strip] == ["a", "b"]
    assert part.tips["cells"] == ["1 … 3 (3 records) · a", "4 … 6 (3 records) · b"]


def test_heat_map__still_is_the_same_picture():
    distances, _ = families(4)
    part = heat_map("m", "Map", distances, list("abcd"), None, summary="")
    data = base64.b64decode(part.still.removeprefix("data:image/png;base64,"))
    start = data.index(b"IDAT") + 4
    side = int.from_bytes(data[16:20], "big")
    lines = np.frombuffer(zlib.decompressobj().decompress(data[start:]), np.uint8)
    pixels = lines.reshape(side, side + 1)[:: side // 4, 1 :: side // 4]
    np.testing.assert_array_equal(pixels, np.rint(distances * 63))


def test_bars__places_and_counts_survive():
    left, width, counts = np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([3, 4])
    part = bars(
        "b",
        "B",
        left,
        width,
        counts,
        summary="",
        tips=["", ""],
        x_title="x",
        ticks=([0, 1], ["0", "1"]),
        marked=[1],
    )
    trace = part.graph["data"][0]
    np.testing.assert_array_equal(decoded(trace["x"]), [0.5, 2.0])
    np.testing.assert_array_equal(decoded(trace["y"]), counts)
    assert trace["marker"]["color"] == ["--accent", "--second"]


def test_label_colours__rare_labels_share_a_grey():
    labels = [f"l{k:02d}" for k in range(12) for _ in range(20 - k)] + [None]
    found = colours.LabelColours(labels)
    assert [entry[1] for entry in found.entries[:9]] == [f"l{k:02d}" for k in range(9)]
    assert [entry[0] for entry in found.entries[9:]] == [colours.OTHER, colours.UNLABELLED]
    assert sum(entry[2] for entry in found.entries) == len(labels)
    np.testing.assert_array_equal(np.bincount(found.codes), [e[2] for e in found.entries])


def test_scale__lightness_rises_evenly_from_near_to_far():
    linear = (np.array(colours.NEAR_TO_FAR) / 255) ** 2.2 @ [0.2126, 0.7152, 0.0722]
    steps = np.diff(116 * np.cbrt(linear))  # CIE lightness
    assert (steps > 0).all()
    assert steps.max() < 3 * steps.min()
