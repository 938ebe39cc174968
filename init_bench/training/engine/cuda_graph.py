"""Replay a training step as a CUDA graph: one launch where the host would give dozens."""

import logging
from collections.abc import Callable

import torch

from init_bench.errors import first_line

log = logging.getLogger(__name__)


GRAPH_STEPS = 10
"""Steps of one replay."""


WARM_STEPS = 3
"""Steps that run before the graph is recorded: libraries choose kernels and take memory."""


class StepGraph:
    """Run a step again and again; on CUDA record it after a few runs and replay it.

    The step must read and write the same memory each time and never wait for the device. One that
    cannot be recorded goes on being launched kernel by kernel; a warning says why.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step, self.device = step, device
        self.records = device.type == "cuda"
        self.warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream: torch.cuda.Stream | None = None
        if self.records:
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def run(self, count: int) -> None:
        """Do the step ``count`` times."""
        if self.stream is None:
            self._run(count)
            return
        with torch.cuda.device(self.device):
            outside = torch.cuda.current_stream()
            self.stream.wait_stream(outside)
            with torch.cuda.stream(self.stream):
                self._run(count)
            outside.wait_stream(self.stream)

    def _run(self, count: int) -> None:
        while count:
            if self.records and self.warm >= WARM_STEPS and count >= GRAPH_STEPS:
                self._record()
            if self.graph is not None and count >= GRAPH_STEPS:
                self.graph.replay()
                count -= GRAPH_STEPS
            else:
                self.step()
                self.warm += 1
                count -= 1

    def _record(self) -> None:
        """Record the graph; nothing is computed meanwhile, so a failure changes nothing."""
        self.records = False
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                for _ in range(GRAPH_STEPS):
                    self.step()
        except (RuntimeError, NotImplementedError) as cause:
            if isinstance(cause, torch.OutOfMemoryError):
                raise
            log.warning(
                "This step cannot be recorded as a CUDA graph: %s. Its kernels are launched one by "
                "one, which is slower.",
                first_line(cause),
            )
            torch.cuda.synchronize()
        else:
            self.graph = graph
