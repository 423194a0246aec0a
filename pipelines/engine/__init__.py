"""The engine: one API over serial and Dask executors. Knows no application and no kernel."""

from pipelines.engine.blocks import choose_block_size, heavy_first, row_ranges, upper_triangle
from pipelines.engine.broadcast import Broadcast
from pipelines.engine.checkpoint import Checkpoints
from pipelines.engine.connect import connect
from pipelines.engine.contract import Engine, WorkerInfo
from pipelines.engine.errors import (
    ChunkBroken,
    ClusterMismatch,
    ClusterUnreachable,
    EngineError,
    MemoryRefused,
    TaskFailed,
)
from pipelines.engine.events import (
    BackupStarted,
    Checkpointed,
    ChunkEnded,
    Event,
    IterationEnded,
    Listener,
    MapEnded,
    MapStarted,
    PartitionLoaded,
    PartitionsMoved,
    RankSlow,
    RolledBack,
    TaskEnded,
    TaskRetried,
    WorkerJoined,
    WorkerLost,
)
from pipelines.engine.given import check_token
from pipelines.engine.iterate import iterate
from pipelines.engine.job import Iterated, Job, Partition, Row, Stop, Then
from pipelines.engine.memory import refuse_if_too_big
from pipelines.engine.partitions import Partitions

__all__ = [
    "BackupStarted",
    "Broadcast",
    "Checkpointed",
    "Checkpoints",
    "ChunkBroken",
    "ChunkEnded",
    "ClusterMismatch",
    "ClusterUnreachable",
    "Engine",
    "EngineError",
    "Event",
    "Iterated",
    "IterationEnded",
    "Job",
    "Listener",
    "MapEnded",
    "MapStarted",
    "MemoryRefused",
    "Partition",
    "PartitionLoaded",
    "Partitions",
    "PartitionsMoved",
    "RankSlow",
    "RolledBack",
    "Row",
    "Stop",
    "TaskEnded",
    "TaskFailed",
    "TaskRetried",
    "Then",
    "WorkerInfo",
    "WorkerJoined",
    "WorkerLost",
    "check_token",
    "choose_block_size",
    "connect",
    "heavy_first",
    "iterate",
    "refuse_if_too_big",
    "row_ranges",
    "upper_triangle",
]
