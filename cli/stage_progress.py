"""A listener of engine events for runs of several stages: the progress of the one at hand."""

from __future__ import annotations

from typing import Any

from cli import units
from cli.iteration_progress import IterationProgress
from cli.progress import Progress
from cli.screen import Screen
from cli.show import output_text
from pipelines.app import IterativeOptions
from pipelines.stages import StageEnded, StageStarted


class StageProgress:
    """Shows each stage as its own command would, and tells in a line what became of it."""

    def __init__(self, screen: Screen):
        self.screen = screen
        self.stage: Any = None  # the listener of the stage at hand

    def __call__(self, event: Any) -> None:
        if isinstance(event, StageStarted):
            self.begin(event)
        elif isinstance(event, StageEnded):
            self.end()
            self.screen.line(event.name, ended_text(event))
        elif self.stage is not None:
            self.stage(event)

    def begin(self, event: StageStarted) -> None:
        """Another stage is at hand."""
        self.end()
        iterative = isinstance(event.job.config, IterativeOptions)
        new: Any = IterationProgress(self.screen) if iterative else None
        self.stage = new or Progress(self.screen, event.job, event.done)
        self.stage.__enter__()

    def end(self) -> None:
        """None is."""
        if self.stage is not None:
            self.stage.__exit__(None, None, None)
            self.stage = None

    def __enter__(self) -> StageProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


def ended_text(event: StageEnded) -> str:
    """'distances.zarr (1336 x 1336 float32), 12.3 s'"""
    made = [output_text(one) for one in event.run.get("outputs", []) if one.get("shape")]
    took = units.duration(event.seconds) if event.seconds else "complete already"
    return ", ".join([*made, took])
