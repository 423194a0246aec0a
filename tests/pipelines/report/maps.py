"""Small runs of mds, interpolate, cluster and sequences to report on."""

import base64
import gzip
import json

import numpy as np

from pipelines import report
from tests.pipelines.report.runs import iteration_rows, tasks


def families(n=200, k=6, d=3, seed=0):
    """(coordinates (n, d), clusters (n,) 1 .. k, the largest first): blobs of falling size."""
    draw = np.random.default_rng(seed)
    share = np.arange(k, 0, -1) / (k * (k + 1) / 2)
    clusters = np.sort(draw.choice(k, n, p=share)) + 1
    places = draw.normal(0, 3, (k, d))
    return places[clusters - 1] + draw.normal(0, 0.4, (n, d)), clusters


def distances_of(points):
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))


def stress_rows(count=40, runs=1, heat=0.0, ranks=2):
    """Rows of `runs` starts whose stress falls; heated for the first half."""
    rows = iteration_rows(count, ranks=ranks, runs=runs)
    for row in rows:
        at = row["iteration"]
        temperature = max(heat * (1 - 2 * at / count), 0.0)
        stress = 0.02 + 0.5 / (at + 1) + 0.01 * row["run"]
        row |= {"job": "guttman", "temperature": temperature, "normalized": stress}
        row |= {"stress": 1_000 * stress}
    return rows


def pairs(points, count=20_000, noise=0.05, seed=1):
    draw = np.random.default_rng(seed)
    n = len(points)
    i, j = draw.integers(0, max(n, 1), (2, count if n > 1 else 0))
    shown = np.sqrt(((points[i] - points[j]) ** 2).sum(axis=1))
    return {"delta": np.abs(shown + noise * draw.normal(0, 1, len(i))), "distance": shown}


def sampled(points, most=300):
    rows = np.arange(min(len(points), most))
    return {"rows": rows, "distances": distances_of(points[rows])}


def tree(points):
    from scipy.cluster.hierarchy import linkage

    return linkage(points, "average") if len(points) > 1 else np.zeros((0, 4))


def medoids(points, clusters):
    rows = []
    for cluster in np.unique(clusters).tolist():
        own = points[clusters == cluster]
        apart = np.linalg.norm(own - own.mean(axis=0), axis=1)
        rows.append({"cluster": cluster, "size": len(own), "medoid": f"seq{cluster}"})
        rows[-1] |= {"mean": float(apart.mean()), "max": float(apart.max())}
    return rows


RUN = {
    "schema": 1, "app": "mds", "status": "complete", "argv": ["whorl", "run", "mds", "out/swg"],
    "config": {"weights": {"value": "sammon", "origin": "option"},
               "n_init": {"value": 2, "origin": "option"}},
    "normalized_stress": 0.0321, "stress1": 0.1234, "stress": 4321.5, "n_iter": 40,
    "converged": True, "seconds": 3.2, "one_nn": 0.997, "phases": {"read": 1.0, "scale": 2.0},
    "silhouette": 0.7, "silhouettes": [0.9, 0.8, None, 0.2], "labels": {"ari": 0.97, "nmi": 0.96},
}  # fmt: skip


def columns(clusters, draw):
    n = len(clusters)
    label = [f"family {c}" if c % 5 else None for c in clusters]
    return {"cluster": clusters, "label": label, "length": draw.integers(60, 300, n)}


def mds(n=200, d=3, run=RUN, **changes):
    points, clusters = families(n, d=d)
    draw = np.random.default_rng(2)
    given = {
        "coordinates": points,
        "ids": [f"seq{i}" for i in range(n)],
        "columns": columns(clusters, draw),
        "shepard": pairs(points),
        "rows": stress_rows(heat=2.0),
        "sample": sampled(points) if n else None,
        "timeline": tasks(),
    }
    return report.mds_report(run, **(given | changes))


def cluster(n=200, run=RUN, **changes):
    points, clusters = families(n)
    given = {
        "ids": [f"seq{i}" for i in range(n)],
        "clusters": clusters,
        "linkage": tree(points),
        "medoids": medoids(points, clusters),
        "sample": sampled(points) if n else None,
        "coordinates": points,
    }
    return report.cluster_report(run, **(given | changes))


def interpolate(n=120, m=80, run=RUN, **changes):
    points, clusters = families(n + m)
    draw = np.random.default_rng(3)
    given = {
        "coordinates": points[m:],
        "ids": [f"new{i}" for i in range(n)],
        "landmarks": points[:m],
        "landmark_ids": [f"seq{i}" for i in range(m)],
        "columns": {"label": [f"family {c}" for c in clusters[m:]]},
        "landmark_columns": {"length": draw.integers(60, 300, m)},
        "nearest": draw.random(n),
        "stress": draw.random(n) ** 4,
    }
    return report.interpolate_report(run, **(given | changes))


def sequences(n=200, run=RUN, **changes):
    points, clusters = families(n)
    draw = np.random.default_rng(4)
    scaled = report.Scaled(
        shepard=pairs(points), rows=stress_rows(), linkage=tree(points),
        medoids=medoids(points, clusters), sample=sampled(points) if n else None,
        nearest=draw.random(n), stress=draw.random(n), timeline=tasks(),
    )  # fmt: skip
    given = {
        "coordinates": points,
        "ids": [f"seq{i}" for i in range(n)],
        "clusters": clusters,
        "lengths": draw.integers(60, 300, n),
        "labels": columns(clusters, draw)["label"],
        "counts": draw.geometric(0.3, n),
        "placed": np.arange(n) % 3 == 0,
        "scaled": scaled,
    }
    return report.sequences_report(run, **(given | changes))


MAKERS = {"mds": mds, "cluster": cluster, "interpolate": interpolate, "sequences": sequences}


class View:
    """What a page gives its viewer, taken apart."""

    def __init__(self, page: bytes):
        text = page.decode()
        blocks = [text.split(f'data-of="{name}">')[1].split("</script>")[0]
                  for name in ("told", "places", "columns")]  # fmt: skip
        self.told = json.loads(blocks[0])
        self.places = np.frombuffer(base64.b64decode(blocks[1]), "<f4").reshape(-1, 3)
        self.rest = json.loads(gzip.decompress(base64.b64decode(blocks[2])))
        self.columns = {column["name"]: column for column in self.rest["columns"]}
