"""A user's own model by name: ``package.module:factory``."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from init_bench.errors import InitBenchError, nearest


def find_factory(text: str) -> Callable[..., nn.Module]:
    """Return the function or class that ``MODULE:FACTORY`` names; the working folder counts.

    Raises:
        InitBenchError: ``text`` has no colon, the module cannot be imported, or it holds nothing
            of that name that can be called.

    Example:
        >>> find_factory("torch.nn:Identity")()
        Identity()
    """
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        raise InitBenchError(
            f"model {text!r} must be MODULE:FACTORY, such as torchvision.models:resnet18"
        )
    module = _imported(module_name, text)
    found = getattr(module, name, None)
    if found is None:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise InitBenchError(
            f"model {text!r}: {module_name} has no {name!r}{nearest(name, public)}"
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
        raise InitBenchError(
            f"model {text!r}: module {module_name!r} cannot be imported: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
