"""Name the parameters of a network: tied ones have several names, patterns match many."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from init_bench.errors import InitBenchError, nearest
from init_bench.init.whole_model.parameters import named_parameters


def first_names(model: nn.Module) -> dict[str, str]:
    """Return the name under which each parameter is filled, by every name that it has.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> first_names(nn.ModuleDict({"a": layer, "b": layer}))
        {'a.weight': 'a.weight', 'b.weight': 'a.weight'}
    """
    own = [parameter.name for parameter in named_parameters(model)]
    return {name: first for first, names in all_names(model, own).items() for name in names}


def all_names(model: nn.Module, names: Iterable[str]) -> dict[str, list[str]]:
    """Return all names of each parameter, by its first name; ``names`` are first names.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> all_names(nn.ModuleDict({"a": layer, "b": layer}), ["a.weight"])
        {'a.weight': ['a.weight', 'b.weight']}
    """
    found = {name: [name] for name in names}
    first: dict[int, str] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(value), name)
        if owner != name and owner in found:
            found[owner].append(name)
    return found


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the qualified names that the ``fnmatch`` pattern matches.

    Raises:
        InitBenchError: none does.

    Example:
        >>> matching("head.*", ["body.weight", "head.weight", "head.bias"])
        ['head.weight', 'head.bias']
    """
    if not isinstance(pattern, str):
        raise InitBenchError(f"a pattern is a string such as 'head.*', got {pattern!r}")
    names = list(names)
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        near = nearest(pattern.strip("*."), names)
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise InitBenchError(
            f"pattern {pattern!r} matches no parameter and no module{near} There are: {shown}"
        )
    return found
