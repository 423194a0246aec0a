"""The engine: one API over serial and Dask executors. Knows no application and no kernel."""

from pipelines.engine.blocks import choose_block_size, heavy_first, row_ranges, upper_triangle
from pipelines.engine.broadcast import Broadcast
from pipelines.engine.connect import connect
from pipelines.engine.contract import Engine, WorkerInfo
from pipelines.engine.errors import (
    ClusterMismatch,
    ClusterUnreachable,
    EngineError,
    MemoryRefused,
    TaskFailed,
)
from pipelines.engine.events import (
    Event,
    Listener,
    MapEnded,
    MapStarted,
    TaskEnded,
    TaskRetried,
    WorkerJoined,
    WorkerLost,
)
from pipelines.engine.given import check_token
from pipelines.engine.memory import refuse_if_too_big

__all__ = [
    "Broadcast",
    "ClusterMismatch",
    "ClusterUnreachable",
    "Engine",
    "EngineError",
    "Event",
    "Listener",
    "MapEnded",
    "MapStarted",
    "MemoryRefused",
    "TaskEnded",
    "TaskFailed",
    "TaskRetried",
    "WorkerInfo",
    "WorkerJoined",
    "WorkerLost",
    "check_token",
    "choose_block_size",
    "connect",
    "heavy_first",
    "refuse_if_too_big",
    "row_ranges",
    "upper_triangle",
]
