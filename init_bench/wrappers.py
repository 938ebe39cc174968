"""Names a user gave, under what DDP, ``torch.compile``, FSDP and checkpointing wrap around them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.utils import parametrize

log = logging.getLogger(__name__)

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


def own_name(path: str) -> str:
    """Return the qualified name of a module or parameter without what wrappers put into it.

    Example:
        >>> own_name("0._checkpoint_wrapped_module.weight")
        '0.weight'
    """
    return ".".join(part for part in path.split(".") if part not in _ATTRIBUTES)


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Let parametrisations compute once and move nothing, as spectral norm does in training."""
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
    """Let compiled modules of ``model`` run as they were written; yield whether there are any."""
    compiled = any(
        isinstance(getattr(module, "_orig_mod", None), nn.Module)
        or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
    if not compiled:
        yield False
        return
    log.warning(
        "%s is compiled: capture looks at the module underneath, run without the compiler",
        type(unwrapped(model)).__name__,
    )
    with torch.compiler.set_stance("force_eager"):
        yield True
