"""Restore parameters that a model's own forward writes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from init_bench.hooks.isolation import address_of, preserved_state, saved_places
from init_bench.hooks.module_names import own_parameters
from init_bench.hooks.nested_tensors import tensors_in
from init_bench.hooks.random_streams import DispatchMode


@contextmanager
def restored_writes(model: nn.Module) -> Iterator[set[str]]:
    """Restore what ``preserved_state`` does, and parameters that the model itself overwrites.

    Data-dependent layers and codebooks do. Each is copied when it is first written. Yields a set
    that holds the names of the parameters written or replaced, once the block has ended.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> with restored_writes(layer) as written:
        ...     _ = layer.weight.data.zero_()
        >>> bool(layer.weight.any()), written
        (True, {'weight'})
    """
    before, written = own_parameters(model), set[str]()
    memory = {name: address_of(parameter) for name, parameter in before.items()}
    copies, restore_places = _CopiesOnWrite(before.values()), saved_places(model)
    with preserved_state(model):
        try:
            with copies:
                yield written
        finally:
            now = own_parameters(model)
            same = {n for n, p in before.items() if now.get(n) is p and address_of(p) == memory[n]}
            overwritten = {n for n, address in memory.items() if address in copies.copied}
            written.update(before.keys() - same, overwritten)
            restore_places()
            copies.restore()


class _CopiesOnWrite(DispatchMode):  # type: ignore[no-untyped-call]
    """Copy a parameter before the first operation that writes to its memory."""

    supports_higher_order_operators = True  # flex_attention and its like pass

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Return ``True``: operators of higher order need no rule for this mode."""
        return True

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__()
        self.unwritten: dict[int, list[Tensor]] = {}
        for parameter in parameters:
            self.unwritten.setdefault(address_of(parameter), []).append(parameter)
        self.unwritten.pop(0, None)
        self.copied: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for tensor in tensors_in(_written_arguments(func, args, kwargs)):
            address = address_of(tensor)
            if sharing := self.unwritten.pop(address, None):
                self.copied[address] = [(p.data, p.detach().clone()) for p in sharing]
        return func(*args, **kwargs)

    def restore(self) -> None:
        """Write the copies back."""
        for pairs in self.copied.values():
            for memory, values in pairs:
                memory.copy_(values)


def _written_arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """Return the arguments that an operation writes to, as ``x`` in ``x.add_(y)``."""
    schema = getattr(func, "_schema", None)
    if schema is None or not schema.is_mutable:
        return []
    return [
        args[place] if place < len(args) else kwargs.get(argument.name)
        for place, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
