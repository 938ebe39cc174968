"""Run the chunks of a grid: in this process, on a Ray cluster, in Slurm jobs, or as you register.

``menu.py`` lists the executors, ``protocol.py`` says what one is.
"""

from init_bench.training.executors.menu import EXECUTORS, register_executor
from init_bench.training.executors.protocol import (
    ChunkOutcome,
    Executor,
    Option,
    Resources,
    RunChunks,
    TrainChunk,
    Work,
)
from init_bench.training.executors.threads import local, serial

__all__ = [
    "EXECUTORS",
    "ChunkOutcome",
    "Executor",
    "Option",
    "Resources",
    "RunChunks",
    "TrainChunk",
    "Work",
    "local",
    "register_executor",
    "serial",
]
