"""Random drills as the command runs them; and that a drill which goes wrong is told as one."""

from collections import Counter

import pytest

from tests import drills
from tests.scene import FATAL, FAULTS, ON_OWN_CLUSTER, Drill

SEED = 3  # its first five: at the start, one after the other, stopped, the command, all workers


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    return drills.Points(tmp_path_factory.mktemp("drills"))


def test_draw__is_the_same_each_time_and_has_every_fault():
    drawn = [drills.draw(0, number) for number in range(50)]
    assert drawn == [drills.draw(0, number) for number in range(50)]
    assert drawn != [drills.draw(1, number) for number in range(50)]
    assert min(Counter(drill.fault for drill in drawn)[fault] for fault in FAULTS) >= 2
    assert {drill.executor for drill in drawn} >= {"gang", "tasks"}
    assert FATAL < ON_OWN_CLUSTER < set(FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_drill__ends_with_the_right_bytes(points, number, nothing_left):
    outcome = points.perform(drills.draw(SEED, number))
    print(f"\n{drills.draw(SEED, number)}: {outcome.text}")
    assert outcome.kind in ("right", "resumed"), outcome.text


@pytest.mark.slow
def test_drill__with_another_result_is_told_as_wrong(points, monkeypatch):
    monkeypatch.setitem(points.expected, "centroids.npy", b"other")
    drill = Drill(0, "command dies", "serial", 2, 1, "on", at=40, later_s=0.0, lasts_s=0.0, seed=0)
    outcome = points.perform(drill)
    assert outcome.kind == "wrong"
    assert outcome.text.endswith("other bytes in centroids.npy")
