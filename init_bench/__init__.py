"""Which initial weights let a network train, and why do the others fail? Measured, in PyTorch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what _HOMES says, for type checkers and editors
    from init_bench import datasets as datasets
    from init_bench import figures as figures
    from init_bench import init as init
    from init_bench import integrations as integrations
    from init_bench import models as models
    from init_bench import statistics as statistics
    from init_bench import testing as testing
    from init_bench import theory as theory
    from init_bench.activations.menu import ACTIVATIONS as ACTIVATIONS
    from init_bench.activations.menu import Activation as Activation
    from init_bench.activations.menu import register_activation as register_activation
    from init_bench.comparison.bench.pipeline import bench as bench
    from init_bench.comparison.bench.result import Bench as Bench
    from init_bench.comparison.pipeline import compare as compare
    from init_bench.comparison.result import Comparison as Comparison
    from init_bench.diagnosis.checkpoint.pipeline import audit as audit
    from init_bench.diagnosis.checkpoint.pipeline import diff as diff
    from init_bench.diagnosis.checkpoint.result import Audit as Audit
    from init_bench.diagnosis.checkpoint.result import Difference as Difference
    from init_bench.diagnosis.coordinate_check import coord_check as coord_check
    from init_bench.diagnosis.coordinate_result import CoordCheck as CoordCheck
    from init_bench.diagnosis.learning_rates.pipeline import rate_window as rate_window
    from init_bench.diagnosis.learning_rates.result import RateWindow as RateWindow
    from init_bench.diagnosis.pipeline import diagnose as diagnose
    from init_bench.diagnosis.recommendation import recommend as recommend
    from init_bench.diagnosis.recommendation_result import Recommendation as Recommendation
    from init_bench.diagnosis.result import Diagnosis as Diagnosis
    from init_bench.errors import InitBenchError as InitBenchError
    from init_bench.hooks.record import Record as Record
    from init_bench.hooks.record import capture as capture
    from init_bench.init.lookup import register_init as register_init
    from init_bench.init.whole_model.initialization import initialize as initialize
    from init_bench.reproduction.book.pipeline import reproduce as reproduce
    from init_bench.reproduction.book.pipeline import reproduce_book as reproduce_book
    from init_bench.reproduction.papers.pipeline import paper as paper
    from init_bench.reproduction.papers.result import Paper as Paper
    from init_bench.training.cell import Cell as Cell
    from init_bench.training.executors.menu import register_executor as register_executor
    from init_bench.training.export import export as export
    from init_bench.training.grid import Grid as Grid
    from init_bench.training.grid import read_grid as read_grid
    from init_bench.training.pipeline import run as run
    from init_bench.training.results import Results as Results
    from init_bench.training.results import load as load

_MODULES = (
    "datasets",
    "figures",
    "init",
    "integrations",
    "models",
    "statistics",
    "testing",
    "theory",
)

_HOMES = {
    "ACTIVATIONS": "activations.menu",
    "Activation": "activations.menu",
    "register_activation": "activations.menu",
    "bench": "comparison.bench.pipeline",
    "Bench": "comparison.bench.result",
    "reproduce": "reproduction.book.pipeline",
    "reproduce_book": "reproduction.book.pipeline",
    "compare": "comparison.pipeline",
    "Comparison": "comparison.result",
    "audit": "diagnosis.checkpoint.pipeline",
    "diff": "diagnosis.checkpoint.pipeline",
    "Audit": "diagnosis.checkpoint.result",
    "Difference": "diagnosis.checkpoint.result",
    "coord_check": "diagnosis.coordinate_check",
    "CoordCheck": "diagnosis.coordinate_result",
    "rate_window": "diagnosis.learning_rates.pipeline",
    "RateWindow": "diagnosis.learning_rates.result",
    "diagnose": "diagnosis.pipeline",
    "Recommendation": "diagnosis.recommendation_result",
    "recommend": "diagnosis.recommendation",
    "Diagnosis": "diagnosis.result",
    "InitBenchError": "errors",
    "Record": "hooks.record",
    "capture": "hooks.record",
    "register_init": "init.lookup",
    "initialize": "init.whole_model.initialization",
    "paper": "reproduction.papers.pipeline",
    "Paper": "reproduction.papers.result",
    "Cell": "training.cell",
    "register_executor": "training.executors.menu",
    "export": "training.export",
    "Grid": "training.grid",
    "read_grid": "training.grid",
    "run": "training.pipeline",
    "Results": "training.results",
    "load": "training.results",
}
"""Where each public name is defined; it is imported when it is first used."""

__all__ = sorted([*_MODULES, *_HOMES])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``init-bench --help`` must not wait for torch."""
    if name in _MODULES:
        return import_module(f"init_bench.{name}")
    if name == "__version__":
        return import_module("importlib.metadata").version("init_bench")
    if name in _HOMES:
        return getattr(import_module(f"init_bench.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'init_bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
