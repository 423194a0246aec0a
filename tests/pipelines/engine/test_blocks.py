import pytest

from pipelines.engine import choose_block_size, heavy_first, row_ranges, upper_triangle


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [
        (0, 4, []),
        (1, 4, [(0, 1)]),
        (4, 4, [(0, 4)]),
        (9, 4, [(0, 4), (4, 8), (8, 9)]),
    ],
)
def test_row_ranges__cover_all_rows_once(n, size, expected):
    assert row_ranges(n, size) == expected


def test_row_ranges__refuse_empty_blocks():
    with pytest.raises(ValueError, match="at least 1"):
        row_ranges(5, 0)


def test_upper_triangle__has_each_pair_once():
    assert upper_triangle(0) == []
    assert upper_triangle(1) == [(0, 0)]
    pairs = upper_triangle(7)
    assert len(set(pairs)) == len(pairs) == 28
    assert all(i <= j for i, j in pairs)


def test_heavy_first__sorts_by_falling_cost_and_keeps_ties():
    assert heavy_first(["a", "b", "c", "d"], [1, 3, 1, 3]) == ["b", "d", "a", "c"]


def test_heavy_first__needs_one_cost_per_block():
    with pytest.raises(ValueError, match="2 blocks, but 1 costs"):
        heavy_first([1, 2], [1.0])


def n_blocks(n, size):
    side = len(row_ranges(n, size))
    return side * (side + 1) // 2


@pytest.mark.parametrize("n", [1000, 3000, 10_000, 28_645, 100_000, 200_000, 1_000_000])
@pytest.mark.parametrize("slots", [1, 2, 8, 64])
def test_choose_block_size__balances_without_too_many_blocks(n, slots):
    size = choose_block_size(n, slots)
    blocks = n_blocks(n, size)
    assert blocks <= 20_000
    assert blocks >= 8 * slots or size == 64
    assert size % 16 == 0


@pytest.mark.parametrize("n", [0, 1, 2, 64, 65, 200])
def test_choose_block_size__never_exceeds_few_rows(n):
    assert 1 <= choose_block_size(n) <= max(n, 1)


def test_choose_block_size__grows_to_the_largest_and_stays():
    assert choose_block_size(28_645) == choose_block_size(100_000) == 1024
