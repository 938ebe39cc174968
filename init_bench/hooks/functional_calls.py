"""Nonlinearities called as functions (``F.relu(x)``, ``x.tanh()``), which no hook sees."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from init_bench.activations.recognition import FUNCTIONS


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
        name = FUNCTIONS.get(func)
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
