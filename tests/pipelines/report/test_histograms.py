import numpy as np
import pytest

from pipelines.report.histograms import distance_histogram, length_histogram, quantile_table
from tests.pipelines.report.test_figures import decoded


def counted(part):
    return decoded(part.graph["data"][0]["y"])


@pytest.mark.parametrize(
    "lengths",
    [[5], [0], [0, 0, 7], [5, 5, 5], list(range(1, 400)), [1, 10, 1_000_000], [3] * 99 + [9_000]],
)
def test_length_histogram__counts_every_record_once(lengths):
    part = length_histogram(np.array(lengths))
    assert counted(part).sum() == len(lengths)
    assert len(counted(part)) <= 61


def test_length_histogram__of_no_records_is_no_figure():
    assert length_histogram(np.zeros(0, dtype=np.int64)) is None


def test_length_histogram__even_bins_hold_equally_many_lengths():
    part = length_histogram(np.arange(100, 220))
    assert set(counted(part).tolist()) == {2.0}


def test_distance_histogram__sets_exact_zeros_and_ones_apart():
    values = np.array([0, 0, 0.001, 0.5, 0.999, 1, 1, 1], dtype=np.float32)
    part = distance_histogram(values)
    assert counted(part)[-2:].tolist() == [2, 3]
    assert counted(part)[:-2].sum() == 3
    assert part.log_top == 3


def test_distance_histogram__of_unbounded_distances_reaches_the_largest():
    values = np.array([0.0, 0.5, 4.0])
    part = distance_histogram(values, exact=(0.0,))
    assert counted(part).sum() == 3
    assert counted(part)[-1] == 1


def test_distance_histogram__bins_hold_equally_many_multiples_of_the_grain():
    values = np.arange(1, 150, dtype=np.float32) / np.float32(150)
    assert set(counted(distance_histogram(values, exact=())).tolist()) == {1, 2}
    even = counted(distance_histogram(values, exact=(), grain=1 / 150))
    assert even.sum() == 149
    assert set(even[1:-1].tolist()) == {2}


def test_distance_histogram__of_no_pairs_is_no_figure():
    assert distance_histogram(np.zeros(0)) is None


@pytest.mark.parametrize("values", [[0.0], [1.0], [0.25], [-3.0, 5.0], [7.0, 7.0]])
def test_distance_histogram__few_values_are_counted(values):
    assert counted(distance_histogram(np.array(values))).sum() == len(values)


def test_quantile_table__gives_the_quantiles():
    rows = dict(quantile_table(np.linspace(0, 1, 101)).rows)
    assert (rows["smallest"], rows["median"], rows["95 %"], rows["largest"]) == (
        "0",
        "0.5",
        "0.95",
        "1",
    )
