"""Which initial weights let a network train, and why do the others fail? Measured, in PyTorch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from init_bench import figures, init, statistics, testing, theory
    from init_bench.activations import ACTIVATIONS, Activation, register_activation
    from init_bench.book import reproduce
    from init_bench.comparing import Comparison, compare
    from init_bench.coordinates import CoordCheck, coord_check
    from init_bench.diagnosing import Diagnosis, diagnose
    from init_bench.errors import InitBenchError
    from init_bench.grid import Cell, Grid, read_grid
    from init_bench.init import initialize, register_init
    from init_bench.recommending import Recommendation, recommend
    from init_bench.recording import Record, capture
    from init_bench.running import run
    from init_bench.store import Results, load

# No module may have the name of a function it exports: once imported, the module would hide it.
_HOMES = {
    "Grid": "grid",
    "Cell": "grid",
    "read_grid": "grid",
    "run": "running",
    "load": "store",
    "Results": "store",
    "reproduce": "book",
    "compare": "comparing",
    "Comparison": "comparing",
    "initialize": "init",
    "register_init": "init",
    "recommend": "recommending",
    "Recommendation": "recommending",
    "capture": "recording",
    "Record": "recording",
    "coord_check": "coordinates",
    "CoordCheck": "coordinates",
    "ACTIVATIONS": "activations",
    "Activation": "activations",
    "register_activation": "activations",
    "diagnose": "diagnosing",
    "Diagnosis": "diagnosing",
    "InitBenchError": "errors",
}

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Cell",
    "Comparison",
    "CoordCheck",
    "Diagnosis",
    "Grid",
    "InitBenchError",
    "Recommendation",
    "Record",
    "Results",
    "capture",
    "compare",
    "coord_check",
    "diagnose",
    "figures",
    "init",
    "initialize",
    "load",
    "read_grid",
    "recommend",
    "register_activation",
    "register_init",
    "reproduce",
    "run",
    "statistics",
    "testing",
    "theory",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``init-bench --help`` must not wait for torch."""
    if name in ("figures", "init", "statistics", "testing", "theory"):
        return import_module(f"init_bench.{name}")
    if name == "__version__":
        return import_module("importlib.metadata").version("init_bench")
    if name in _HOMES:
        return getattr(import_module(f"init_bench.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'init_bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
