"""Progress of a run of several stages: a line for each, and the listener of the one at hand."""

from types import SimpleNamespace

from cli.iteration_progress import IterationProgress
from cli.progress import Progress
from cli.screen import Screen
from cli.stage_progress import StageProgress
from pipelines.app import IterativeOptions
from pipelines.engine import MapStarted, TaskEnded
from pipelines.stages import StageEnded, StageStarted

BLOCKS = SimpleNamespace(config=object(), cells=30, cells_of=lambda key: 10,
                         block_cells=lambda i, j: 10)  # fmt: skip
MATRIX = {"outputs": [{"name": "d.zarr", "shape": [3, 3], "dtype": "int16"}, {"name": "ids.tsv"}]}


def test_stages__have_the_progress_of_their_own_commands():
    progress = StageProgress(Screen(quiet=True))
    with progress:
        progress(MapStarted("before", 1))  # heard by nobody
        progress(StageStarted("distances", "swg", BLOCKS, [(0, 0)]))
        progress(MapStarted("swg-distance", 2))
        progress(TaskEnded("swg-distance-0-1", "w", 0.0, 1.0, 1))
        assert isinstance(progress.stage, Progress)
        assert (progress.stage.total_cells, progress.stage.cells) == (20, 10)
        progress(StageEnded("distances", MATRIX, 1.0))
        assert progress.stage is None
        job = SimpleNamespace(config=IterativeOptions())
        progress(StageStarted("map", "mds", job, ()))
        assert isinstance(progress.stage, IterationProgress)
    assert progress.stage is None


def test_stages__are_told_in_a_line_when_they_end(capsys):
    progress = StageProgress(Screen())
    progress(StageEnded("distances", MATRIX, 75.0))
    progress(StageEnded("map", MATRIX, 0.0))
    assert capsys.readouterr().err.splitlines() == [
        "distances       d.zarr (3 x 3 int16), 1 min 15 s",
        "map             d.zarr (3 x 3 int16), complete already",
    ]
