"""`run interpolate` of sequences: aligned as the map's were, by what run swg wrote down."""

import numpy as np
import pytest

from kernels import interpolation, neighbours, swg
from pipelines.errors import InputProblem, UsageProblem
from tests.pipelines import swg_runs
from tests.pipelines.interpolate_runs import (
    coordinates,
    make_map,
    prepare,
    result_bytes,
    run,
    table,
)
from tests.pipelines.swg_runs import write_fasta

M, N = 24, 40  # landmarks, new sequences


class Found:
    """A result of run swg and a map of it, in a folder; new sequences of the same families."""

    def __init__(self, folder, **options):
        self.folder, self.options = folder, options
        texts = write_fasta(folder / "all.fasta", M + N, length=50)
        records = (folder / "all.fasta").read_text().split(">")[1:]
        self.known, self.new = texts[:M], texts[M:]
        self.fasta = folder / "known.fasta"
        self.fasta.write_text("".join(f">{record}" for record in records[:M]))
        self.more = folder / "more.fasta"
        self.more.write_text("".join(f">{record}" for record in records[M:]))
        swg_runs.run(self.fasta, folder / "swg", **options)
        self.ids = [record.split()[0] for record in records[:M]]
        self.at = np.random.default_rng(5).normal(size=(M, 3))
        self.map = folder / "map"
        make_map(self.map, self.at, self.ids, source=folder / "swg")

    def run(self, out="out", engine=None, **options):
        return run(self.more, self.map, self.folder / out, engine, **options)

    def expected(self, k=10, **options):
        """Places by the kernels alone."""
        full = swg.distance_matrix([*self.new, *self.known], dtype="float64", **options)
        near = neighbours.select_block(full[:N, N:], k)
        return near, interpolation.place_block(*near, self.at)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return Found(tmp_path_factory.mktemp("found"))


def test_sequences__are_placed_by_their_alignments(found):
    told = found.run("plain")
    near, expected = found.expected()
    np.testing.assert_array_equal(coordinates(found.folder / "plain"), expected)
    assert (told["kind"], told["n"], told["placed"]) == ("sequences", N, N)
    rows = table(found.folder / "plain")
    assert [row["nearest"] for row in rows] == [found.ids[k] for k in near[0][:, 0]]
    ids = table(found.folder / "plain", "ids.tsv")
    assert [int(row["length"]) for row in ids] == [len(text) for text in found.new]
    assert ids[0]["description"] == "of a family"
    assert [one["path"] for one in told["inputs"]] == [
        str(found.more), str(found.fasta), str(found.map)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"distance": "score-max", "match": 2, "mismatch": -3, "gap_open": 5, "gap_extend": 2},
        {"distance": "identity-shorter", "strand": "both"},
        {"distance": "kimura", "gap_open": 9},
    ],
)
def test_options__are_those_of_the_run_that_aligned_the_map(tmp_path, options):
    there = Found(tmp_path, **options)
    there.run()
    kernel = {name: value for name, value in options.items() if "match" not in name}
    if "match" in options:
        from kernels import sequences

        kernel["matrix"] = sequences.match_mismatch(2, -3, "dna")
    _, expected = there.expected(**kernel)
    np.testing.assert_array_equal(coordinates(tmp_path / "out"), expected)


def test_the_maps_own_sequences__are_placed_on_themselves(found):
    told = run(found.fasta, found.map, found.folder / "own", k=5)
    np.testing.assert_array_equal(coordinates(found.folder / "own"), found.at)
    assert (told["on_landmark"], told["normalized_stress"] > 0) == (M, True)


@pytest.mark.parametrize("block_size", [1, 7, 100])
@pytest.mark.parametrize("columns", [5, 1024])
def test_pieces__change_no_byte_of_the_places(found, monkeypatch, block_size, columns):
    from pipelines import landmark_distances

    monkeypatch.setattr(landmark_distances, "COLUMNS", columns)
    out = f"pieces-{block_size}-{columns}"
    found.run(out, block_size=block_size)
    _, expected = found.expected()
    np.testing.assert_array_equal(coordinates(found.folder / out), expected)


def test_workers__write_the_same_bytes(found, cluster):
    found.run("serial", block_size=6)
    told = found.run("tasks", cluster, block_size=6)
    assert told["executor"]["name"] == "tasks"
    assert result_bytes(found.folder / "serial") == result_bytes(found.folder / "tasks")


def test_map_of_some__takes_their_sequences_by_id(found):
    some = np.array([3, 20, 7])
    ids = [found.ids[k] for k in some]
    make_map(found.folder / "some", found.at[some], ids, source=found.folder / "swg")
    run(found.fasta, found.folder / "some", found.folder / "of-some")
    placed = coordinates(found.folder / "of-some")
    np.testing.assert_array_equal(placed[some], found.at[some])


def test_sequences__may_have_moved_with_the_map(tmp_path):
    (tmp_path / "before").mkdir()
    there = Found(tmp_path / "before")
    there.run()
    (tmp_path / "before").rename(tmp_path / "after")
    after = tmp_path / "after"
    told = run(after / "more.fasta", after / "map", after / "again")
    assert told["inputs"][1]["path"] == str(after / "known.fasta")
    np.testing.assert_array_equal(coordinates(after / "again"), coordinates(after / "out"))


def test_sequences__that_are_gone_or_changed_are_refused(tmp_path):
    there = Found(tmp_path)
    text = there.fasta.read_text()
    there.fasta.write_text(text.replace("A", "C", 1))
    with pytest.raises(InputProblem, match=r"known\.fasta is not the file that .*map was made"):
        there.run()
    there.fasta.unlink()
    with pytest.raises(
        UsageProblem, match=r"known\.fasta, whose sequences .* does not exist"
    ) as gone:
        there.run()
    assert gone.value.remedy == "Has it moved? --landmarks FILE names it."
    (tmp_path / "copy.fasta").write_text(text)
    told = there.run(landmarks=str(tmp_path / "copy.fasta"))
    assert told["inputs"][1]["path"] == str(tmp_path / "copy.fasta")
    assert told["warnings"] == []
    (tmp_path / "longer.fasta").write_text(f">other\nACGT\n{text}")
    told = there.run("longer", landmarks=str(tmp_path / "longer.fasta"))
    assert "its records of the same ids are taken" in told["warnings"][0]
    one, two = (coordinates(tmp_path / name) for name in ("out", "longer"))
    np.testing.assert_array_equal(one, two)
    (tmp_path / "fewer.fasta").write_text(text.partition(">")[2].partition(">")[2].join([">", ""]))
    with pytest.raises(InputProblem, match=r"fewer\.fasta has no record "):
        there.run("fewer", landmarks=str(tmp_path / "fewer.fasta"))


def test_matrix_file__must_be_what_it_was(tmp_path):
    matrix = tmp_path / "own.txt"
    rows = [" ".join(["  ", *"ACGT"])]
    rows += [" ".join([a, *("3" if a == b else "-2" for b in "ACGT")]) for a in "ACGT"]
    matrix.write_text("\n".join(rows) + "\n")
    there = Found(tmp_path, matrix=str(matrix))
    job = prepare(there.more, there.map, tmp_path / "out")
    assert [one["path"] for one in job.inputs][2] == str(matrix)
    matrix.write_text(matrix.read_text().replace("-2", "-1"))
    with pytest.raises(InputProblem, match=r"own\.txt is not the scoring matrix"):
        there.run()


def test_map__of_other_distances_takes_no_sequences(found):
    make_map(found.folder / "other", found.at, found.ids)
    with pytest.raises(UsageProblem, match="other shows None: how to align sequences with its"):
        run(found.more, found.folder / "other", found.folder / "none")
    np.save(found.folder / "at.npy", found.at)
    with pytest.raises(UsageProblem, match=r"at\.npy is no result of run mds"):
        run(found.more, found.folder / "at.npy", found.folder / "none")


def test_foreign_letters__are_told_by_line(found):
    bad = found.folder / "bad.fasta"
    bad.write_text(">one\nACGT\n>two\nACGE\n")
    with pytest.raises(InputProblem, match=r"bad\.fasta line 4"):
        run(bad, found.map, found.folder / "none")
