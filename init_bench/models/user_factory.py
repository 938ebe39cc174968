"""Find the factory that ``MODULE:FACTORY`` names, and check what it builds."""

import importlib
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from torch import nn

from init_bench.errors import InitBenchError, misfit, nearest

NAMED = (
    "must be MODULE:FACTORY, the module as Python imports it from here (dots, no path, no .py), "
    "such as torchvision.models:resnet18, or mine:net for the function net in mine.py"
)
"""How a model is named, for a message."""


def find_factory(text: str) -> Callable[..., nn.Module]:
    """Return the function or class that ``MODULE:FACTORY`` names; the working folder counts.

    Raises:
        InitBenchError: ``text`` is a path or has no colon, the module cannot be imported, or it
            holds nothing of that name that can be called, or a model instead of what builds one.

    Example:
        >>> find_factory("torch.nn:Identity")()
        Identity()
    """
    module_name, colon, name = text.partition(":")
    if not (colon and name and all(module_name.split("."))) or set("/\\") & set(module_name):
        raise InitBenchError(f"model {text!r} {NAMED}")
    module = _imported(module_name, text)
    found = getattr(module, name, None)
    if found is None:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise InitBenchError(
            f"model {text!r}: {module_name} has no {name!r}{nearest(name, public)}"
        )
    if isinstance(found, nn.Module):
        raise InitBenchError(
            f"model {text!r}: {name} is a model itself, a {type(found).__name__}, and each run "
            f"needs a fresh one; name a function that builds and returns it"
        )
    if not callable(found):
        raise InitBenchError(f"model {text!r}: {name} is {found!r}, which cannot be called")
    factory: Callable[..., nn.Module] = found
    return factory


def _imported(module_name: str, text: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as cause:  # a script without a main guard may leave
        lost = isinstance(cause, ModuleNotFoundError) and f"{module_name}.".startswith(
            f"{cause.name}."
        )
        raise InitBenchError(
            f"model {text!r}: module {module_name!r} cannot be imported: "
            f"{type(cause).__name__}: {cause}" + f"; the model {NAMED}" * lost
        ) from cause


def check_norm(norm: str, allowed: Collection[str], model: str) -> None:
    """Refuse a normalization that ``model`` does not have.

    Raises:
        InitBenchError: ``norm`` is not allowed.
    """
    if norm not in allowed:
        raise InitBenchError(f"{model}: norm must be {' or '.join(allowed)}, got {norm!r}")


def why_not_sizes(factory: Callable[..., object], *sizes: object) -> str:
    """Return why a factory does not take a width, or a width and a depth; empty where it does.

    Example:
        >>> why_not_sizes(lambda width=64: None, 32), why_not_sizes(lambda width=64: None, 32, 4)
        ('', 'it takes a width, but no depth')
    """
    why = misfit(factory, *sizes)
    if not why.startswith("too many"):
        return why
    taken = next((n for n in reversed(range(len(sizes))) if not misfit(factory, *sizes[:n])), 0)
    return ("it takes no width", "it takes a width, but no depth")[taken]


def check_module(built: object, source: str) -> nn.Module:
    """Return what a factory built, if it is a module.

    Raises:
        InitBenchError: it is none; ``source`` names the factory.

    Example:
        >>> check_module("a text", "model 'mine:net'")
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: model 'mine:net' must return a torch.nn.Module, got str
    """
    if not isinstance(built, nn.Module):
        raise InitBenchError(f"{source} must return a torch.nn.Module, got {type(built).__name__}")
    return built
