"""Assert that a step leaves the host of an accelerator free to run ahead."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Syncs(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations for which an accelerator's host must wait."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in self.WAITS:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def assert_never_waits(step: Callable[[], object]) -> None:
    """Assert that no operation of three steps makes an accelerator's host wait."""
    with Syncs() as syncs:
        torch.zeros(1).item()
        assert syncs.seen == ["_local_scalar_dense"], "the count itself works"
        for _ in range(3):
            step()
    assert syncs.seen == ["_local_scalar_dense"]
