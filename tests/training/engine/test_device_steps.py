"""The steps of a stack on an accelerator, run on the CPU."""

import gc
import weakref
from contextlib import nullcontext

import pytest
import torch

from init_bench.training.engine.accelerator_mlp import AcceleratorMLP
from init_bench.training.engine.cuda_graph import GRAPH_STEPS, WARM_STEPS, StepGraph
from init_bench.training.engine.device_steps import DeviceSteps
from init_bench.training.grid import Grid
from tests.training.engine.plain_training import DATA, perceptron_of

CELLS = Grid(width=12, depth=2, batch_size=16, seed=[0, 1]).cells


def engine() -> DeviceSteps:
    stack = AcceleratorMLP(CELLS, [perceptron_of(cell) for cell in CELLS], DATA)
    return DeviceSteps(stack, DATA, 16, range(len(CELLS)))


def test_an_engine_leaves_memory_when_its_chunk_is_done() -> None:
    """At once: an accelerator's memory fills up before Python collects garbage."""
    gc.disable()
    try:
        used = engine()
        used.steps(3)
        alive = weakref.ref(used)
        del used
        assert alive() is None
    finally:
        gc.enable()


class _Replayed:
    """Stands for a CUDA graph."""

    def replay(self) -> None:
        pass


def test_no_garbage_is_collected_while_a_graph_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A graph that is freed meanwhile would spoil the one that is recorded."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", _Replayed)
    monkeypatch.setattr(torch.cuda, "graph", lambda *args, **kwargs: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    graph, collects = StepGraph(torch.device("cpu")), []
    graph.records = True
    graph.run(lambda: collects.append(gc.isenabled()), WARM_STEPS + GRAPH_STEPS)
    assert collects == WARM_STEPS * [True] + GRAPH_STEPS * [False]
    assert gc.isenabled()


class _Generator:
    """Stands for torch's generator of a device: it notes the state it is given."""

    state = "of the recording"

    def clone_state(self) -> str:
        return "of no recording"

    def graphsafe_set_state(self, state: str) -> None:
        self.state = state


def test_a_step_that_cannot_be_recorded_is_launched_and_torch_draws_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(nullcontext[None]):
        def __exit__(self, *error: object) -> None:
            raise RuntimeError("operation not permitted when stream is capturing")

    generator, done = _Generator(), []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", _Replayed)
    monkeypatch.setattr(torch.cuda, "graph", lambda *args, **kwargs: Refusing())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "default_generators", {None: generator})
    graph = StepGraph(torch.device("cpu"))
    graph.records = True
    graph.run(lambda: done.append(graph.graph), WARM_STEPS + 2 * GRAPH_STEPS)
    assert done == (WARM_STEPS + 3 * GRAPH_STEPS) * [None], "those of the recording compute nothing"
    assert generator.state == "of no recording" and "cannot be recorded" in caplog.text
