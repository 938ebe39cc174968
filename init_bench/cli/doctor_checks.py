"""Check that this machine is fit: versions, devices, torch and torchvision, data, a self-test."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from init_bench import datasets
from init_bench.errors import InitBenchError, first_line
from init_bench.training.devices import available_devices
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.grid import Grid
from init_bench.training.manifest import versions
from init_bench.training.precision import PRECISIONS, check_precision, float32_products

SELF_TEST_STEPS = 20
"""Steps of the self-test: rounding has not grown beyond the tolerance in them."""


SELF_TEST_TOLERANCE = 1e-4
"""Most that a loss of the self-test may differ from the CPU's."""


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
    accelerators = [torch.device(name) for name in available_devices() if name != "cpu"]
    return [
        *(Check(*pair) for pair in versions().items()),
        _operators(),
        devices,
        _digest(),
        *(check for device in accelerators for check in accelerator_checks(device)),
    ]


def accelerator_checks(device: torch.device) -> Iterator[Check]:
    """Yield what an accelerator has, and whether it trains as the CPU does."""
    yield Check(f"{device} memory", _memory(device))
    yield Check(f"{device} precisions", ", ".join(p for p in PRECISIONS if _has(p, device)))
    yield _self_test(device)


def _memory(device: torch.device) -> str:
    module = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):
        return "unknown to torch"
    free, total = module.mem_get_info(device)
    return f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free, {module.get_device_name(device)}"


def _has(precision: str, device: torch.device) -> bool:
    try:
        check_precision(precision, device)
    except InitBenchError:
        return False
    return True


def _self_test(device: torch.device) -> Check:
    """Train one cell of the book on the CPU and on the device, from the same weights."""
    name = f"{device} self-test"
    cells = Grid(steps=SELF_TEST_STEPS).cells
    try:
        data = datasets.load("mnist")
        with float32_products("float32", device):
            ((here,), (there,)) = (
                train_chunk(cells, data, each) for each in (torch.device("cpu"), device)
            )
    except (InitBenchError, RuntimeError) as error:
        return Check(name, f"fails: {first_line(error)}", fit=False)
    apart = float(np.abs(here.losses - there.losses).max())
    close = apart <= SELF_TEST_TOLERANCE
    text = f"{SELF_TEST_STEPS} losses differ from the CPU's by at most {apart:.1e}"
    return Check(name, text if close else f"{text}; {SELF_TEST_TOLERANCE:g} is allowed", fit=close)


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
