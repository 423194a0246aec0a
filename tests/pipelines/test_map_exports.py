"""Maps and clusters in other programs' forms, read back by what reads them."""

import io
import sys
import types
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from skbio import OrdinationResults, TreeNode

from pipelines.errors import DamagedResult, UsageProblem
from pipelines.exports import export
from pipelines.formats.arrays import npy_bytes
from pipelines.map_exports import in_three
from tests.pipelines.cluster_runs import run, save, square, table
from tests.pipelines.result_folders import create, make_result, symmetric

IDS = ['<a href="x">', "R&D", "it's", "]]>", "ü\u2028b\x00", *(f"s{k}" for k in range(15))]
SHOWN = ["ü  b " if name.startswith("ü") else name for name in IDS]


def places(d=3, n=20):
    return np.random.default_rng(d).normal(size=(n, d))


def make_map(url, x, *, columns=None, table=True):
    """A finished result with coordinates, as run mds and run interpolate make them."""
    n, d = x.shape
    axes = list("xyz"[:d]) if d <= 3 else [f"x{k + 1}" for k in range(d)]
    lines = ["\t".join(["id", *axes, *(columns or {})])]
    for k in range(n):
        more = [values[k] for values in (columns or {}).values()]
        lines.append("\t".join([SHOWN[k], *map(repr, x[k].tolist()), *more]))
    ids = "index\tid\n" + "".join(f"{k}\t{SHOWN[k]}\n" for k in range(n))
    files = {"coordinates.npy": npy_bytes(x), "ids.tsv": ids.encode(), "report.html": b"<html>"}
    files |= {"coordinates.tsv": ("\n".join(lines) + "\n").encode()} if table else {}
    with create(url, app="mds") as results:
        results.finish({"stress1": 0.25}, files)
    return str(url)


def written(tmp_path, url, form):
    path = tmp_path / f"map.{form}"
    done = export(url, form, str(path))
    assert (done.form, done.nbytes, done.missing_pairs) == (form, path.stat().st_size, 0)
    return path, done.left_out


def points_of(path):
    """(clusters {key: (label, colour)}, points [(label, cluster key, place)]) of a PlotViz file."""
    root = ElementTree.parse(path).getroot()
    assert [child.tag for child in root] == ["plot", "clusters", "points"]
    clusters = {
        one.find("key").text: (one.find("label").text, one.find("color").attrib)
        for one in root.find("clusters")
    }
    points = []
    for k, one in enumerate(root.find("points")):
        assert one.find("key").text == str(k)
        place = [float(one.find("location").attrib[axis]) for axis in "xyz"]
        points.append((one.find("label").text, one.find("clusterkey").text, place))
    return clusters, points


@pytest.mark.parametrize("d", [1, 2, 3])
def test_plotviz__is_xml_with_all_points(tmp_path, d):
    path, left_out = written(tmp_path, make_map(tmp_path / "out", places(d)), "plotviz")
    clusters, points = points_of(path)
    assert left_out == 0
    assert [label for label, _, _ in points] == SHOWN
    found = np.array([place for *_, place in points])
    np.testing.assert_array_equal(found[:, :d], places(d))
    assert (found[:, d:] == 0).all()
    assert [label for label, _ in clusters.values()] == ["all"]


def test_plotviz__has_three_principal_dimensions(tmp_path):
    flat = np.zeros((20, 5))
    flat[:, [0, 2, 4]] = places(3)
    path, _ = written(tmp_path, make_map(tmp_path / "out", flat), "plotviz")
    found = np.array([place for *_, place in points_of(path)[1]])
    np.testing.assert_allclose(pdist(found), pdist(flat), rtol=1e-9)
    assert in_three(np.zeros((0, 5))).shape == (0, 3)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({"label": ["<b>"] * 9 + [""] * 11}, ["label <b>", "no label"]),
        ({"cluster": ["10"] * 5 + ["2"] * 15, "label": ["x"] * 20}, ["cluster 2", "cluster 10"]),
    ],
)
def test_plotviz__colours_by_cluster_else_by_label(tmp_path, columns, names):
    url = make_map(tmp_path / "out", places(), columns=columns)
    clusters, points = points_of(written(tmp_path, url, "plotviz")[0])
    assert [label for label, _ in clusters.values()] == names
    assert len({tuple(sorted(colour.items())) for _, colour in clusters.values()}) == len(names)
    column, values = next(iter(columns.items()))
    for (_, key, _), value in zip(points, values, strict=True):
        assert clusters[key][0] == (f"{column} {value}" if value else f"no {column}")


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 20])
def test_ordination__is_read_by_scikit_bio(tmp_path, n, d):
    path, _ = written(tmp_path, make_map(tmp_path / "out", places(d, n)), "ordination")
    found = OrdinationResults.read(str(path), format="ordination")
    np.testing.assert_array_equal(found.samples.values, places(d, n))
    assert list(found.samples.index) == SHOWN[:n]
    centred = places(d, n) - places(d, n).mean(axis=0)
    np.testing.assert_allclose(found.eigvals.values, (centred**2).sum(axis=0), atol=1e-12)
    assert found.proportion_explained.sum() == pytest.approx(1 if n > 1 else 0)


@pytest.mark.parametrize("form", ["plotviz", "ordination"])
def test_items_without_a_place__are_left_out(tmp_path, form):
    x = places()
    x[[3, 17], 1] = np.nan
    path, left_out = written(tmp_path, make_map(tmp_path / "out", x), form)
    assert left_out == 2
    assert path.read_text().count("s7") == 1  # of the others
    assert SHOWN[3].replace(">", "&gt;") not in path.read_text()


def test_tables__are_those_of_the_result(tmp_path):
    url = make_map(tmp_path / "out", places())
    assert written(tmp_path, url, "tsv")[0].read_bytes() == (
        (tmp_path / "out/coordinates.tsv").read_bytes()
    )
    np.testing.assert_array_equal(np.load(written(tmp_path, url, "npy")[0]), places())


@pytest.mark.parametrize("d", [2, 5])
def test_table__is_made_where_the_result_has_none(tmp_path, d):
    with_table = make_map(tmp_path / "a", places(d))
    without = make_map(tmp_path / "b", places(d), table=False)
    export(with_table, "tsv", str(tmp_path / "a.tsv"))
    export(without, "tsv", str(tmp_path / "b.tsv"))
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()


def test_anndata__is_asked_for_where_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(UsageProblem, match="needs the package anndata") as caught:
        written(tmp_path, make_map(tmp_path / "out", places()), "anndata")
    assert caught.value.remedy == "pip install 'whorl[anndata]'"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_anndata__gets_coordinates_ids_and_columns(tmp_path, monkeypatch):
    class Written:
        def __init__(self, **given):
            self.given = given

        def write_h5ad(self, path):
            with open(path, "wb") as file:
                np.save(file, self.given["obsm"]["X_mds"])
            made.append(self.given)

    made = []
    monkeypatch.setitem(sys.modules, "anndata", types.SimpleNamespace(AnnData=Written))
    url = make_map(tmp_path / "out", places(), columns={"cluster": ["1"] * 20})
    path, _ = written(tmp_path, url, "anndata")
    np.testing.assert_array_equal(np.load(io.BytesIO(path.read_bytes())), places())
    assert list(made[0]["obs"].index) == SHOWN
    assert made[0]["obs"]["cluster"].tolist() == ["1"] * 20
    assert (made[0]["uns"]["whorl"]["app"], made[0]["uns"]["whorl"]["stress1"]) == ("mds", 0.25)


def test_anndata__is_read_back(tmp_path):
    anndata = pytest.importorskip("anndata", reason="the extra anndata is not installed")
    url = make_map(tmp_path / "out", places(), columns={"label": ["a"] * 19 + [""]})
    found = anndata.read_h5ad(written(tmp_path, url, "anndata")[0])
    np.testing.assert_array_equal(found.obsm["X_mds"], places())
    assert list(found.obs_names) == SHOWN


def test_clusters__are_a_tree_and_a_table(tmp_path):
    path = save(tmp_path / "d.npy", square(30)[0])
    run(path, tmp_path / "out", n_clusters=3)
    tree, _ = written(tmp_path, str(tmp_path / "out"), "newick")
    names = {tip.name for tip in TreeNode.read(str(tree), format="newick").tips()}
    assert names == {str(k) for k in range(30)}
    tsv, _ = written(tmp_path, str(tmp_path / "out"), "tsv")
    assert tsv.read_bytes() == (tmp_path / "out/clusters.tsv").read_bytes()
    assert len(table(tmp_path / "out", "clusters.tsv")) == 30


def test_run_of_several_applications__has_the_forms_of_its_stages(tmp_path):
    make_map(tmp_path / "whole", places())
    run(save(tmp_path / "d.npy", squareform(pdist(places()))), tmp_path / "whole/clusters")
    make_result(tmp_path / "whole/distances", symmetric(20))
    for form in ("plotviz", "newick", "lsmat"):
        written(tmp_path, str(tmp_path / "whole"), form)
    assert (tmp_path / "map.newick").read_bytes() == (
        (tmp_path / "whole/clusters/dendrogram.nwk").read_bytes()
    )


@pytest.mark.parametrize(
    ("form", "text", "remedy"),
    [
        ("lsmat", "lsmat is for distances; .* holds a map", "tsv, npy, plotviz, ordination or"),
        ("newick", "newick is for clusters of distances; .* holds a map", "Use --to tsv, npy"),
        ("nexus", '"nexus" is not a form', None),
    ],
)
def test_form_that_a_map_does_not_have__is_refused(tmp_path, form, text, remedy):
    url = make_map(tmp_path / "out", places())
    with pytest.raises(UsageProblem, match=text) as caught:
        export(url, form, str(tmp_path / "file"))
    assert remedy is None or remedy in caught.value.remedy


def test_plotviz_of_distances__is_refused(tmp_path):
    make_result(tmp_path / "out", symmetric(9))
    with pytest.raises(UsageProblem, match=r"plotviz is for maps; .* holds distances"):
        export(str(tmp_path / "out"), "plotviz", str(tmp_path / "file"))


def test_unfinished_map__is_refused(tmp_path):
    url = make_map(tmp_path / "out", places())
    (tmp_path / "out/run.json").unlink()
    with pytest.raises(DamagedResult, match=r"run\.json is missing"):
        export(url, "plotviz", str(tmp_path / "file"))
