"""Draw from named random streams: a seed and a purpose set a stream, not the order of draws."""

import functools
import hashlib
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Self

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


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that several threads may be in at once.

    Torch notes in globals of the process that a mode is entered, and a mode restores on exit what
    it found on entry. Of threads that overlap, the last to leave would restore what another had
    set, and torch's compiler would stay out for the rest of the process. Here the modes of all
    threads share one stack of what they found: the last restores what the first found.
    """

    _lock = threading.RLock()
    _found: ClassVar[dict[str, deque[bool]]] = {
        "old_dispatch_mode_flags": deque(),
        "old_non_infra_dispatch_mode_flags": deque(),
        "old_without_ignore_compile_internals_dispatch_mode_flags": deque(),
    }

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.__dict__.update(self._found)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return that torch need not keep its compiler out: to do so it would load it, for 3 s."""
        return False

    def __enter__(self) -> Self:
        if "torch._dynamo" in sys.modules:
            _keep_compiler_out(type(self))  # type: ignore[arg-type]
        with self._lock:
            entered: Self = super().__enter__()  # type: ignore[no-untyped-call]
        return entered

    def __exit__(self, *error: Any) -> None:
        with self._lock:
            super().__exit__(*error)  # type: ignore[no-untyped-call]


class drawing_from(DispatchMode):  # type: ignore[no-untyped-call]
    """Context in which random fills that name no generator draw from ``generator``.

    ``nn.Module.reset_parameters`` and ``torch.nn.init.sparse_`` draw from torch's global
    stream; inside this context they draw from ours, and the global one does not move. The
    context holds for the current thread only. ``drew`` is true once anything drew, ``repeated``
    once anything drew in a backward pass, where gradient checkpointing repeats a forward pass.
    Fused attention and cuDNN's recurrent layers draw the masks of their dropout inside a kernel,
    which no context sees.

    Example:
        >>> before = torch.get_rng_state()
        >>> with drawing_from(stream(0, "fc1.weight")):
        ...     layer = torch.nn.Linear(3, 2)
        >>> torch.equal(before, torch.get_rng_state())
        True
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator
        self.drew = self.repeated = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten.native_dropout.default:
            self._note_draw()
            return self._dropped(*args)
        takes = _takes_generator(func)
        if takes is None or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        self._note_draw()
        device = _device_of(args, kwargs)
        if device != self.generator.device:
            return self._drawn_elsewhere(func, takes, args, kwargs, device)
        return takes(*args, **{**kwargs, "generator": self.generator})

    def _note_draw(self) -> None:
        self.drew = True
        self.repeated |= torch._C._current_graph_task_id() != -1

    def _dropped(self, x: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
        """Do dropout as accelerators have it, in one operation that takes no generator."""
        keep = 1.0 if train is False else 1 - p
        kept = torch.empty(x.shape).bernoulli_(keep, generator=self.generator).to(x.device)
        return x * kept.to(x.dtype) * (1 / keep if keep else 0.0), kept.bool()

    def _drawn_elsewhere(
        self, func: Any, takes: Any, args: Any, kwargs: dict[str, Any], device: torch.device
    ) -> Any:
        """Draw on the generator's device, then move: the same values on every device."""
        own = self.generator.device
        if func._schema.is_mutable:
            drawn = torch.empty(args[0].shape, dtype=args[0].dtype, device=own)
            takes(drawn, *args[1:], **{**kwargs, "generator": self.generator})
            return args[0].copy_(drawn)
        here = [_moved(value, own) if isinstance(value, Tensor) else value for value in args]
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": own}
        return _moved(takes(*here, **{**kwargs, "generator": self.generator}), device)


@functools.cache
def _keep_compiler_out(mode: type[DispatchMode]) -> None:
    """Let torch's compiler, which is loaded, leave our operations as they are."""
    left_alone: Any = torch.compiler.disable(mode.__torch_dispatch__)  # type: ignore[no-untyped-call]
    mode.__torch_dispatch__ = left_alone  # type: ignore[method-assign]


def _moved(value: Tensor, device: torch.device) -> Tensor:
    return torch.empty_like(value, device=device).copy_(value)


def _device_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    """Return where the result of an operation will be."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    first = next((value for value in args if isinstance(value, Tensor)), None)
    return torch.device("cpu") if first is None else first.device


def _takes_generator(func: Any) -> Callable[..., Any] | None:
    """Return ``func``, or its overload, that accepts ``generator``; ``None`` if none does."""
    if any(argument.name == "generator" for argument in func._schema.arguments):
        overload: Callable[..., Any] = func
        return overload
    sibling: Callable[..., Any] | None = getattr(func.overloadpacket, "generator", None)
    return sibling
