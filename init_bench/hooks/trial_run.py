"""Run a module's forward function on inputs that are not known, to see how it uses its weights."""

import copy
import dis
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from init_bench.hooks.python_state import preserved_attributes
from init_bench.hooks.weight_uses import WeightUse, WeightUses, operands


class UnknownShape:
    """Stand for the shape of an unknown tensor, of any number of dimensions of size 1."""

    def __iter__(self) -> Iterator[int]:
        return iter([1] * _unpacked(inspect.currentframe()))

    def __getitem__(self, index: object) -> Any:
        return self if isinstance(index, slice) else 1

    def __add__(self, other: object) -> "UnknownShape":
        return self

    __radd__ = __add__

    def __len__(self) -> int:
        return 1

    def __call__(self, *dim: int) -> Any:
        """Return the size along a dimension, or the whole shape, as ``Tensor.size`` does."""
        return 1 if dim else self


class UnknownSignal:
    """Stand for a tensor whose size and values are not known; what it is put into is one too.

    Attributes:
        truth: what a condition on it counts as.
    """

    truth = True
    dtype, device, layout = torch.float32, torch.device("cpu"), torch.strided
    requires_grad = is_cuda = is_nested = is_sparse = is_quantized = False
    shape = size = UnknownShape()

    @classmethod
    def __torch_function__(
        cls, func: object, types: object, args: object = (), kwargs: object = None
    ) -> "UnknownSignal":
        return cls()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(Tensor, name, None)
        return _method(self, method) if callable(method) else type(self)()

    def __call__(self, *args: object, **kwargs: object) -> "UnknownSignal":
        return type(self)()

    def __getitem__(self, index: object) -> "UnknownSignal":
        return type(self)()

    def __setitem__(self, index: object, value: object) -> None:
        pass

    def __iter__(self) -> Iterator["UnknownSignal"]:
        """Yield as many parts as the caller's code unpacks, else one."""
        number = _unpacked(inspect.currentframe())
        return iter([type(self)() for _ in range(number)])

    def __bool__(self) -> bool:
        return self.truth

    def __index__(self) -> int:
        return 1

    def __int__(self) -> int:
        return 1

    def __float__(self) -> float:
        return 1.0

    def __len__(self) -> int:
        return 1


class _DeniedSignal(UnknownSignal):
    """Stand for an unknown tensor on which conditions count as false."""

    truth = False


def _method(signal: UnknownSignal, method: Any) -> Callable[..., Any]:
    """Return a method of an unknown tensor: called, it is torch's function of that tensor."""

    def call(*args: Any, **kwargs: Any) -> Any:
        mode = torch.overrides._get_current_function_mode()  # type: ignore[no-untyped-call]
        if mode is None:
            return type(signal)()
        return mode.__torch_function__(method, (), (signal, *args), kwargs)

    return call


def _operator(name: str) -> Callable[..., Any]:
    """Return an operator of an unknown tensor as torch's function of that name."""
    method = getattr(Tensor, name)
    return lambda signal, *others: _method(signal, method)(*others)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or"):
    for _form in (f"__{_name}__", f"__r{_name}__", f"__i{_name}__"):
        if hasattr(Tensor, _form):
            setattr(UnknownSignal, _form, _operator(_form))


for _name in ("neg", "invert", "abs", "lt", "le", "gt", "ge", "ne", "eq"):
    setattr(UnknownSignal, f"__{_name}__", _operator(f"__{_name}__"))
UnknownSignal.__hash__ = object.__hash__  # type: ignore[method-assign]


class _Observing(TorchFunctionMode):
    """Show every call of torch's functions to ``uses``."""

    def __init__(self, uses: WeightUses) -> None:
        super().__init__()
        self.uses = uses

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        inside = operands((*args, *kwargs.values()))
        unknown = next((x for x in inside if isinstance(x, UnknownSignal)), None)
        if unknown is None:
            output = func(*args, **kwargs)
        elif func is Tensor.__getitem__ and isinstance(args[0], Tensor) and args[0].dim() > 2:
            output = args[0][0]  # some matrix of a stack
        else:
            output = type(unknown)()
        with torch._C.DisableTorchFunction():
            self.uses.observe(func, args, kwargs, output)
        return output


def uses_by_trial(module: nn.Module) -> dict[str, WeightUse]:
    """Return how ``module`` uses its parameters, by their names, as far as trial runs come.

    Its forward function runs on arguments without size or values: what is computed from weights
    alone is computed, everything else is not known. A condition counts as true, then as false; a
    loop over something unknown runs once. Nothing of the module is changed.

    Example:
        >>> class Product(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.w = nn.Parameter(torch.ones(3, 2))
        ...     def forward(self, x):
        ...         return x @ self.w
        >>> use = uses_by_trial(Product())["w"]
        >>> use.fan_in, use.fan_out
        (3, 2)
    """
    parameters = dict(module.named_parameters())
    uses = WeightUses({**dict(module.named_buffers()), **parameters})
    for every in (False, True):
        for kind in (UnknownSignal, _DeniedSignal):
            if parameters.keys() <= uses.found.keys():
                break
            with (
                suppress(Exception),
                preserved_attributes(module),
                torch.no_grad(),
                _Observing(uses),
            ):
                copy.copy(module).forward(*_arguments(module, kind, every=every))
    return uses.found


def _arguments(module: nn.Module, kind: type[UnknownSignal], *, every: bool) -> list[UnknownSignal]:
    """Return an unknown tensor for each argument, or for each that has no default."""
    parameters = inspect.signature(module.forward).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [p for p in parameters if p.kind in kinds and (every or p.default is p.empty)]
    return [kind() for _ in taken]


def _unpacked(called: FrameType | None) -> int:
    """Return how many parts the caller's instruction unpacks, 1 if it unpacks none."""
    caller = None if called is None else called.f_back
    if caller is None:
        return 1
    for instruction in dis.get_instructions(caller.f_code):
        if instruction.offset == caller.f_lasti:
            found = instruction.opname.startswith("UNPACK_SEQUENCE")
            return int(instruction.arg or 1) if found else 1
    return 1
