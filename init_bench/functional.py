"""Nonlinearities called as functions (``F.relu(x)``, ``x.tanh()``), which no hook sees."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_UNBOUNDED = (
    *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu"),
    *("mish", "softplus", "hardswish", "logsigmoid", "softshrink", "threshold"),
)
BOUNDS: dict[str, tuple[float, float] | None] = {
    **dict.fromkeys(_UNBOUNDED),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "hardtanh": None,
}
"""Functional nonlinearities, and the range of those whose range no argument sets."""


def _names() -> dict[object, str]:
    """Return the name of each function, of method and of ``torch.nn.functional`` alike."""
    places = (torch, Tensor, F)
    found = {}
    for name in BOUNDS:
        for spelled in (name, f"{name}_"):
            functions = (getattr(place, spelled, None) for place in places)
            found.update({function: name for function in functions if function is not None})
    return found


_NAMES = _names()


class FunctionalActivations(TorchFunctionMode):
    """While on, tells ``begins(name, input)`` and ``ends(name, output)`` of each functional
    nonlinearity that is called.

    What a nonlinearity calls itself is not told: functions see no mode while one is handled.
    """

    def __init__(
        self, begins: Callable[[str, object], None], ends: Callable[[str, object], None]
    ) -> None:
        super().__init__()
        self.begins, self.ends, self.active = begins, ends, False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        words = kwargs or {}
        name = _NAMES.get(func)
        if name is None:
            return func(*args, **words)
        self.begins(name, args or words)
        output = func(*args, **words)
        self.ends(name, output)
        return output

    def turn(self, on: bool) -> None:
        """Switch on or off; under another's mode, switching off waits for a later call."""
        if on and not self.active:
            self.__enter__()  # type: ignore[no-untyped-call]
            self.active = True
        elif not on and self.active and _innermost() is self:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self.active = False


def _innermost() -> object:
    return torch.overrides._get_current_function_mode()  # type: ignore[no-untyped-call]
