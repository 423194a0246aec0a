import pytest

from pipelines.report import wording


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0 %"),
        (0, 0, "0 %"),
        (1, 1_000_000, "< 0.01 %"),
        (1, 2000, "0.05 %"),
        (1, 8, "12.5 %"),
        (999_999, 1_000_000, "> 99.99 %"),
        (9_996, 10_000, "99.96 %"),
        (7, 7, "100 %"),
    ],
)
def test_share__never_rounds_something_to_nothing_or_all(part, whole, text):
    assert wording.share(part, whole) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ms"),
        (6e-5, "60 µs"),
        (0.0034, "3.4 ms"),
        (0.0342, "34 ms"),
        (12.34, "12.3 s"),
        (75, "1 min 15 s"),
        (59.99, "1 min 00 s"),
        (3725, "1 h 02 min"),
    ],
)
def test_seconds__carry_their_unit(value, text):
    assert wording.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (99_999, "99,999"), (123_456, "123 k"), (999_999, "1 M"), (3.2e12, "3.2 T")],
)
def test_large__has_three_digits(value, text):
    assert wording.large(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12.3456789, "12.346"),
        (479_443.2, "479,443"),
        (8917615616867.3, "8.9176×10¹²"),
        (-3e-7, "−3×10⁻⁷"),
        (float("nan"), "–"),
    ],
)
def test_number__has_its_power_of_ten(value, text):
    assert wording.number(value) == text


def test_natural__sorts_numbers_as_numbers():
    names = ["w-10", "w-2", "a", "", "w", "10", "2", "²"]
    assert sorted(names, key=wording.natural) == ["", "2", "10", "a", "w", "w-2", "w-10", "²"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (1536, "1.5 KiB"), (1020 << 20, "0.996 GiB"), (3 << 30, "3 GiB")],
)
def test_nbytes__carry_their_unit(value, text):
    assert wording.nbytes(value) == text


def test_short__keeps_both_ends():
    name = wording.short("a" * 5000 + "z" * 5000)
    assert len(name) == 60
    assert name[0] == "a"
    assert name[-1] == "z"


def test_short__leaves_no_letter_that_steers_the_display():
    assert wording.short("a\x00b\u202ec\tdé日") == "a\ufffdb\ufffdc dé日"
