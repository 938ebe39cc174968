"""Name modules as the user did, under DDP, ``torch.compile``, FSDP and checkpointing."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

_ATTRIBUTES = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Names under which wrappers keep the module they wrap; ``module`` counts for DDP alone."""


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the user's own module inside ``DistributedDataParallel`` and the like.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> unwrapped(nn.DataParallel(net)) is net
        True
    """
    while True:
        if isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
            continue
        inner = next((name for name, _ in model.named_children() if name in _ATTRIBUTES), None)
        if inner is None:
            return model
        model = model.get_submodule(inner)


@contextmanager
def without_wrappers(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the user's own module, whose wrapped parts are their own too while the block runs.

    Example:
        >>> from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
        ...     checkpoint_wrapper)
        >>> net = nn.Sequential(checkpoint_wrapper(nn.Linear(2, 1)))
        >>> with without_wrappers(net) as own:
        ...     type(own[0]).__name__
        'Linear'
        >>> type(net[0]).__name__
        'CheckpointWrapper'
    """
    own = unwrapped(model)
    wrapped = [
        (around, name, part)
        for around in list(own.modules())
        for name, part in around._modules.items()  # named_children() has a part used twice once
        if part is not None and unwrapped(part) is not part
    ]
    try:
        for around, name, part in wrapped:
            around._modules[name] = unwrapped(part)
        yield own
    finally:
        for around, name, part in wrapped:
            around._modules[name] = part


def own_modules(model: nn.Module, *, every_name: bool = False) -> dict[str, nn.Module]:
    """Return the modules of ``model``, itself included, by the names its user gave them.

    Modules that compute a parameter (``torch.nn.utils.parametrize``) are part of their owner. A
    module that has several names goes by the first, or, with ``every_name``, by each.

    Example:
        >>> list(own_modules(nn.Sequential(nn.Linear(2, 1))))
        ['', '0']
    """
    return {
        own_name(path): module
        for path, module in unwrapped(model).named_modules(remove_duplicate=not every_name)
        if "parametrizations" not in path.split(".")
    }


def own_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of ``model``, each once, by the names its user gave them.

    Example:
        >>> list(own_parameters(nn.DataParallel(nn.Linear(2, 1))))
        ['weight', 'bias']
    """
    return {own_name(path): value for path, value in unwrapped(model).named_parameters()}


def has_children(module: nn.Module) -> bool:
    """Return whether ``module`` contains modules, empty ones too.

    Example:
        >>> has_children(nn.Sequential(nn.Sequential())), has_children(nn.Linear(2, 1))
        (True, False)
    """
    return any(child is not None for child in module._modules.values())


def child_of(module: nn.Module, name: str) -> nn.Module | None:
    """Return the module that ``module`` holds under a name, ``None`` without one.

    Faster than ``getattr``, which raises within where there is none. A module of TorchScript holds
    its children in what is no dictionary.

    Example:
        >>> child_of(nn.Sequential(nn.ReLU()), "0"), child_of(nn.ReLU(), "0")
        (ReLU(), None)
    """
    children = module._modules
    return children[name] if name in children else None


def own_name(path: str) -> str:
    """Return the qualified name of a module or parameter without what wrappers put into it.

    Example:
        >>> own_name("0._checkpoint_wrapped_module.weight")
        '0.weight'
    """
    return ".".join(part for part in path.split(".") if part not in _ATTRIBUTES)


def is_torchs(module: nn.Module) -> bool:
    """Return whether the class of ``module`` is torch's own, not the user's or derived from one.

    Example:
        >>> is_torchs(nn.Linear(2, 1)), is_torchs(type("Mine", (nn.Linear,), {})(2, 1))
        (True, False)
    """
    return type(module).__module__.startswith("torch.nn.")
