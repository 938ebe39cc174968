"""Compare two trainings bit for bit: losses, weights, buffers and random streams."""

import random
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn


def seed_all() -> None:
    """Seed every random stream that a training may draw from."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


@dataclass
class Run:
    """What a training leaves behind."""

    losses: list[float]
    state: dict[str, Tensor]
    gradients: list[Tensor] = field(default_factory=list)
    streams: tuple[object, ...] = ()


def finished(losses: list[float], model: nn.Module) -> Run:
    """Return what is left behind now."""
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    streams = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    return Run(losses, model.state_dict(), gradients, streams)


def assert_equal(one: Run, other: Run) -> None:
    """Assert that two trainings agree in every bit."""
    assert one.losses == other.losses
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    assert len(one.gradients) == len(other.gradients)
    pairs = zip(one.gradients, other.gradients, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert one.streams == other.streams
