"""Dropout without chance: whether layers tell samples apart is not for a mask to say."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class undropped(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context in which masks of dropout and of stochastic depth are what they are on average.

    A mask is ``bernoulli_(keep)`` over ``keep``: filled with ``keep`` it is 1, and what it was for
    passes as it is (through alpha dropout, scaled by its average). Holds for dropout inside
    attention and recurrent layers too; the fused attention of accelerators draws its own masks.
    The context holds for the current thread.

    Example:
        >>> with undropped():
        ...     torch.nn.functional.dropout(torch.ones(3), 0.25)
        tensor([1., 1., 1.])
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.bernoulli_.float:
            return found.fill_(args[1] if len(args) > 1 else 0.5)
        if func is torch.ops.aten.native_dropout.default:
            # Backward multiplies by the mask: one that is drawn keeps the gradient's scale.
            return args[0].clone(), found[1]
        return found
