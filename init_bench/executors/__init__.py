"""Where chunks run: in this thread, or in worker threads of this process."""

from init_bench.executors.local import EXECUTORS, Finished

__all__ = ["EXECUTORS", "Finished"]
