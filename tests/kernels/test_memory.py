"""Memory is bounded by bytes: a few long sequences among many short ones."""

import subprocess
import sys
from pathlib import Path

import pytest

MEASURED = """
import resource, sys
from pathlib import Path
import numpy as np
from kernels import swg

def most():
    # getrusage() of a child begins with what its parent had; the kernel's own count does not.
    if sys.platform == "linux":
        text = Path("/proc/self/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

swg.warm_up({distance!r}, "dna")
letters = np.array(list("ACGT"))
rng = np.random.default_rng(0)
texts = ["".join(letters[rng.integers(0, 4, 300)]) for _ in range(1000)]
texts.append("".join(letters[rng.integers(0, 4, {long})]))
texts[-1] = texts[-1][:5000] + texts[0] + texts[-1][5300:]
before = most()
d = swg.distance_matrix(texts, alphabet="dna", distance={distance!r}, n_threads=2)
after = most()
promised = swg.working_bytes(np.array([len(t) for t in texts]), {distance!r}, 1001, 1001)
print(after - before, after, promised, d[0, -1] < d[1, -1])
"""


def measure(distance, long):
    """(bytes more than before, at the peak, promised; whether a planted piece is near)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MEASURED.format(distance=distance, long=long)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=900, check=True,
    )  # fmt: skip
    grown, peak, promised, near = done.stdout.split()
    return int(grown), int(peak), int(promised), near == "True"


def test_distance_matrix__one_long_sequence_costs_little_memory():
    grown, _, promised, near = measure("identity-shorter", 100_000)
    assert near
    assert grown < promised < 300 << 20


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("distance", ["identity-shorter", "score-min", "identity-aligned"])
def test_distance_matrix__a_megabase_fits_a_gigabyte(distance):
    grown, peak, promised, near = measure(distance, 1_000_000)
    assert near or distance == "identity-aligned"
    assert grown < promised
    assert peak < 1 << 30
