"""python -m benchmarks swg: measure, show a table, append one JSON line per set."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands, harness, swg
from benchmarks.peers import PEERS
from benchmarks.sequences import RECIPES, sequence_set

RESULTS = "benchmarks/results.jsonl"


def parser() -> argparse.ArgumentParser:
    """The command line of the benchmarks."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    kinds = made.add_subparsers(dest="benchmark", required=True)
    one = kinds.add_parser("swg", help="all-pairs Smith-Waterman-Gotoh against other libraries")
    one.add_argument("--set", choices=[*RECIPES, "all"], default="all", dest="name")
    one.add_argument("--n", type=int, help="sequences in each set (default: the set's usual size)")
    one.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    one.add_argument("--trials", type=int, help="rounds (default: 5; --commands: 3 or 1)")
    one.add_argument("--distances", nargs="+", default=swg.DISTANCES, choices=list(swg.PEERS_OF))
    one.add_argument("--peers", nargs="+", choices=list(PEERS), metavar="NAME", help="only these")
    one.add_argument("--toy", action="store_true", help="seconds instead of minutes; no numbers")
    one.add_argument(
        "--commands", action="store_true", help="whole commands on the same FASTA instead"
    )
    one.add_argument(
        "--case", nargs="+", choices=list(commands.CASES), help="only these cases of --commands"
    )
    one.add_argument(
        "--json",
        default=RESULTS,
        metavar="FILE",
        help=f"file that one line is appended to (default: {RESULTS}; 'none': nowhere)",
    )
    return made


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
    for records in run_commands(given) if given.commands else run_sets(given):
        if given.json != "none":  # at once: a long measurement that is interrupted keeps its sets
            line = {"machine": machine, "arguments": vars(given), "records": records}
            harness.append(Path(given.json), line)
        correct &= all(record.get("verified", {}).get("correct", True) for record in records)
    return 0 if correct else 1


def run_sets(given: argparse.Namespace) -> Iterator[list[dict]]:
    """Kernel against libraries: the records of one set after the other."""
    setting = swg.Setting(
        tuple(given.threads),
        given.trials or 5,
        tuple(given.distances),
        tuple(given.peers) if given.peers is not None else None,
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


if __name__ == "__main__":
    sys.exit(main())
