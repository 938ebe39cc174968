"""Disable dropout while statistics are taken.

A mask would make even equal samples differ.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from init_bench.hooks.random_streams import DispatchMode

_DRAWS: dict[Any, Callable[[tuple[Any, ...]], Any]] = {
    torch.ops.aten.bernoulli_.float: lambda args: args[1] if len(args) > 1 else 0.5,
    torch.ops.aten.bernoulli_.Tensor: lambda args: args[1],
    torch.ops.aten.bernoulli.p: lambda args: args[1],
    torch.ops.aten.bernoulli.default: lambda args: args[0],
}
"""Operations that draw from {0, 1}, and how to read the probability of a 1 off their arguments."""


_RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
"""Recurrent layers in which nothing but dropout depends on the mode."""


class BernoulliMeans(DispatchMode):  # type: ignore[no-untyped-call]
    """Replace Bernoulli draws by their mean, so that dropout masks let everything pass.

    A mask is ``bernoulli_(keep)`` over ``keep``: filled with ``keep`` it is 1. A mask of booleans
    or integers takes its most likely value. This covers ``functional.dropout`` and dropout inside
    attention and recurrent layers; not masks compared with ``rand``, the fused attention of
    accelerators, nor compiled functions. It holds for the current thread.

    Example:
        >>> with BernoulliMeans():
        ...     torch.nn.functional.dropout(torch.ones(3), 0.25)
        tensor([1., 1., 1.])
    """

    supports_higher_order_operators = True  # flex_attention and its like pass

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Return ``True``: operators of higher order need no rule for this mode."""
        return True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        probability = _DRAWS[func](args) if func in _DRAWS else None
        drawn = func(*args, **(kwargs or {}))
        if func in _DRAWS:
            probability = torch.as_tensor(probability, device=drawn.device)
            return drawn.copy_(probability if drawn.is_floating_point() else probability >= 0.5)
        if func is torch.ops.aten.native_dropout.default:
            # Backward multiplies by the mask: one that is drawn keeps the gradient's scale.
            return args[0].clone(), drawn[1]
        return drawn


@contextmanager
def dropout_disabled(model: nn.Module) -> Iterator[None]:
    """Disable dropout, stochastic depth and noise of ``model`` inside the block.

    Modules that hold nothing go into evaluation mode, whoever wrote them; what the others draw is
    replaced by its mean, see ``BernoulliMeans``. Recurrent layers draw inside a kernel on CUDA, so
    their ``dropout`` is 0. Torch's own then compute the same in both modes and go into training
    mode, the only one in which cuDNN gives their gradients.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.AlphaDropout(0.3))
        >>> with dropout_disabled(model):
        ...     model.training, model[0].training, model[1].training
        (True, True, False)
        >>> model[1].training
        True
    """
    modes = {module: module.training for module in model.modules() if _holds_nothing(module)}
    recurrent = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
    shares = {module: (module.dropout, module.training) for module in recurrent}
    for module in modes:
        module.eval()
    for module in recurrent:
        module.dropout = 0.0
        module.training |= type(module) in _RECURRENT
    try:
        with BernoulliMeans():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        for layer, (share, training) in shares.items():
            layer.dropout, layer.training = share, training


def _holds_nothing(module: nn.Module) -> bool:
    return not (*module.children(), *module.parameters(), *module.buffers())
