"""python -m benchmarks swg | engine | kmeans | mds | viewer: measure, show and keep tables."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks import (
    commands,
    engine,
    engine_tables,
    harness,
    kmeans,
    kmeans_crew,
    mds,
    points,
    swg,
    viewer,
)
from benchmarks.peers import PEERS
from benchmarks.sequences import RECIPES, sequence_set

RESULTS = "benchmarks/results.jsonl"
TOY = (engine_tables.TOY_SIZES, (1, 2))


def parser() -> argparse.ArgumentParser:
    """The command line of the benchmarks."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    kinds = made.add_subparsers(dest="benchmark", required=True)
    for add in (_swg_options, _engine_options, _kmeans_options, _mds_options, _viewer_options):
        one = add(kinds)
        one.add_argument(
            "--toy", "--quick", action="store_true", help="seconds instead of minutes; no numbers"
        )
        one.add_argument("--markdown", action="store_true", help="tables for a README")
        one.add_argument(
            "--json",
            default=RESULTS,
            metavar="FILE",
            help=f"file that one line is appended to (default: {RESULTS}; 'none': nowhere)",
        )
    return made


def _swg_options(kinds: argparse._SubParsersAction) -> argparse.ArgumentParser:
    one = kinds.add_parser("swg", help="all-pairs Smith-Waterman-Gotoh against other libraries")
    one.add_argument("--set", choices=[*RECIPES, "all"], default="all", dest="name")
    one.add_argument("--n", type=int, help="sequences in each set (default: the set's usual size)")
    one.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    one.add_argument("--trials", type=int, help="rounds (default: 5; --commands: 3 or 1)")
    one.add_argument("--distances", nargs="+", default=swg.DISTANCES, choices=list(swg.PEERS_OF))
    one.add_argument("--peers", nargs="+", choices=list(PEERS), metavar="NAME", help="only these")
    one.add_argument(
        "--commands", action="store_true", help="whole commands on the same FASTA instead"
    )
    one.add_argument(
        "--case", nargs="+", choices=list(commands.CASES), help="only these cases of --commands"
    )
    return one


def _engine_options(kinds: argparse._SubParsersAction) -> argparse.ArgumentParser:
    one = kinds.add_parser("engine", help="what an iteration costs beside its map")
    one.add_argument("--sizes", type=int, nargs="+", help="bytes of the state")
    one.add_argument("--ranks", type=int, nargs="+", help="default: 1 2 4 8")
    one.add_argument("--partitions", type=int, nargs="+", default=engine_tables.PARTITIONS)
    one.add_argument("--trials", type=int, default=5, help="rounds (default: %(default)s)")
    one.add_argument("--parts", nargs="+", default=engine.PARTS, choices=engine.PARTS)
    _add_peers(one, engine.PEERS)
    return one


def _kmeans_options(kinds: argparse._SubParsersAction) -> argparse.ArgumentParser:
    one = kinds.add_parser("kmeans", help="KMeans per iteration and to convergence")
    one.add_argument("--shapes", nargs="+", default=list(points.SHAPES), choices=points.SHAPES)
    types = ("float32", "float64")
    one.add_argument("--dtypes", nargs="+", default=types, choices=types)
    one.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    one.add_argument("--trials", type=int, default=5, help="rounds (default: %(default)s)")
    one.add_argument("--parts", nargs="+", default=kmeans.PARTS, choices=kmeans.PARTS)
    _add_peers(one, kmeans_crew.PEERS)
    return one


def _mds_options(kinds: argparse._SubParsersAction) -> argparse.ArgumentParser:
    one = kinds.add_parser("mds", help="multidimensional scaling and interpolation")
    one.add_argument("--sizes", type=int, nargs="+", help="points of the part 'iteration'")
    one.add_argument("--dtypes", nargs="+", default=mds.DTYPES, choices=mds.DTYPES)
    one.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    one.add_argument("--trials", type=int, default=5, help="rounds (default: %(default)s)")
    one.add_argument("--parts", nargs="+", default=mds.PARTS, choices=mds.PARTS)
    one.add_argument("--input", metavar="FILE.zarr", help="distances of the part 'big'")
    one.add_argument(
        "--iterations", type=int, default=20, help="of the part 'big' (default: %(default)s)"
    )
    _add_peers(one, mds.PEERS)
    return one


def _viewer_options(kinds: argparse._SubParsersAction) -> argparse.ArgumentParser:
    one = kinds.add_parser("viewer", help="the map of a report in a browser without graphics card")
    one.add_argument("--sizes", type=int, nargs="+", help="points (default: 28645 100000)")
    one.add_argument("--painters", nargs="+", default=viewer.PAINTERS, choices=viewer.PAINTERS)
    one.add_argument("--steps", type=int, default=viewer.STEPS, help="default: %(default)s")
    return one


def _add_peers(one: argparse.ArgumentParser, names: Iterable[str]) -> None:
    known = list(names)
    one.add_argument(
        "--peers", nargs="*", choices=known, metavar="NAME", help=f"only these of {known}"
    )


def main(arguments: list[str] | None = None) -> int:
    """0 when everything measured was also right, else 1."""
    given = parser().parse_args(arguments)
    machine = harness.machine()
    harness.tell(
        f"{machine['cpu']} ({machine['cpu_target']}: {' '.join(machine['flags'])}), "
        f"{machine['cores']} cores at {machine['clock_ghz']} GHz, "
        f"{machine['vector_gops']} G 16-bit operations per second and core, "
        f"load {machine['load_average']}"
    )
    correct = True
    for records in RUNS[given.benchmark](given):
        if given.json != "none":  # at once: a long measurement that is interrupted keeps its sets
            line = {"machine": machine, "arguments": vars(given), "records": records}
            harness.append(Path(given.json), line)
        correct &= all(record.get("verified", {}).get("correct", True) for record in records)
    return 0 if correct else 1


def run_swg(given: argparse.Namespace) -> Iterator[list[dict]]:
    """Kernel against libraries, or whole commands: the records of one set after the other."""
    return run_commands(given) if given.commands else run_sets(given)


def run_sets(given: argparse.Namespace) -> Iterator[list[dict]]:
    """Kernel against libraries: the records of one set after the other."""
    setting = swg.Setting(
        tuple(given.threads),
        given.trials or 5,
        tuple(given.distances),
        _peers(given),
        given.toy,
    )
    names = list(RECIPES) if given.name == "all" else [given.name]
    for name in names:
        yield swg.run(sequence_set(name, given.n, given.toy), setting)


def run_commands(given: argparse.Namespace) -> Iterator[list[dict]]:
    """Whole command against whole command: the record of one case after the other."""
    threads = max(given.threads)
    for name in given.case or list(commands.CASES):
        yield [commands.run(name, threads, given.trials, given.n, given.toy)]


def run_kmeans(given: argparse.Namespace) -> Iterator[list[dict]]:
    """The records of one table after the other."""
    return kmeans.run(
        kmeans.Setting(
            tuple(given.shapes),
            tuple(given.dtypes),
            tuple(given.threads),
            given.trials,
            tuple(given.parts),
            _peers(given),
            given.toy,
            _table(given),
        )
    )


def run_mds(given: argparse.Namespace) -> Iterator[list[dict]]:
    """The records of one table after the other."""
    return mds.run(
        mds.Setting(
            tuple(given.sizes or (mds.TOY_SIZES if given.toy else mds.SIZES)),
            tuple(given.dtypes),
            tuple(given.threads),
            given.trials,
            tuple(given.parts),
            _peers(given),
            given.input,
            given.iterations,
            given.toy,
            _table(given),
        )
    )


def run_engine(given: argparse.Namespace) -> Iterator[list[dict]]:
    """The records of one table after the other."""
    sizes, ranks = TOY if given.toy else (engine_tables.SIZES, engine_tables.RANKS)
    return engine.run(
        engine_tables.Setting(
            tuple(given.sizes or sizes),
            tuple(given.ranks or ranks),
            tuple(given.partitions),
            tuple(given.parts),
            given.trials,
            _peers(given),
            given.toy,
            _table(given),
        )
    )


def run_viewer(given: argparse.Namespace) -> Iterator[list[dict]]:
    """The records of one page after the other."""
    sizes = given.sizes or ((500,) if given.toy else viewer.SIZES)
    steps = 3 if given.toy else given.steps
    painters = tuple(given.painters)
    return viewer.run(viewer.Setting(tuple(sizes), painters, steps, given.toy, _table(given)))


def _peers(given: argparse.Namespace) -> tuple[str, ...] | None:
    return tuple(given.peers) if given.peers is not None else None


def _table(given: argparse.Namespace) -> Callable[..., str]:
    return harness.markdown if given.markdown else harness.table


RUNS = {
    "swg": run_swg,
    "engine": run_engine,
    "kmeans": run_kmeans,
    "mds": run_mds,
    "viewer": run_viewer,
}

if __name__ == "__main__":
    sys.exit(main())
