"""Read the tensors of a model, a state dict or a file one after another."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from init_bench.diagnosis.checkpoint import checkpoint_file
from init_bench.diagnosis.checkpoint.guessed_modules import home_of, stand_ins
from init_bench.errors import InitBenchError
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.module_names import own_name, unwrapped
from init_bench.init.whole_model.parameter_roles import is_weight
from init_bench.init.whole_model.parameters import NamedParameter

Source = nn.Module | Mapping[str, Any] | str | Path
"""What holds parameters: a model, a state dict, or the path of a checkpoint."""


PIECE = 2**22
"""Values that are read from a file at a time."""


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """Locate one tensor, and read it row by row when it is asked for.

    Attributes:
        name: qualified name.
        shape: its sizes.
        dtype: its type.
        parameter: where it lives: in the model, or in a module guessed from names and shapes.
        of_model: whether that module is the model's own.
        rows: reads rows ``start`` to ``stop``; of a tensor without dimensions, all.
        memory: equal for two names of the same memory; ``None`` where that is not known.
        missing: why there are no values to read; empty if there are.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    parameter: NamedParameter
    of_model: bool
    rows: Callable[[int, int], Tensor]
    memory: Hashable = None
    missing: str = ""

    @property
    def number(self) -> int:
        """How many values it has."""
        return self.shape_only.numel()

    @property
    def shape_only(self) -> Tensor:
        """A tensor of this shape that has no values."""
        return torch.empty(self.shape, device="meta")

    @property
    def is_weight(self) -> bool:
        """Whether it is a matrix whose values should differ."""
        return self.parameter.role == "weight"

    def values(self) -> Tensor:
        """Return the whole tensor."""
        return self.rows(0, self.shape[0] if self.shape else 1)

    def pieces(self) -> Iterator[Tensor]:
        """Yield the tensor in pieces of whole rows, each of about ``PIECE`` values."""
        length = self.shape[0] if self.shape else 1
        step = max(1, PIECE * length // max(1, self.number))
        for start in range(0, length, step):
            yield self.rows(start, min(start + step, length))


def tensors_of(source: Source) -> dict[str, StoredTensor]:
    """Return the tensors of ``source`` by name, none of them read yet.

    Raises:
        InitBenchError: ``source`` is none of what it may be, holds no tensors, or is a file that
            cannot be read.

    Example:
        >>> {name: one.shape for name, one in tensors_of(nn.Linear(3, 2)).items()}
        {'weight': (2, 3), 'bias': (2,)}
    """
    if isinstance(source, nn.Module):
        found = _of_model(source)
    elif isinstance(source, Mapping):
        found = _of_state_dict(source, "the mapping")
    elif isinstance(source, str | Path):
        found = _of_path(Path(source))
    else:
        raise InitBenchError(
            f"only a torch.nn.Module, a state dict or the path of a checkpoint can be audited, "
            f"got {type(source).__name__}"
        )
    if not found:
        raise InitBenchError(f"{_called(source)} has no parameters: there is nothing to audit")
    return found


def _called(source: Source) -> str:
    return str(source) if isinstance(source, str | Path) else type(source).__name__


def _of_model(model: nn.Module) -> dict[str, StoredTensor]:
    modules = ModelView(model).modules_by_every_name
    everything = dict(unwrapped(model).named_modules(remove_duplicate=False))
    state = unwrapped(model).state_dict(keep_vars=True)
    tensors = {path: value for path, value in state.items() if isinstance(value, Tensor)}
    guessed = stand_ins({own_name(path): _shape(value) for path, value in tensors.items()})
    found = {}
    for path, value in tensors.items():
        name = own_name(path)
        module = modules.get(home_of(name)[0]) or everything[path.rpartition(".")[0]]
        if parametrize.is_parametrized(module):
            module = guessed[name]  # to read a weight of the model's own would compute it
        found[name] = _in_memory(name, value, module, of_model=True)
    return found


def _of_state_dict(values: Mapping[str, Any], source: str) -> dict[str, StoredTensor]:
    tensors = checkpoint_file.state_dict_of(values, source)
    modules = stand_ins({name: tuple(value.shape) for name, value in tensors.items()})
    return {name: _in_memory(name, value, modules[name]) for name, value in tensors.items()}


def _shape(value: Tensor) -> tuple[int, ...]:
    return () if is_lazy(value) else tuple(value.shape)


def _in_memory(
    name: str, value: Tensor, module: nn.Module, *, of_model: bool = False
) -> StoredTensor:
    missing = "it is lazy and has no shape yet" if is_lazy(value) else ""
    missing = missing or ("it is on the meta device" if value.is_meta else "")
    shape = _shape(value)
    held = None if missing or not value.numel() else _memory(value)
    return StoredTensor(
        name=name,
        shape=shape,
        dtype=value.dtype,
        parameter=_named(name, module, shape),
        of_model=of_model,
        rows=lambda start, stop: value.detach()[start:stop] if shape else value.detach(),
        memory=held,
        missing=missing,
    )


def _memory(value: Tensor) -> Hashable:
    """Return where the values lie; two parameters of the same memory and shape are tied."""
    try:
        start = value.data_ptr()
    except RuntimeError:  # of a tensor subclass that has no memory of its own
        return None
    return (start, tuple(value.shape), value.stride()) if start else None


def _of_path(path: Path) -> dict[str, StoredTensor]:
    if checkpoint_file.is_pickle(path):
        return _of_state_dict(checkpoint_file.read_pickle(path), str(path))
    headers = checkpoint_file.read_headers(path)
    modules = stand_ins({name: header.shape for name, header in headers.items()})
    return {
        name: StoredTensor(
            name=name,
            shape=header.shape,
            dtype=header.dtype,
            parameter=_named(name, modules[name], header.shape),
            of_model=False,
            rows=header.rows,
        )
        for name, header in headers.items()
    }


def _named(name: str, module: nn.Module, shape: tuple[int, ...]) -> NamedParameter:
    path, attribute = home_of(name)
    weight = is_weight(module, attribute, torch.empty(shape, device="meta"))
    return NamedParameter(
        name=name,
        path=path,
        module=module,
        attribute=attribute,
        role="weight" if weight else "left",
    )
