"""Intercept nonlinearities called as functions (``F.relu(x)``, ``x.tanh()``): no hook sees them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from init_bench.activations.recognition import FUNCTIONS

Observes = Callable[[Any, tuple[Any, ...], Mapping[str, Any], object], None]
"""Is shown a function that is no nonlinearity: its arguments and its output."""


class FunctionalActivations(TorchFunctionMode):
    """Call ``begins(name, inputs)`` and ``ends(name, output)`` around each nonlinearity.

    ``observes`` is shown every other function.

    A nonlinearity that another one calls is not reported: torch switches the mode off while it
    handles a function.
    """

    def __init__(
        self,
        begins: Callable[[str, object], None],
        ends: Callable[[str, object], None],
        observes: Observes | None = None,
    ) -> None:
        super().__init__()
        self.begins, self.ends, self.observes, self.active = begins, ends, observes, False

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = FUNCTIONS.get(func)
        if name is None:
            output = func(*args, **kwargs)
            if self.observes is not None:
                self.observes(func, args, kwargs, output)
            return output
        self.begins(name, args or kwargs)
        output = func(*args, **kwargs)
        self.ends(name, output)
        return output

    def switch(self, on: bool) -> None:
        """Switch on or off; under another's mode, switching off waits for a later call."""
        if on and not self.active:
            self.__enter__()  # type: ignore[no-untyped-call]
            self.active = True
        elif not on and self.active and _innermost() is self:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self.active = False


def _innermost() -> object:
    return torch.overrides._get_current_function_mode()  # type: ignore[no-untyped-call]
