"""What the engine's promises cost: the order of its sums, and what it adds to maps that compute."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from benchmarks import engine_steps, harness
from benchmarks.engine_peers import first_state, weights_of
from benchmarks.engine_tables import COMPARED_RANKS, HEADING, Setting, record, size_words, told
from benchmarks.harness import Contender, Timed, tell
from pipelines.engine import iterate

LEAVES = 64  # partitions of the comparison with a ring: as many as points have
MOST_RING_BYTES = 10_000_000  # on more ranks than cores
MAP_S = 0.01


def identity(engine: Any, ranks: int, digests: dict[str, str], setting: Setting) -> list[dict]:
    """The fixed tree against a ring. digests: of the sums on fewer ranks, grows."""
    watch = harness.Watch()
    records, lines = [], []
    partitions = engine.partitions(np.array, [[weight] for weight in weights_of(LEAVES)])
    for nbytes in setting.sizes:
        if ranks > COMPARED_RANKS and nbytes > MOST_RING_BYTES:
            continue
        rounds = max(2, min(100, int(setting.trial_s * 1e9 / (LEAVES * nbytes))))
        found = engine.spmd(engine_steps.tree_and_ring, partitions, nbytes, rounds)
        # A sum is there when the last rank has it; the first round is not counted.
        took = {name: np.max([f[name] for f in found], axis=0)[1:] for name in ("tree", "ring")}
        ratios = took["tree"] / took["ring"]
        exact = all(f["exact"] for f in found)
        for name, seconds in took.items():
            row = [f"{name} ({found[0]['algorithm']})" if name == "tree" else name]
            row += [size_words(nbytes), *told(seconds, 1000)]
            lines.append(row + (told(ratios, 1, "x") if name == "tree" else ["", "", ""]))
        lists = {name: seconds.tolist() for name, seconds in took.items()}
        records.append({"nbytes": nbytes, "exact": exact, "seconds": lists})
    engine.release(partitions)
    tell(f"\n## the fixed tree and a ring, {ranks} ranks, {LEAVES} partitions")
    heading = (*HEADING, "of the ring's", "lowest", "highest")
    tell(setting.table(heading, lines))
    same = {name: digests.setdefault(name, new) == new for name, new in found[0]["digests"].items()}
    alike = all(f["digests"] == found[0]["digests"] for f in found)
    if ranks > COMPARED_RANKS:
        words = {True: "the same", False: "other"}
        tell(f"bytes as with fewer ranks: tree {words[same['tree']]}, ring {words[same['ring']]}")
    correct = same["tree"] and alike and all(kept["exact"] for kept in records)
    tell("every sum is exact, all ranks have the same" if correct else "WRONG sums")
    shares = watch.shares()
    tell(harness.disturbance(shares))
    return [
        {
            "benchmark": "engine identity",
            "ranks": ranks,
            "partitions": LEAVES,
            "toy": setting.toy,
            "sizes": records,
            "verified": {"correct": correct},
        }
        | shares
    ]


def share(engine: Any, setting: Setting) -> list[dict]:
    """Iterations whose maps compute for MAP_S on every rank, and the maps alone, in turn."""
    steps = engine_steps.spin_steps(MAP_S)
    count = 5 if setting.toy else 100
    state = first_state(setting.sizes[0])
    partitions = engine.partitions(np.array, [[weight] for weight in weights_of(COMPARED_RANKS)])
    slower: list[float] = []

    def alone() -> Timed:
        took = engine.map_partitions(engine_steps.many_maps, partitions, state, steps, count)
        return Timed(True, max(took))

    def together() -> Timed:
        started = time.perf_counter()
        done = iterate(
            engine,
            partitions,
            map=engine_steps.weigh_slowly,
            update=engine_steps.take,
            state=state,
            args=(steps,),
            max_iter=count,
        )
        each = (time.perf_counter() - started) / count
        slower.append(statistics.mean(max(row.seconds) for row in done.rows))
        return Timed(bool(np.array_equal(done.state, state)), each)

    names = ("maps alone", "iterations, all in")
    words = size_words(state.nbytes)
    group = [
        Contender(name, words, 1, run, elsewhere=True, unit="")
        for name, run in zip(names, (alone, together), strict=True)
    ]
    watch = harness.Watch()
    harness.alternate(group, setting.trials)
    engine.release(partitions)
    title = f"maps of {1000 * MAP_S:g} ms, {COMPARED_RANKS} ranks"
    kept = record("share", title, [group], setting, watch, ("to the maps", "lowest", "highest"))
    shares = [1 - 1 / value for value in harness.ratios(*group)]
    barrier = statistics.median(slower[1:]) / statistics.median(group[1].seconds)
    tell(
        f"the engine's share of an iteration is {statistics.median(shares):.2%}; the slower rank's "
        f"maps take {barrier:.2%}, the rest is exchange, update and the starts of chunks"
    )
    return [kept | {"share": shares, "slower_map_s": slower[1:], "iterations": count}]
