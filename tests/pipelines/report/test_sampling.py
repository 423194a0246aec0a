import numpy as np
import pytest

from pipelines.report import sampling
from pipelines.report.sampling import choose, read_sample
from tests.pipelines.report.samples import InBlocks, InMemory, families


@pytest.mark.parametrize(("n", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (1000, 50)])
def test_choose__gives_sorted_distinct_records(n, most):
    chosen = choose(n, most, 0)
    assert len(chosen) == min(n, most)
    assert (np.diff(chosen) > 0).all()
    assert ((chosen >= 0) & (chosen < n)).all()


def test_choose__follows_the_seed():
    assert choose(1000, 50, 1).tolist() == choose(1000, 50, 1).tolist()
    assert choose(1000, 50, 1).tolist() != choose(1000, 50, 2).tolist()
    assert choose(1000, 50, None).tolist() == choose(1000, 50, 0).tolist()


def test_choose__draws_from_few_stripes_when_all_would_be_too_much_to_read(monkeypatch):
    monkeypatch.setattr(sampling, "READ_BYTES", 4 * 200 * 200)
    chosen = choose(10_000, 100, 0, block_size=50)
    assert len(chosen) == 100
    assert len(np.unique(chosen // 50)) <= 5


@pytest.mark.parametrize("stripe_bytes", [1, 8 * 40 * 7, 1 << 20])
def test_read_sample__by_rows_is_the_submatrix(monkeypatch, stripe_bytes):
    monkeypatch.setattr(sampling, "STRIPE_BYTES", stripe_bytes)
    distances, _ = families(40)
    chosen = np.array([0, 3, 4, 5, 17, 38, 39])
    matrix = InMemory(distances)
    np.testing.assert_array_equal(read_sample(matrix, chosen), distances[np.ix_(chosen, chosen)])
    assert max(stop - start for start, stop in matrix.asked) <= max(1, stripe_bytes // (8 * 40))


@pytest.mark.parametrize("block_size", [1, 7, 13, 40])
def test_read_sample__by_blocks_reads_each_needed_one_once(block_size):
    distances, _ = families(40)
    chosen = np.array([0, 3, 4, 5, 17, 38, 39])
    matrix = InBlocks(distances, block_size)
    np.testing.assert_array_equal(read_sample(matrix, chosen), distances[np.ix_(chosen, chosen)])
    stripes = len(np.unique(chosen // block_size))
    assert len(matrix.asked) == len(set(matrix.asked)) == stripes * (stripes + 1) // 2


def test_read_sample__of_nothing_reads_nothing():
    matrix = InMemory(np.zeros((0, 0)))
    assert read_sample(matrix, np.arange(0)).shape == (0, 0)
    assert matrix.asked == []
