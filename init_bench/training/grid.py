"""Grid → cells → cohorts → chunks: names and numbers only, checked before any work starts."""

import itertools
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from init_bench import datasets
from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError, lookup, nearest
from init_bench.init import parse
from init_bench.models import SHAPING, factory_of, takes
from init_bench.training.cell import AXES, Cell
from init_bench.training.init_check import try_init

T = TypeVar("T")


OPTIMIZERS = ("sgd", "momentum", "adagrad", "adam", "adamw")


NORMS = ("none", "batch")


PRECISIONS = ("float32", "bfloat16")


def _as_tuple(value: object) -> object:
    """Take one value for an axis of one; numpy's numbers for Python's."""
    many = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    items = tuple(value) if many else (value,)  # type: ignore[arg-type]
    return tuple(item.item() if hasattr(item, "item") else item for item in items)


def _some_and_distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise InitBenchError("an axis needs at least one value")
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise InitBenchError(f"{twice[0]!r} is given twice")
    return values


def _one_of(menu: Mapping[str, object] | Sequence[str], kind: str) -> AfterValidator:
    def check(name: str) -> str:
        lookup(menu if isinstance(menu, Mapping) else dict.fromkeys(menu), name, kind=kind)
        return name

    return AfterValidator(check)


def _usable_model(name: str) -> str:
    """Return ``name`` if its factory is there: a missing one costs a millisecond and no night."""
    factory_of(name)
    return name


def _usable_init(text: str, info: ValidationInfo) -> str:
    """Return the canonical spec once it has filled a small network: a bad value costs no night.

    What is not to fill an MLP is tried on its own model when the data is there.
    """
    spec = parse(text)
    if "mlp" in info.data.get("model", ("mlp",)):
        try_init(spec)
    return str(spec)


Axis = Annotated[tuple[T, ...], BeforeValidator(_as_tuple), AfterValidator(_some_and_distinct)]


INT64 = 2**63
"""What the tables' integers stay below."""


Positive = Annotated[int, Field(gt=0, lt=INT64)]


class Grid(BaseModel):
    """Axes whose product is the cells. Every axis takes one value or several.

    The defaults are those of the book's experiment: MNIST, pixels in [0, 1], a
    784-100-100-100-100-10 MLP, zero biases, SGD with lr 0.01, minibatches of 128 drawn with
    replacement, 2000 steps.

    Raises:
        InitBenchError: naming every unknown axis and every bad value in one message.

    Example:
        >>> grid = Grid(init=["normal(std=0.01)", "kaiming_normal"], seed=range(5))
        >>> len(grid.cells), grid.init
        (10, ('normal(std=0.01)', 'he_normal'))
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dataset: Axis[Annotated[str, AfterValidator(datasets.check_name)]] = ("mnist",)
    model: Axis[Annotated[str, AfterValidator(_usable_model)]] = ("mlp",)
    width: Axis[Positive] = (100,)
    depth: Axis[Positive] = (5,)
    bias: Axis[bool] = (True,)
    norm: Axis[Annotated[str, _one_of(NORMS, "norm")]] = ("none",)
    activation: Axis[Annotated[str, _one_of(ACTIVATIONS, "activation")]] = ("relu",)
    init: Axis[Annotated[str, AfterValidator(_usable_init)]] = ("he_normal",)
    optimizer: Axis[Annotated[str, _one_of(OPTIMIZERS, "optimizer")]] = ("sgd",)
    lr: Axis[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = (0.01,)
    momentum: Axis[Annotated[float, Field(ge=0, lt=1)]] = (0.9,)
    weight_decay: Axis[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = (0.0,)
    batch_size: Axis[Positive] = (128,)
    steps: Axis[Positive] = (2000,)
    precision: Axis[Annotated[str, _one_of(PRECISIONS, "precision")]] = ("float32",)
    seed: Axis[Annotated[int, Field(ge=0, lt=INT64)]] = (0,)
    capture_at: (
        Annotated[
            tuple[Annotated[int, Field(ge=0)], ...],
            BeforeValidator(_as_tuple),
            AfterValidator(_some_and_distinct),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _axes_that_some_model_takes(self) -> "Grid":
        taken = {name for model in self.model for name in takes(factory_of(model))}
        for name in SHAPING:
            if name not in taken and getattr(self, name) != (getattr(Cell, name),):
                raise InitBenchError(
                    f"{name}: {', '.join(self.model)} takes no {name!r}; leave it out, or let the "
                    f"factory take it by that name"
                )
        return self

    def __init__(self, **axes: Any) -> None:
        try:
            super().__init__(**axes)
        except ValidationError as error:
            raise InitBenchError(_explain(error)) from None

    @property
    def cells(self) -> list[Cell]:
        """The product of the axes, the last axis (seed) running fastest.

        An axis makes no cells where it changes nothing: ``momentum`` for an optimizer that has
        none, ``width``, ``depth``, ``bias``, ``norm`` and ``activation`` for a model that does
        not take them.
        """
        product = itertools.product(*(getattr(self, name) for name in AXES))
        cells = (
            Cell(**dict(zip(AXES, values, strict=True)), capture_at=self.capture_at)
            for values in product
        )
        return list(dict.fromkeys(_without_idle_axes(cell) for cell in cells))

    def to_json(self) -> dict[str, Any]:
        """Return the resolved axes as plain lists."""
        resolved: dict[str, Any] = json.loads(self.model_dump_json(exclude_none=True))
        return resolved


def _without_idle_axes(cell: Cell) -> Cell:
    """Return the cell with every field that cannot change it at its default."""
    idle = set(SHAPING) - takes(factory_of(cell.model))
    if cell.optimizer != "momentum":
        idle.add("momentum")
    defaults: dict[str, Any] = {f.name: f.default for f in fields(Cell) if f.name in idle}
    return replace(cell, **defaults)


def read_grid(path: Path) -> Grid:
    """Return the grid that a TOML file describes: a key per axis.

    Raises:
        InitBenchError: the file is missing, no TOML, or describes no grid; the message names the
            file and everything that is wrong with it.
    """
    try:
        with path.open("rb") as file:
            return Grid(**tomllib.load(file))
    except OSError as cause:
        raise InitBenchError(f"cannot read grid file {path}: {cause.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise InitBenchError(
            f"{path} is no TOML: {cause}. A grid file has a line per axis, such as\n"
            f'  init = ["he_normal", "normal(std=0.01)"]\n  seed = [0, 1, 2]'
        ) from None
    except InitBenchError as cause:
        raise InitBenchError(f"{path}:\n{cause}") from None


def _explain(error: ValidationError) -> str:
    """Return every fault of a grid in one message, a line each, with the way out."""
    return "\n".join(f"  {_fault(fault)}" for fault in error.errors())


def _fault(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"][:1])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(Grid.model_fields)
        return f"unknown axis {where!r}{nearest(where, Grid.model_fields)} Known: {known}."
    reason = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{where}: {reason}" if where else reason
    return f"{where}: {reason}, got {fault['input']!r}"
