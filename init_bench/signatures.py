"""Whether a function takes the arguments it is to be called with, asked before it is called."""

import inspect
from collections.abc import Callable


def misfit(function: Callable[..., object], *arguments: object) -> str:
    """Return why ``function`` does not take ``arguments``; empty where it does or does not say.

    Example:
        >>> misfit(lambda: 1, 2), misfit(lambda x: x, 2), misfit(max, 2)
        ('too many positional arguments', '', '')
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of what is written in C
        return ""
    try:
        signature.bind(*arguments)
    except TypeError as cause:
        return str(cause)
    return ""
