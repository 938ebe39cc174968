"""Whether this machine is fit: versions, devices, the torch/torchvision pair, the data."""

from dataclasses import dataclass

import torch

from init_bench import datasets
from init_bench.errors import InitBenchError
from init_bench.training.devices import available_devices
from init_bench.training.manifest import versions


@dataclass(frozen=True)
class Check:
    """One check: its subject, what was found, and whether everything can run with it."""

    name: str
    found: str
    fit: bool = True


def checks() -> list[Check]:
    """Return all checks of this machine.

    Example:
        >>> [check.name for check in checks()][-3:]
        ['torchvision operators', 'devices', 'mnist sha256']
    """
    devices = Check("devices", ", ".join(available_devices()))
    return [*(Check(*pair) for pair in versions().items()), _operators(), devices, _digest()]


def _operators() -> Check:
    name = "torchvision operators"
    try:
        import torchvision

        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        torchvision.ops.nms(boxes, torch.ones(1), 0.5)
    except (ImportError, RuntimeError, AttributeError) as error:
        return Check(name, f"do not load beside this torch: {error}", fit=False)
    return Check(name, "load beside this torch")


def _digest() -> Check:
    name = "mnist sha256"
    try:
        return Check(name, datasets.load("mnist").sha256)
    except (InitBenchError, ImportError, RuntimeError) as error:
        return Check(name, f"cannot be read: {error}", fit=False)
