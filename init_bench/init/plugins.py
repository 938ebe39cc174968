"""Load initializers that other packages bring, by an entry point of ``init_bench.inits``."""

import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from init_bench.init.lookup import register_init

GROUP = "init_bench.inits"


def load_plugins() -> None:
    """Put every installed plug-in on the menu under its entry point's name.

    A package offers an initializer in its ``pyproject.toml``:

        [project.entry-points."init_bench.inits"]
        half_he = "my_package.inits:half_he_"

    It states the fields of its ``InitRecord`` by attributes of the function. One that fills a
    whole network says what it must see: ``leveled_.needs = "batch"``. One that draws says what,
    and is then reported, tested and recognized as the package's own are:

        half_he_.nominal_std = lambda arguments, size: (2 * size.fan_in) ** -0.5
        half_he_.distribution = "normal"

    A warning names a plug-in that cannot be imported or whose name is taken; it is left out.
    """
    register_plugins(GROUP, "init", register_init, lambda p: f"{p.value}, from {_origin(p)}")


def register_plugins(
    group: str,
    kind: str,
    register: Callable[[str, Any], None],
    source: Callable[[EntryPoint], str] = lambda point: point.value,
) -> None:
    """Register what installed packages bring in a group; warn of one that fails, leave it out."""
    for point in entry_points(group=group):
        try:
            register(point.name, point.load())
        except Exception as cause:  # another package's import may fail in any way
            warnings.warn(
                f"the plug-in {kind} {point.name!r} ({source(point)}) is left out: "
                f"{type(cause).__name__}: {cause}",
                stacklevel=3,
            )


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
