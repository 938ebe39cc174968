"""Replay a training step as a CUDA graph: one launch where the host would give dozens."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from init_bench.errors import first_line
from init_bench.training.engine.out_of_memory import ran_out_of_memory

log = logging.getLogger(__name__)


GRAPH_STEPS = 10
"""Steps of one replay."""


WARM_STEPS = 3
"""Steps that run before the graph is recorded: libraries choose kernels and take memory."""


_RECORDING = threading.Lock()
"""Held while a graph is recorded, which happens once a chunk."""


_FAILED: list[torch.cuda.CUDAGraph] = []
"""Recordings that failed: torch's allocator goes on asking them whether memory is for them."""


Step = Callable[[], None]


class StepGraph:
    """Run one step again and again; on CUDA record it after a few runs and replay it.

    The step must read and write the same memory each time and never wait for the device. One that
    cannot be recorded goes on being launched kernel by kernel; a warning says why.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.records = device.type == "cuda"
        self.warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream: torch.cuda.Stream | None = None
        if self.records:
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def run(self, step: Step, count: int) -> None:
        """Do the step, the same at each call, ``count`` times.

        It is not kept: it belongs to the one that calls, and the two would keep each other, and
        the device's memory, until Python collects garbage.
        """
        if self.stream is None:
            self._run(step, count)
            return
        with torch.cuda.device(self.device):
            outside = torch.cuda.current_stream()
            self.stream.wait_stream(outside)
            with torch.cuda.stream(self.stream):
                self._run(step, count)
            outside.wait_stream(self.stream)

    def _run(self, step: Step, count: int) -> None:
        while count:
            if self.records and self.warm >= WARM_STEPS and count >= GRAPH_STEPS:
                self._record(step)
            if self.graph is not None and count >= GRAPH_STEPS:
                self.graph.replay()
                count -= GRAPH_STEPS
            else:
                step()
                self.warm += 1
                count -= 1

    def _record(self, step: Step) -> None:
        """Record the graph; nothing is computed meanwhile, so a failure changes nothing."""
        self.records = False
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        try:
            with (
                _without_collection(),
                torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"),
            ):
                for _ in range(GRAPH_STEPS):
                    step()
        except (RuntimeError, NotImplementedError) as cause:
            _FAILED.append(graph)
            _end_draws(self.device)
            if ran_out_of_memory(cause):
                raise
            log.warning(
                "This step cannot be recorded as a CUDA graph: %s. Its kernels are launched one by "
                "one, which is slower.",
                first_line(cause),
            )
            torch.cuda.synchronize()
        else:
            self.graph = graph


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep Python from collecting garbage: a graph that is freed spoils one that is recorded."""
    with _RECORDING:
        collects = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collects:
                gc.enable()


def _end_draws(device: torch.device) -> None:
    """Let torch's generator draw again: where a recording fails it stays in the recording's state.

    It gets a copy of its state, with the same seed and position, that no recording has begun.
    """
    generator = torch.cuda.default_generators[device.index]
    generator.graphsafe_set_state(generator.clone_state())
