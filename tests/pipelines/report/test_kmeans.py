import numpy as np
import pytest

from tests.pipelines.report.runs import RUN, blobs, iteration_rows, report, tasks
from tests.pipelines.report.samples import Page
from tests.pipelines.report.test_figures import decoded

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", "\"'&\u202e", None]
ELBOW = [{"k": k, "inertia": 900.0 / k, "silhouette": None} for k in range(2, 9)]


def words(page):
    return " ".join("".join(Page(page).text).split())


def cells(page, title):
    """Texts of the rows of a folded table, as a reader without JavaScript sees them."""
    text = page.decode().split(f"<summary>{title}</summary>")[1].split("</tbody>")[0]
    rows = text.replace("</td>", " </td>").split("<tbody>")[1].split("<tr>")[1:]
    return ["".join(Page(row.encode()).text).split() for row in rows]


def test_kmeans_report__headline_tells_the_result_in_numbers():
    text = words(report())
    for number in (
        "120 points in 4 clusters",
        "K-means in 3 dimensions · start k-means++",
        "8.9176×10¹²",
        "converged",
        "0.610",
        "0.913",
        "0.934",
        "0.997",
        "2.4 s",
    ):
        assert number in text


def test_kmeans_report__draws_its_figures():
    page = Page(report(elbow=ELBOW))
    assert sorted(page.drawings) == [
        "clusters", "elbow-inertia", "executing", "first-later", "inertia", "labels", "movement",
        "overhead", "silhouettes", "sizes", "task-times", "timeline",
    ]  # fmt: skip


def test_kmeans_report__every_figure_has_a_still_picture():
    page = report(elbow=ELBOW)
    assert page.count(b'<div class="still"><svg') == len(Page(page).drawings)


def test_kmeans_report__points_keep_their_row_and_cluster():
    points, clusters, _ = blobs(60, 2, 3)
    chosen = np.arange(60) * 7
    drawing = Page(report(60, 2, 3, labels=False, sample_rows=chosen)).drawings["clusters"]
    row, cluster = (column["values"] for column in drawing["tips"]["columns"][0])
    place = np.array(row) // 7
    assert sorted(place.tolist()) == list(range(60))
    assert place.tolist() != list(range(60))  # mixed
    assert cluster == clusters[place].tolist()
    cloud = drawing["graph"]["data"][0]
    np.testing.assert_allclose(decoded(cloud["x"]), points[place, 0], rtol=1e-6)
    np.testing.assert_allclose(decoded(cloud["y"]), points[place, 1], rtol=1e-6)
    assert decoded(cloud["marker"]["color"]).tolist() == cluster


def test_kmeans_report__hostile_labels_stay_text():
    labels = [HOSTILE[n % 4] for n in range(120)]
    page = report(true_labels_sample=labels)
    tags = [tag for tag, _ in Page(page).elements]
    assert tags.count("script") == 3
    assert "img" not in tags
    texts = Page(page).drawings["clusters"]["tips"]["columns"][0][2]["texts"]
    assert any("<img src=x" in text for text in texts)


def test_kmeans_report__label_takes_the_colour_of_its_cluster():
    page = Page(report())
    by_cluster, by_label = (
        page.drawings[name]["graph"]["data"][0] for name in ("clusters", "labels")
    )

    def painted(trace):
        steps = trace["marker"]["colorscale"][::2]
        return [steps[code][1] for code in decoded(trace["marker"]["color"]).tolist()]

    assert painted(by_label) == painted(by_cluster)


@pytest.mark.parametrize(
    ("n", "d", "k"), [(1, 1, 1), (1, 5, 1), (2, 2, 2), (30, 4, 30), (40, 1, 3)]
)
def test_kmeans_report__of_few_points(n, d, k):
    page = Page(report(n, d, k, run={}, rows=iteration_rows(1)))
    assert "clusters" in page.drawings


def test_kmeans_report__knows_only_its_arguments_when_run_is_empty():
    text = words(report(run={}, labels=False, timeline=[], rows=[]))
    assert "120 points in 4 clusters" in text
    assert "The run left no times." in text
    assert "The run left no record of its iterations." in text


@pytest.mark.parametrize(
    "junk",
    [None, "x", 3, [], {}, [1], [{}], {"a": None}, [{"k": None}], [None], {"mean": "x"}],
)
def test_kmeans_report__is_tolerant_of_what_run_json_holds(junk):
    run = dict.fromkeys(RUN, junk) | {"warnings": [], "checkpoints": junk, "executor": junk}
    rows = [{"iteration": 0}, {"seconds": "x", "inertia": None}, {"started": 1.0, "stopped": 2.0}]
    assert b"<h1>120 points in 4 clusters</h1>" in report(run=run | {"n": None}, rows=rows)


def test_kmeans_report__without_points_says_so():
    empty = {"points_sample": np.zeros((0, 3)), "labels_sample": np.zeros(0, int)}
    page = report(run={}, labels=False, sizes=[0, 0, 0, 0], **empty)
    assert "There are no points to show." in words(page)


def test_kmeans_report__warns_of_what_the_run_did_not():
    unfinished = {"n": 120, "converged": False}
    sizes = [60, 60, 0, 0]
    text = words(report(run=unfinished, sizes=sizes))
    assert "2 warnings" in text
    assert "stopped before they converged" in text
    assert "2 clusters have no points" in text
    told = unfinished | {"warnings": ["not converged after 3 iterations", "2 empty clusters"]}
    assert "stopped before they converged" not in words(report(run=told, sizes=sizes))
    assert b'class="warnings"' not in report()


def test_kmeans_report__best_of_restarts_is_bold_and_the_rest_thin():
    page = report(rows=iteration_rows(5, runs=3))
    drawing = Page(page).drawings["inertia"]
    widths = [trace["line"]["width"] for trace in drawing["graph"]["data"]]
    assert widths == [1, 1, 2.6]
    assert decoded(drawing["graph"]["data"][-1]["y"])[0] == 900  # run 0 has the lowest inertia
    assert [row[0] for row in cells(page, "Runs")] == ["0", "1", "2"]
    kept = report(run=RUN | {"best_run": 1}, rows=iteration_rows(5, runs=3))
    assert decoded(Page(kept).drawings["inertia"]["graph"]["data"][-1]["y"])[0] == 901


def test_kmeans_report__inertia_is_of_the_runs_with_the_chosen_number_of_clusters():
    rows = iteration_rows(5, runs=6)
    for row in rows:
        row["n_clusters"] = 2 + row["run"] // 2
    page = Page(report(run=RUN | {"best_run": 1}, rows=rows))
    inertia = [decoded(trace["y"])[0] for trace in page.drawings["inertia"]["graph"]["data"]]
    assert inertia == [904, 905]  # runs 4 and 5 of all
    assert decoded(page.drawings["overhead"]["graph"]["data"][0]["x"]).max() == 30


def test_kmeans_report__timeline_shows_iterations_that_no_task_holds():
    names = ["<b>a", "b"]
    run = RUN | {"workers": [{"name": name} for name in names]}
    for kind, n_bars in (("load", 8), ("chunk", 6)):
        timeline = [task | {"worker": "b"} for task in tasks(6, kind)]
        drawing = Page(report(run=run, timeline=timeline)).drawings["timeline"]
        assert sum(map(len, drawing["tips"]["texts"])) == n_bars


def test_kmeans_report__near_1_is_not_told_as_1():
    text = words(report(run=RUN | {"labels": {"ari": 0.99996, "nmi": 1.0, "one_nn": 0.9996}}))
    assert "adjusted Rand index0.99996clusters" in text
    assert "mutual information1.000normalised" in text


def test_kmeans_report__tables_hold_the_numbers_of_the_figures():
    points, clusters, centroids = blobs()
    page = report()
    sizes = np.bincount(clusters, minlength=4)
    rows = cells(page, "Clusters in numbers")
    assert [int(row[1]) for row in rows] == sorted(sizes.tolist(), reverse=True)
    largest = int(rows[0][0])
    apart = np.linalg.norm(centroids - centroids[largest], axis=1)
    apart[largest] = np.inf
    assert (int(rows[0][5]), float(rows[0][6])) == (
        apart.argmin(),
        pytest.approx(apart.min(), 1e-3),
    )
    of = clusters == largest
    typical = np.sqrt(((points[of] - centroids[largest]) ** 2).sum(axis=1).mean())
    assert float(rows[0][4]) == pytest.approx(typical, rel=1e-3)
    against = cells(page, "Clusters against labels")
    assert sum(int(x) for row in against for x in row[1:-2] if x != "·") == 120


def test_kmeans_report__elbow_marks_the_chosen_number():
    layout = Page(report(elbow=ELBOW)).drawings["elbow-inertia"]["graph"]["layout"]
    assert [shape["x0"] for shape in layout["shapes"]] == [4.0]
    assert (
        "shapes" not in Page(report(elbow=ELBOW[4:])).drawings["elbow-inertia"]["graph"]["layout"]
    )


def test_kmeans_report__same_arguments_same_bytes():
    assert report() == report()
    assert report() != report(random_state=1)


def test_kmeans_report__of_500_clusters_repeats_colours_far_apart():
    page = Page(report(3_000, 2, 500, run={}, labels=False))
    drawing = page.drawings["clusters"]
    colour = decoded(drawing["graph"]["data"][0]["marker"]["color"])
    assert len(np.unique(colour)) == 12
    assert drawing["graph"]["data"][1]["mode"] == "markers"
    assert "Colours repeat" in "".join(page.text)


@pytest.mark.slow
def test_kmeans_report__at_its_fullest_stays_under_6_mb():
    n, k = 20_000, 500
    points, clusters, centroids = blobs(n, 8, k)
    draw = np.random.default_rng(0)
    rows = iteration_rows(300, ranks=8, runs=100)
    timeline = [task | {"worker": f"w-{n % 64}"} for n, task in enumerate(tasks(5_000))]
    page = report(
        n, 8, k,
        points_sample=points, labels_sample=clusters, centroids=centroids, rows=rows,
        true_labels_sample=[f"{'名' * 500}{c}" for c in draw.integers(0, 5_000, n)],
        timeline=timeline, sample_rows=np.arange(n) + 10**9,
        elbow=[{"k": k, "inertia": 1.0 / k, "silhouette": 0.5} for k in range(2, 1_000)],
    )  # fmt: skip
    assert len(page) <= 6_000_000
