"""Define the axes of a grid: their types, the checks of their values, the cells that have them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, TypedDict, TypeVar

import pandas as pd
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from typing_extensions import TypeAliasType

from init_bench import datasets
from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError, lookup
from init_bench.init import parse
from init_bench.models import factory_of
from init_bench.training.cell import AXES, MLP
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.init_check import dry_run
from init_bench.training.precision import PRECISIONS

T = TypeVar("T")

OneOrMany: TypeAlias = T | Iterable[T]
"""What an axis takes: one value, or several."""


class GridAxes(TypedDict, total=False):
    """Name the keyword arguments of ``Grid`` for type checkers and editors."""

    dataset: OneOrMany[str]
    model: OneOrMany[str]
    width: OneOrMany[int]
    depth: OneOrMany[int]
    bias: OneOrMany[bool]
    norm: OneOrMany[str]
    activation: OneOrMany[str]
    init: OneOrMany[str]
    optimizer: OneOrMany[str]
    lr: OneOrMany[float]
    momentum: OneOrMany[float]
    weight_decay: OneOrMany[float]
    batch_size: OneOrMany[int]
    steps: OneOrMany[int]
    precision: OneOrMany[str]
    seed: OneOrMany[int]
    capture_at: OneOrMany[int] | None


SYNONYMS = {
    "learning_rate": "lr",
    "rate": "lr",
    "optimiser": "optimizer",
    "initializer": "init",
    "initialiser": "init",
    "nonlinearity": "activation",
    "hidden": "width",
    "layers": "depth",
    "epochs": "steps",
    "data": "dataset",
    "dtype": "precision",
}
"""Other words for axes, for the hint about an unknown one."""


NORMS = ("none", "batch", "pre", "post")


INT64 = 2**63
"""Integers of the tables are below this."""


def _as_tuple(value: object) -> object:
    """Return a tuple of the values given, or of the one value; numpy's numbers as Python's."""
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    items = tuple(value) if several else (value,)  # type: ignore[arg-type]
    return tuple(item.item() if hasattr(item, "item") else item for item in items)


def _check_distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return ``values`` if there is at least one and none is given twice."""
    if not values:
        raise InitBenchError("an axis needs at least one value")
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise InitBenchError(f"{twice[0]!r} is given twice")
    return values


def _name_in(menu: Mapping[str, object] | Sequence[str], kind: str) -> AfterValidator:
    def check(name: str) -> str:
        lookup(menu if isinstance(menu, Mapping) else dict.fromkeys(menu), name, kind=kind)
        return name

    return AfterValidator(check)


def _check_model(name: str) -> str:
    """Return ``name`` if its factory can be imported."""
    factory_of(name)
    return name


def _check_init(text: str, info: ValidationInfo) -> str:
    """Return the canonical spec after a dry run, so that a bad value costs no night.

    Where no model is an MLP the spec is only parsed: ``run`` checks it on the model itself.
    """
    spec = parse(text)
    if MLP in info.data.get("model", (MLP,)):
        dry_run(spec)
    return str(spec)


def _check_capture(values: tuple[int, ...]) -> tuple[int, ...]:
    """Return the steps of captures, of which there may be none."""
    return _check_distinct(values) if values else ()


DEEPEST = 100_000
"""Layers with weights of a network, ten times the deepest ones that are trained: to build one of a
billion, a misprint, fills the memory before any message."""


# Named, so that help() shows the names: Axis[Lr] and not what they stand for.
Axis = TypeAliasType(
    "Axis",
    Annotated[tuple[T, ...], BeforeValidator(_as_tuple), AfterValidator(_check_distinct)],
    type_params=(T,),
)
DatasetName = TypeAliasType("DatasetName", Annotated[str, AfterValidator(datasets.check_name)])
ModelName = TypeAliasType("ModelName", Annotated[str, AfterValidator(_check_model)])
InitText = TypeAliasType("InitText", Annotated[str, AfterValidator(_check_init)])
NormName = TypeAliasType("NormName", Annotated[str, _name_in(NORMS, "norm")])
ActivationName = TypeAliasType(
    "ActivationName", Annotated[str, _name_in(ACTIVATIONS, "activation")]
)
OptimizerName = TypeAliasType("OptimizerName", Annotated[str, _name_in(OPTIMIZERS, "optimizer")])
PrecisionName = TypeAliasType("PrecisionName", Annotated[str, _name_in(PRECISIONS, "precision")])
Count = TypeAliasType("Count", Annotated[int, Field(gt=0, lt=INT64)])
Depth = TypeAliasType("Depth", Annotated[int, Field(gt=0, le=DEEPEST)])
Step = TypeAliasType("Step", Annotated[int, Field(ge=0)])
CaptureSteps = TypeAliasType(
    "CaptureSteps",
    Annotated[tuple[Step, ...], BeforeValidator(_as_tuple), AfterValidator(_check_capture)],
)
Seed = TypeAliasType("Seed", Annotated[int, Field(ge=0, lt=INT64)])
Rate = TypeAliasType("Rate", Annotated[float, Field(ge=0, allow_inf_nan=False)])
Fraction = TypeAliasType("Fraction", Annotated[float, Field(ge=0, lt=1)])


def cells_with(cells: pd.DataFrame, axes: Mapping[str, Any]) -> pd.DataFrame:
    """Return the cells whose axes have one of the values given.

    Raises:
        InitBenchError: an unknown axis, or a value that no cell has.
    """
    for name, given in axes.items():
        lookup(dict.fromkeys(AXES), name, kind="axis")
        several = isinstance(given, Iterable) and not isinstance(given, str)
        values = [str(parse(v)) if name == "init" else v for v in (given if several else [given])]
        stored = cells[name].unique().tolist()
        unknown = [value for value in values if value not in stored]
        if unknown:
            known = ", ".join(map(str, sorted(stored)[:20]))
            raise InitBenchError(f"no cell has {name}={unknown[0]!r}. Stored: {known}.")
        cells = cells[cells[name].isin(values)]
    return cells.reset_index(drop=True)
