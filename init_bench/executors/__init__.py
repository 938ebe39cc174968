"""Where chunks run: in this thread, or in worker threads of this process."""

from init_bench.executors.local import EXECUTORS, Execute, Finished, Train

__all__ = ["EXECUTORS", "Execute", "Finished", "Train"]
