"""Two states of the same bytes have the same fingerprint, whatever objects they are made of."""

from typing import NamedTuple

import numpy as np
import pytest

from pipelines.engine.gang import letters
from pipelines.engine.gang.fingerprint import fingerprint


class Place(NamedTuple):
    x: np.ndarray
    plain: np.ndarray
    stress: float
    count: int


def sent(state):
    """The state as another rank gets it."""
    body = b"".join(bytes(piece) for piece in letters.pack(state))
    return letters.unpack(np.frombuffer(bytearray(body), np.uint8))


def place():
    x = np.arange(12.0).reshape(4, 3)
    return Place(x, x, 0.1, 3)


def test_state_that_was_sent__is_the_same_when_parts_of_it_are_replaced():
    mine, other = place(), sent(place())
    assert fingerprint(mine) == fingerprint(other)
    changed = [one._replace(x=np.ones((4, 3)), stress=float("inf")) for one in (mine, other)]
    assert fingerprint(changed[0]) == fingerprint(changed[1])


@pytest.mark.parametrize(
    "value",
    [{"a": np.arange(3), "b": ("c", None)}, (), np.float64(2), 7, np.zeros((0, 3)), [True, "x"],
     np.array(["a", "b"]), np.arange(6, dtype=np.int8)[::2]],
)  # fmt: skip
def test_value_that_was_sent__is_the_same(value):
    assert fingerprint(sent(value)) == fingerprint(value)


def test_every_difference__is_seen():
    one = place()
    flipped = one.x.copy()
    flipped.view(np.uint64)[2, 1] ^= 1
    states = [
        one, one._replace(x=flipped), one._replace(plain=flipped), one._replace(stress=0.2),
        one._replace(count=4), one._replace(count=3.0), tuple(one),
        one._replace(x=one.x.reshape(3, 4)), one._replace(x=one.x.astype(np.float32)),
        {"x": one.x, "y": one.plain}, {"y": one.x, "x": one.plain}, np.zeros(3), np.zeros(4),
    ]  # fmt: skip
    assert len({fingerprint(state) for state in states}) == len(states)
