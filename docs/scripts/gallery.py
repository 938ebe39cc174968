"""Draw the figures of the gallery: each function is a figure of the page, and its code."""

import tempfile
from itertools import pairwise

import torch

import init_bench as ib

INPUTS = torch.randn(256, 100, generator=torch.Generator().manual_seed(0))
CLASSES = INPUTS[:, :10].argmax(dim=1)


def perceptron(width=64, depth=6):
    """Return a ReLU network from 100 inputs to 10 classes."""
    sizes = [100, *[width] * (depth - 1)]
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))


def spread():
    """Spread of every layer and of its gradient: `capture`."""
    model = perceptron()
    ib.initialize(model, "xavier_normal", seed=0)
    with ib.capture(model) as record:
        torch.nn.functional.cross_entropy(model(INPUTS), CLASSES).backward()
    return record.figure()


def filled():
    """How each parameter was filled: `initialize`."""
    return ib.initialize(perceptron(), "lsuv", batch=INPUTS, seed=0).figure()


def diagnosed():
    """What is wrong, layer by layer: `diagnose`."""
    model = perceptron(depth=8)
    ib.initialize(model, "normal(std=0.01)", seed=0)
    return ib.diagnose(model, INPUTS, CLASSES).figure()


def trained():
    """Loss of a grid: `run`."""
    grid = ib.Grid(init=["normal(std=0.01)", "lecun_normal", "he_normal"], seed=range(3), steps=200)
    return ib.run(grid, tempfile.mkdtemp(), device="cpu", progress=False).figure()


def compared():
    """Two initializers, their draws and their training: `compare`."""
    return ib.compare("he_normal", "lecun_normal", seeds=8, steps=100, device="cpu").figure()


def recommended():
    """Which initializer starts fastest: `recommend`."""
    inits = ["he_normal", "xavier_normal", "torch.default", "normal(std=0.001)"]
    return ib.recommend(perceptron(), INPUTS, CLASSES, inits=inits, seeds=3).figure()


def widths():
    """Does training move a model alike at every width: `coord_check`."""
    return ib.coord_check(
        lambda width: perceptron(width, depth=3),
        [32, 64, 128],
        (INPUTS, CLASSES),
        loss_fn=torch.nn.functional.cross_entropy,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
    ).figure()


def rates():
    """Which learning rates the start allows: `rate_window`."""
    model = perceptron(depth=3)
    ib.initialize(model, "he_normal", seed=0)
    return ib.rate_window(model, INPUTS, CLASSES).figure()


FIGURES = (spread, filled, diagnosed, trained, compared, recommended, widths, rates)
"""The figures of the page, in its order."""
