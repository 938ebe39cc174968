"""Draw from named random streams: a seed and a purpose set a stream, not the order of draws."""

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def stream(seed: int, purpose: str) -> torch.Generator:
    """Return a CPU generator that depends on ``seed`` and ``purpose`` alone.

    Who drew before, from what and on which device makes no difference, so the weights of
    ``"fc2.weight"`` are the same in every network that has a parameter of that name.

    Example:
        >>> a, b = stream(0, "fc1.weight"), stream(0, "fc1.weight")
        >>> torch.equal(torch.randn(3, generator=a), torch.randn(3, generator=b))
        True
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class drawing_from(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context in which random fills that name no generator draw from ``generator``.

    ``nn.Module.reset_parameters`` and ``torch.nn.init.sparse_`` draw from torch's global
    stream; inside this context they draw from ours, and the global one does not move. The
    context holds for the current thread only. ``drew`` is true once anything drew.

    Example:
        >>> before = torch.get_rng_state()
        >>> with drawing_from(stream(0, "fc1.weight")):
        ...     layer = torch.nn.Linear(3, 2)
        >>> torch.equal(before, torch.get_rng_state())
        True
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = generator
        self.drew = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten.native_dropout.default:
            return self._dropped(*args)
        takes = _takes_generator(func)
        if takes is None or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        self.drew = True
        if args and isinstance(args[0], Tensor) and args[0].device != self.generator.device:
            return self._drawn_elsewhere(func, takes, args, kwargs)
        return takes(*args, **{**kwargs, "generator": self.generator})

    def _dropped(self, x: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
        """Do dropout as accelerators have it, in one operation that takes no generator."""
        self.drew = True
        keep = 1.0 if train is False else 1 - p
        kept = torch.empty(x.shape).bernoulli_(keep, generator=self.generator).to(x.device)
        return x * kept.to(x.dtype) * (1 / keep if keep else 0.0), kept.bool()

    def _drawn_elsewhere(self, func: Any, takes: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Fill a tensor of another device with what the generator's draws: the same values."""
        target = args[0]
        if not func._schema.is_mutable:
            return func(*args, **kwargs)
        drawn = torch.empty(target.shape, dtype=target.dtype, device=self.generator.device)
        takes(drawn, *args[1:], **{**kwargs, "generator": self.generator})
        return target.copy_(drawn)


def _takes_generator(func: Any) -> Callable[..., Any] | None:
    """Return ``func``, or its overload, that accepts ``generator``; ``None`` if none does."""
    if any(argument.name == "generator" for argument in func._schema.arguments):
        overload: Callable[..., Any] = func
        return overload
    sibling: Callable[..., Any] | None = getattr(func.overloadpacket, "generator", None)
    return sibling
