"""Collectives: plain Python is the twin, and the tree over partitions the only order of sums."""

import copy
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.errors import EngineError
from pipelines.engine.gang.comm import Alone
from pipelines.engine.gang.reduction import Reduction, cut
from pipelines.engine.job import combine_by
from pipelines.engine.tree import Folding, reduce_pairwise
from tests.pipelines.engine.gang import mesh

SIZES = [1, 2, 3, 4, 5]


class Pair(NamedTuple):
    sums: np.ndarray
    most: np.ndarray


def owners_of(kind, n, size):
    """leaf -> rank."""
    if kind == "runs":
        return [leaf * size // n for leaf in range(n)]
    if kind == "dealt":
        return [leaf % size for leaf in range(n)]
    return [size - 1] * n  # "one has all"


def partials(n, shape=(3, 5), dtype=np.float64):
    """One per leaf, whose sum depends on the order."""
    generator = np.random.default_rng(n)
    large = generator.normal(size=(n, *shape)) * 10.0 ** generator.integers(-8, 9, (n, *shape))
    return [np.array(value) for value in large.astype(dtype)]


def same(found, expected):
    return found.tobytes() == expected.tobytes() and found.shape == expected.shape


@pytest.mark.parametrize("size", SIZES)
def test_by_rank__values_go_where_they_should(size):
    def step(comm):
        mine = {"rank": comm.rank, "row": np.full(comm.rank, comm.rank)}
        return (
            comm.broadcast(mine if comm.rank == size - 1 else None, root=size - 1)["rank"],
            comm.scatter([f"for {r}" for r in range(size)] if comm.rank == 0 else None),
            comm.gather(comm.rank * 10, root=size // 2),
            [value["row"].sum() for value in comm.allgather(mine)],
            comm.rotate(comm.rank),
            comm.rotate(comm.rank, by=-2),
        )

    for rank, found in enumerate(mesh.run([0] * 3, size, step)):
        gathered = [10 * r for r in range(size)] if rank == size // 2 else None
        squares = [r * r for r in range(size)]
        around = ((rank - 1) % size, (rank + 2) % size)
        assert found == (size - 1, f"for {rank}", gathered, squares, *around)


def test_scatter__wants_a_value_for_each_rank():
    with pytest.raises(ValueError, match="one value per rank: 1, not 2"):
        Alone(1).scatter([1, 2])


@pytest.mark.parametrize("algorithm", ["direct", "sliced", "", "a function"])
@pytest.mark.parametrize("kind", ["runs", "dealt", "one has all"])
@pytest.mark.parametrize("size", SIZES)
def test_total__has_the_bits_of_the_tree_over_partitions(size, kind, algorithm):
    for n in (1, 2, 7, 13):
        values = partials(n)
        expected = reduce_pairwise(np.add, copy.deepcopy(values))

        def step(comm, values=values):
            if algorithm == "a function":
                return comm.allreduce({leaf: values[leaf] for leaf in comm.mine}, np.add)
            reduction = Reduction(comm, np.add, algorithm)
            return reduction(nodes(comm, values))

        for found in mesh.run(owners_of(kind, n, size), size, step):
            assert same(found, expected)


def nodes(comm, values):
    folding = Folding(comm.n, combine_by("sum"))
    for leaf in comm.mine:
        folding.add((0, leaf), copy.deepcopy(values[leaf]))
    return folding.nodes


@pytest.mark.parametrize("size", [1, 3])
def test_again_and_again__algorithms_are_tried_and_all_choose_the_same(size):
    values = partials(6, shape=(4000,))
    expected = reduce_pairwise(np.add, copy.deepcopy(values))

    def step(comm):
        reduction = Reduction(comm, np.add)
        totals, used = [], []
        for _ in range(12):
            totals.append(reduction(nodes(comm, values), 5, 0.5 + comm.rank))
            used.append(reduction.algorithm)
            assert [reduction.heads[r].seconds for r in range(size)] == [
                0.5 + r for r in range(size)
            ]
            assert {head.flags for head in reduction.heads.values()} == {5}
        assert all(same(total, expected) for total in totals)
        return used

    used = mesh.run(owners_of("runs", 6, size), size, step)
    assert all(each == used[0] for each in used)
    assert used[0][0] == ""
    assert used[0][-1] in ("direct", "sliced")


def test_totals__are_not_written_over_by_the_next_one():
    def step(comm):
        reduction = Reduction(comm, np.add, "direct" if comm.n == 3 else "sliced")
        one = reduction({node: np.ones(4) for node in reduction.nodes[comm.rank]})
        two = reduction({node: np.full(4, 2.0) for node in reduction.nodes[comm.rank]})
        return one.tolist(), two.tolist()

    for n in (3, 2):  # the rank 2 of the second has no partition
        for one, two in mesh.run(owners_of("runs", n, 3) if n == 3 else [0, 1], 3, step):
            assert two == [2 * x for x in one]


@pytest.mark.parametrize("algorithm", ["direct", "sliced"])
def test_owners__may_change_between_two_calls(algorithm):
    values = partials(9)
    expected = reduce_pairwise(np.add, copy.deepcopy(values))

    def step(comm):
        reduction = Reduction(comm, np.add, algorithm)
        found = [reduction(nodes(comm, values))]
        for owners in ([2] * 9, owners_of("dealt", 9, 3)):
            comm.set_owners(owners)
            reduction.set_owners(owners)
            found.append(reduction(nodes(comm, values)))
        return found

    for found in mesh.run(owners_of("runs", 9, 3), 3, step):
        assert all(same(total, expected) for total in found)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_owners_and_shapes__direct_is_sliced_is_the_tree(data):
    size = data.draw(st.integers(1, 4))
    owners = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=9))
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=2)))
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.int64]))
    values = [
        Pair(one, two)
        for one, two in zip(
            partials(len(owners), shape, dtype), partials(len(owners) + 1), strict=False
        )
    ]
    expected = reduce_pairwise(combine_by("sum"), copy.deepcopy(values))

    def step(comm):
        return [
            Reduction(comm, np.add, algorithm)(nodes(comm, values))
            for algorithm in ("direct", "sliced")
        ]

    for found in mesh.run(owners, size, step):
        for total in found:
            assert type(total) is Pair
            assert same(total.sums, expected.sums)
            assert same(total.most, expected.most)


@pytest.mark.parametrize("op", ["sum", "min", "max"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_reductions__leave_the_values_alone(size, op):
    values = partials(6, shape=(7, 2))
    expected = reduce_pairwise(combine_by(op), copy.deepcopy(values))

    def step(comm):
        mine = {leaf: values[leaf] for leaf in comm.mine}
        before = copy.deepcopy(mine)
        found = comm.allreduce(mine, op), comm.reduce(mine, op), comm.reduce_scatter(mine, op)
        assert all(same(mine[leaf], before[leaf]) for leaf in mine)
        return found

    found = mesh.run(owners_of("dealt", 6, size), size, step)
    for rank, (total, reduced, rows) in enumerate(found):
        assert same(total, expected)
        assert same(reduced, expected) if rank == 0 else reduced is None
        assert same(rows, np.array_split(expected, size)[rank])


def test_functions__combine_what_no_ufunc_can():
    def longest(left, right):
        return left if len(left) >= len(right) else right

    words = ["a", "ccc", "bb", "ddd", ""]
    found = mesh.run(
        [0, 1, 2, 0, 1], 3, lambda c: c.allreduce({i: words[i] for i in c.mine}, longest)
    )
    assert found == ["ccc"] * 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda rank: 1.5, "map returned a float"),
        (lambda rank: np.zeros(3 + rank), "partial results differ"),
        (lambda rank: np.array([None]), "map returned object"),
    ],
)
def test_partials_that_do_not_fit__are_told(value, message):
    def step(comm):
        return Reduction(comm, np.add)(dict.fromkeys(comm_nodes(comm), value(comm.rank)))

    with pytest.raises(EngineError, match=message):
        mesh.run([0, 1], 2, step)


def comm_nodes(comm):
    return [(0, leaf) for leaf in comm.mine]


def test_partial_that_changes_its_shape__is_told():
    comm = Alone(1)
    reduction = Reduction(comm, np.add)
    reduction({(0, 0): np.zeros(3)})
    with pytest.raises(EngineError, match=r"float64 \(4,\) where the partitions before had"):
        reduction({(0, 0): np.zeros(4)})


def test_values_of_other_partitions__are_refused():
    with pytest.raises(ValueError, match=r"partitions \[0, 1\], but values of \[1, 2\]"):
        Alone(2).allreduce({1: np.ones(1), 2: np.ones(1)})
    with pytest.raises(ValueError, match="combine must be sum, min, max"):
        Alone(1).allreduce({0: np.ones(1)}, "mean")


@given(st.integers(0, 200), st.integers(1, 9))
def test_cut__covers_everything_evenly(size, pieces):
    cuts = cut(size, pieces)
    lengths = np.diff(cuts)
    assert (cuts[0], cuts[-1], len(cuts)) == (0, size, pieces + 1)
    assert lengths.min() >= size // pieces
    assert lengths.max() <= -(-size // pieces)


def test_read_only_and_strided_partials__are_copied():
    odd = np.arange(12.0).reshape(3, 4).T
    fixed = np.ones((4, 3))
    fixed.flags.writeable = False

    def step(comm):
        return Reduction(comm, np.add, "sliced")(
            {(0, 0): fixed} if comm.rank == 0 else {(0, 1): odd}
        )

    for found in mesh.run([0, 1], 2, step):
        assert np.array_equal(found, odd + 1)
    assert np.array_equal(fixed, np.ones((4, 3)))
