"""Placed sequences on maps of others: as near their own families as if all had been mapped."""

from pathlib import Path

import numpy as np
import pytest

from kernels import mds as kernel
from pipelines import mds
from pipelines.cluster_quality import one_nn
from pipelines.formats.distances import open_distances
from pipelines.formats.labels import coded, read_labels
from pipelines.generate import write_sequences
from tests.pipelines import interpolate_runs, iterative_runs, swg_runs
from tests.pipelines.open_sets import FAMILIES, families, ten_genera


def placed_and_mapped(fasta, labels, folder, every=2):
    """Shares of sequences whose nearest neighbour has their label: of those that are placed onto a
    map of each second one, and of all on a map of all."""
    swg_runs.run(fasta, folder / "all")
    matrix = open_distances(str(folder / "all"))
    whole = kernel.smacof(matrix.rows(0, matrix.n), n_components=3, random_state=1)[0]
    known = coded(read_labels(labels, matrix.ids))[1]
    some, rest = split(fasta, folder, every)
    swg_runs.run(some, folder / "swg")
    iterative_runs.run(mds, str(folder / "swg"), folder / "map", block_size="auto", labels=labels)
    told = interpolate_runs.run(
        rest, folder / "map", folder / "placed", labels=labels, n_far="auto"
    )  # fmt: skip
    return told, one_nn(whole, known)


def split(fasta, folder, every):
    """Two FASTA files: one in `every` records, and the others."""
    texts = Path(fasta).read_text().split(">")[1:]
    paths = folder / "some.fasta", folder / "rest.fasta"
    for path, chosen in zip(paths, (True, False), strict=True):
        kept = [text for k, text in enumerate(texts) if (k % every == 0) == chosen]
        path.write_text("".join(f">{text}" for text in kept))
    return paths


def test_generated_families__are_kept(tmp_path):
    fasta, labels = write_sequences(
        str(tmp_path / "seqs.fasta"), 90, alphabet="protein", length=80, classes=3, random_state=4
    )  # fmt: skip
    told, whole = placed_and_mapped(fasta, labels, tmp_path)
    assert told["labels"]["records"] == 45
    assert told["labels"]["one_nn"] >= whole - 0.02
    assert told["sampled"]["normalized_stress"] < 1.5 * told["landmarks"]["normalized_stress"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_open_families__are_kept(name, tmp_path):
    fasta, labels = families(name)
    told, whole = placed_and_mapped(fasta, labels, tmp_path)
    assert told["labels"]["one_nn"] >= max(0.99, whole - 0.02)


@pytest.mark.slow
def test_genera__are_kept(tmp_path):
    fasta, labels = ten_genera(tmp_path)
    told, whole = placed_and_mapped(fasta, labels, tmp_path)
    assert told["labels"]["one_nn"] >= whole - 0.02
    assert np.isfinite(interpolate_runs.coordinates(tmp_path / "placed")).all()
