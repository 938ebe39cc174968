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
from tests.training.engine.test_trainer import DATA, _network

CELLS = Grid(width=12, depth=2, batch_size=16, seed=[0, 1]).cells


def engine() -> DeviceSteps:
    stack = AcceleratorMLP(CELLS, [_network(cell) for cell in CELLS], DATA)
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
