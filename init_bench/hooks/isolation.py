"""Restore a model's state after a block: parameters, buffers, gradients, modes, RNG states."""

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from init_bench.hooks.module_names import child_of, unwrapped
from init_bench.hooks.nested_tensors import tensors_in

log = logging.getLogger(__name__)


@contextmanager
def isolated_pass(model: nn.Module, inputs: Any = None) -> Iterator[None]:
    """Restore gradients, buffers, training modes and RNG states when the block ends.

    Inside, no parameter and no tensor of ``inputs`` has a gradient, and the RNG is seeded: two
    passes draw the same.
    """
    leaves = [x for x in tensors_in(inputs) if x.is_leaf and x.requires_grad]
    gradients = [(tensor, tensor.grad) for tensor in (*model.parameters(), *leaves)]
    for tensor, _ in gradients:
        tensor.grad = None
    try:
        with preserved_state(model):
            seed_rng(model, 0)
            yield
    finally:
        for tensor, gradient in gradients:
            tensor.grad = gradient


@contextmanager
def rollback_on_error(model: nn.Module) -> Iterator[None]:
    """Restore all of ``model`` if the block raises; the RNG states in any case.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> with rollback_on_error(layer):
        ...     _ = layer.weight.data.zero_()
        ...     raise ValueError("no")
        Traceback (most recent call last):
        ValueError: no
        >>> bool(layer.weight.any())
        True
    """
    restore_values = _saved_parameters(model)
    restore_rest = _saved_buffers_and_modes(model)
    restore_rng = _saved_rng(model)
    try:
        yield
    except BaseException:
        restore_values()
        restore_rest()
        raise
    finally:
        restore_rng()


@contextmanager
def restored_parameters(model: nn.Module) -> Iterator[None]:
    """Restore parameters, buffers, training modes and RNG states when the block ends.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> before = layer.weight.detach().clone()
        >>> with restored_parameters(layer):
        ...     _ = nn.init.zeros_(layer.weight)
        >>> torch.equal(layer.weight, before)
        True
    """
    restore_values = _saved_parameters(model)
    with preserved_state(model):
        try:
            yield
        finally:
            restore_values()


def address_of(tensor: Tensor) -> int:
    """Return where the memory of ``tensor`` begins, 0 where it has none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # as of sparse tensors
        return 0


@contextmanager
def preserved_state(model: nn.Module) -> Iterator[None]:
    """Restore buffers, training modes and RNG states when the block ends."""
    restores = (_saved_buffers_and_modes(model), _saved_rng(model))
    try:
        yield
    finally:
        for restore in restores:
            restore()


def seed_rng(model: nn.Module, seed: int) -> None:
    """Seed the RNG states that ``preserved_state`` restores.

    Needed where a backward pass may repeat a forward run: gradient checkpointing rewinds torch's
    own RNG states for it, but not a generator of ours.
    """
    torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    for device in _accelerators(model):
        state = torch.Generator(device).manual_seed(seed).get_state()
        torch.get_device_module(device).set_rng_state(state, device)


def _saved(tensors: Iterable[Tensor]) -> Callable[[], None]:
    """Return a function that restores the present values of ``tensors``."""
    pairs = [(tensor, tensor.detach().clone()) for tensor in tensors]

    def restore() -> None:
        for tensor, value in pairs:
            # Through ``data``: a graph that waits for its backward pass may hold this tensor, and
            # must not see it as changed.
            tensor.data.copy_(value)

    return restore


def _saved_parameters(model: nn.Module) -> Callable[[], None]:
    restore_places, restore_values = saved_places(model), _saved(model.parameters())

    def restore() -> None:
        restore_places()
        restore_values()

    return restore


def saved_places(model: nn.Module) -> Callable[[], None]:
    """Return a function that restores which parameters and modules there are, and their memory.

    A forward function may replace a parameter, give it other memory or another shape, or register
    what it needs when it is first called.
    """
    memories = [(p, p.data) for p in model.parameters() if not is_lazy(p)]
    restore_members = _saved_members(model, "_parameters", "_modules")

    def restore() -> None:
        restore_members()
        for parameter, memory in memories:
            parameter.data = memory

    return restore


def _saved_members(model: nn.Module, *registries: str) -> Callable[[], None]:
    """Return a function that restores what these dictionaries of each module hold."""
    found = [vars(module)[name] for module in _open_modules(model) for name in registries]
    held = [(members, dict(members)) for members in found]

    def restore() -> None:
        for members, before in held:
            # Unchanged, it stays untouched: another thread may run the model.
            if _identities(members) != _identities(before):
                members.clear()
                members.update(before)

    return restore


def _identities(members: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(name, id(value)) for name, value in members.items()]


def _open_modules(model: nn.Module) -> list[nn.Module]:
    """Return the modules whose parameters and buffers can be replaced: not those of TorchScript."""
    return [m for m in model.modules() if not isinstance(m, torch.jit.ScriptModule)]


def _saved_buffers_and_modes(model: nn.Module) -> Callable[[], None]:
    restore_values, restore_members = _saved(model.buffers()), _saved_members(model, "_buffers")
    modes = [(module, module.training) for module in _open_modules(model)]

    def restore() -> None:
        restore_values()
        restore_members()  # a forward function may put another tensor there
        for module, training in modes:
            module.training = training

    return restore


def _saved_rng(model: nn.Module) -> Callable[[], None]:
    accelerators = _accelerators(model)
    states = [torch.get_device_module(device).get_rng_state(device) for device in accelerators]
    state = torch.get_rng_state()

    def restore() -> None:
        torch.set_rng_state(state)
        for device, value in zip(accelerators, states, strict=True):
            torch.get_device_module(device).set_rng_state(value, device)

    return restore


def _accelerators(model: nn.Module) -> list[torch.device]:
    """Return the devices of ``model``, other than the CPU, that have an RNG state."""
    devices = {value.device for value in model.parameters()} - {torch.device("cpu")}
    return [device for device in devices if _has_rng(device)]


def _has_rng(device: torch.device) -> bool:
    return device.type != "meta" and hasattr(torch.get_device_module(device), "get_rng_state")


@contextmanager
def frozen_parametrizations(model: nn.Module) -> Iterator[None]:
    """Freeze parametrizations: each computes once, and spectral norm does no power iteration."""
    lists = [m for m in model.modules() if isinstance(m, parametrize.ParametrizationList)]
    modes = {module: module.training for parts in lists for module in parts.modules()}
    for module in modes:
        module.training = False
    try:
        with torch.no_grad(), parametrize.cached():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def run_uncompiled(model: nn.Module) -> Iterator[bool]:
    """Run what the user compiled without the compiler; yield whether modules of ``model`` are it.

    Compiled functions that the model calls cannot be seen: they may be there once the compiler is
    loaded.
    """
    compiled = is_compiled(model)
    if compiled:
        log.warning(
            "%s is compiled: the module underneath is captured, run without the compiler",
            type(unwrapped(model)).__name__,
        )
    with without_compiler():
        yield compiled


class without_compiler:
    """Context in which compiled functions run as they were written, in every thread.

    Torch has one stance for the process: the first thread to enter sets it, the last to leave
    restores it. A compiler that is not loaded has compiled nothing, and stays unloaded.

    Example:
        >>> double = torch.compile(lambda x: 2 * x)
        >>> with without_compiler():
        ...     double(torch.ones(2))
        tensor([2., 2.])
    """

    _lock = threading.Lock()
    _inside = 0
    _stance: Any = None

    def __enter__(self) -> None:
        shared = without_compiler
        with self._lock:
            shared._inside += 1
            if shared._stance is None and "torch._dynamo" in sys.modules:
                shared._stance = torch.compiler.set_stance("force_eager")

    def __exit__(self, *_: object) -> None:
        shared = without_compiler
        with self._lock:
            shared._inside -= 1
            if not shared._inside and shared._stance is not None:
                shared._stance.__exit__(None, None, None)
                shared._stance = None


def is_compiled(model: nn.Module) -> bool:
    """Return whether a module of ``model``, or its forward function, was compiled."""
    return any(map(_is_compiled, model.modules()))


def _is_compiled(module: nn.Module) -> bool:
    return (
        child_of(module, "_orig_mod") is not None
        or getattr(module, "_compiled_call_impl", None) is not None
        or hasattr(module.forward, "_torchdynamo_orig_callable")
    )
