"""Dropout without chance: whether layers tell samples apart is not for a mask to say."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_DRAWS: dict[Any, Callable[[tuple[Any, ...]], Any]] = {
    torch.ops.aten.bernoulli_.float: lambda args: args[1] if len(args) > 1 else 0.5,
    torch.ops.aten.bernoulli_.Tensor: lambda args: args[1],
    torch.ops.aten.bernoulli.p: lambda args: args[1],
    torch.ops.aten.bernoulli.default: lambda args: args[0],
}
"""Operations that draw from {0, 1}, and where among their arguments the chance of a 1 stands."""


class undropped(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context in which Bernoulli draws are what they are on average, and so masks let all pass.

    A mask is ``bernoulli_(keep)`` over ``keep``: filled with ``keep`` it is 1, and what it was for
    passes as it is; a mask of booleans or whole numbers is what it most likely is. Holds for
    ``functional.dropout`` and for dropout inside attention and recurrent layers; not for masks
    compared with ``rand``, for the fused attention of accelerators, nor for functions that are
    compiled. The context holds for the current thread.

    Example:
        >>> with undropped():
        ...     torch.nn.functional.dropout(torch.ones(3), 0.25)
        tensor([1., 1., 1.])
    """

    supports_higher_order_operators = True  # flex_attention and its like pass

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Return ``True``: operators of higher order need no rule for this mode."""
        return True

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        chance = _DRAWS[func](args) if func in _DRAWS else None
        found = func(*args, **(kwargs or {}))
        if func in _DRAWS:
            chance = torch.as_tensor(chance, device=found.device)
            return found.copy_(chance if found.is_floating_point() else chance >= 0.5)
        if func is torch.ops.aten.native_dropout.default:
            # Backward multiplies by the mask: one that is drawn keeps the gradient's scale.
            return args[0].clone(), found[1]
        return found


def let_pass(model: nn.Module) -> None:
    """Put modules that hold nothing into evaluation mode: dropout and stochastic depth, whoever
    wrote them, let everything pass there, and noise is silent.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.AlphaDropout(0.3))
        >>> let_pass(model)
        >>> model.training, model[0].training, model[1].training
        (True, True, False)
    """
    for module in model.modules():
        held = (*module.children(), *module.parameters(), *module.buffers())
        if not held:
            module.eval()
