"""An application with the shape of a real one: squares of the numbers in a file."""

import dataclasses
import json
import time
from pathlib import Path

from pipelines.app import argument, merged_values, option
from pipelines.errors import InputProblem
from pipelines.results import write_record


@dataclasses.dataclass(frozen=True)
class Config:
    numbers: str = argument("A file with one number per line.")
    power: int = option(2, "Power to take.", min=1)
    naptime: float = option(0.0, "Seconds that a number takes.", changes_bytes=False)
    mishap: str = option(
        "none", "What goes wrong.", choices=("none", "task", "bug"), changes_bytes=False
    )


@dataclasses.dataclass
class Job:
    config: Config
    options: object
    numbers: list
    estimated_seconds: float = 0.0
    warnings: tuple = ("numbers are small",)

    @property
    def inputs(self):
        return [{"path": self.config.numbers, "records": len(self.numbers)}]

    @property
    def plan(self):
        return {"n_tasks": len(self.numbers)}

    def lines(self):
        return [(Path(self.config.numbers).name, f"{len(self.numbers)} numbers"), ("plan", "soon")]


def prepare(config, options):
    lines = Path(config.numbers).read_text().split()
    if not lines:
        raise InputProblem(f"{config.numbers} is empty.", remedy="Give a number.")
    return Job(config, options, [int(line) for line in lines])


def power(number, config, folder):
    time.sleep(config.naptime)
    if config.mishap == "task" and number == 3:
        raise ValueError(f"{number} is unlucky")
    write_record(folder, (number,), {"chunks": [], "value": number**config.power})


def run(job, engine, folder):
    if job.config.mishap == "bug":
        raise ZeroDivisionError("a bug")
    done = {number for (number,) in folder.done_records()}
    left = [number for number in job.numbers if number not in done]
    key = "fake-power-{}".format
    for _ in engine.map(power, left, job.config, folder.folder, key=key):
        pass
    rows = [(number, record["value"]) for (number,), record in folder.done_records().items()]
    table = "".join(f"{number}\t{value}\n" for number, value in rows).encode()
    config = merged_values(job.config, job.options)
    blocks = {"done": len(rows), "computed": len(left)}
    return folder.finish({"config": config, "blocks": blocks}, {"powers.tsv": table})


def read(output):
    return json.loads(Path(output, "run.json").read_text())
