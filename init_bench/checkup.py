"""Whether this machine is fit: versions, devices, the torch/torchvision pair, the data."""

import torch

from init_bench import datasets
from init_bench.devices import available_devices
from init_bench.errors import InitBenchError
from init_bench.running import versions

OPERATORS, DIGEST = "torchvision operators", "mnist sha256"
OPERATORS_LOAD = "load beside this torch"
UNREADABLE = "cannot be read"


def checks() -> dict[str, str]:
    """Return what was found, by check."""
    return {
        **versions(),
        OPERATORS: _operators(),
        "devices": ", ".join(available_devices()),
        DIGEST: _digest(),
    }


def is_fit(found: dict[str, str]) -> bool:
    """Return whether what ``checks`` found lets everything run.

    Example:
        >>> is_fit({OPERATORS: OPERATORS_LOAD, DIGEST: f"{UNREADABLE}: no network"})
        False
    """
    return found[OPERATORS] == OPERATORS_LOAD and not found[DIGEST].startswith(UNREADABLE)


def _operators() -> str:
    try:
        import torchvision

        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        torchvision.ops.nms(boxes, torch.ones(1), 0.5)
    except (ImportError, RuntimeError, AttributeError) as error:
        return f"do not load beside this torch: {error}"
    return OPERATORS_LOAD


def _digest() -> str:
    try:
        return datasets.load("mnist").sha256
    except (InitBenchError, ImportError, RuntimeError) as error:
        return f"{UNREADABLE}: {error}"
