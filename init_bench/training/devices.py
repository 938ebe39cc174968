"""Resolve the name of a device, and list the devices of this machine."""

import torch

from init_bench.errors import InitBenchError, first_line


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device ``name``; ``auto`` is the accelerator of this machine, else the CPU.

    Raises:
        InitBenchError: torch knows no such device, or this machine has none.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as cause:
        reason = first_line(cause)
        if str(name).lower().startswith("gpu"):
            reason = "torch calls a GPU 'cuda'"
        elif reason.startswith("Expected one of"):  # then torch lists all that exist anywhere
            reason = "torch knows no device of this name"
        here = ", ".join(available_devices())
        raise InitBenchError(
            f"device {name!r} is not available: {reason}. On this machine: auto, {here}."
        ) from None
    if device.type == "meta":
        raise InitBenchError("device 'meta' holds no numbers; use auto or cpu")
    return device


def devices_of(name: str) -> list[torch.device]:
    """Return the devices that ``name`` stands for: all of a kind where no index is given.

    Example:
        >>> devices_of("cpu")
        [device(type='cpu')]
    """
    device = resolve_device(name)
    alone = device.type == "cpu" or (name != "auto" and device.index is not None)
    known = [torch.device(each) for each in available_devices()]
    return [device] if alone else [each for each in known if each.type == device.type] or [device]


def available_devices() -> list[str]:
    """Return the devices of this machine, ``cpu`` first."""
    kind = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if kind else 0
    return ["cpu", *(f"{kind.type}:{i}" for i in range(count) if kind)]
