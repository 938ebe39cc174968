"""Make a grid: check its axes, and multiply them out into cells."""

import itertools
import json
import math
import textwrap
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Unpack

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from init_bench.errors import InitBenchError, nearest
from init_bench.models import SHAPING, factory_of, takes
from init_bench.training import axes as axis
from init_bench.training.axes import Axis, GridAxes
from init_bench.training.cell import AXES, Cell
from init_bench.training.engine.optimizers import unread_settings

LONGEST_SHOWN = 200
"""Characters of a bad value that a message repeats."""


EXAMPLE = 'init = ["he_normal", "normal(std=0.01)"]\n  seed = [0, 1, 2]'
"""Two lines of a grid file, for messages."""


class Grid(BaseModel):
    """Describe cells by axes: their product. Every axis takes one value or several.

    The defaults are those of the book's experiment: MNIST, pixels in [0, 1], a
    784-100-100-100-100-10 MLP, zero biases, SGD with lr 0.01, minibatches of 128 drawn with
    replacement, 2000 steps.

    Args:
        dataset: str, default "mnist". A data set of ``init-bench list datasets``, or
            ``idx:FOLDER``.
        model: str, default "mlp". A model of ``init-bench list models``, or ``module:factory``.
        width: int, default 100. Units of a hidden layer.
        depth: int, default 5. Layers with weights.
        bias: bool, default True. Whether layers have biases.
        norm: str, default "none". ``batch`` normalizes before each activation.
        activation: str, default "relu". An activation of ``init-bench list activations``.
        init: str, default "he_normal". An initializer of ``init-bench list inits``, with
            arguments if need be: ``normal(std=0.01)``.
        optimizer: str, default "sgd". sgd, momentum, adagrad, adam or adamw.
        lr: float, default 0.01. Learning rate, at least 0.
        momentum: float, default 0.9. At least 0 and below 1; used by ``momentum`` alone.
        weight_decay: float, default 0.0. At least 0.
        batch_size: int, default 128. Samples of a minibatch, drawn with replacement.
        steps: int, default 2000. Updates of the weights.
        precision: str, default "float32". Of products: or ``bfloat16``, or on CUDA ``tf32``.
        seed: int, default 0. Decides weights and minibatches.
        capture_at: int, default None. Steps before whose update the layers are captured, the
            same for all cells; None is the start and the end, an empty list is never.

    Raises:
        InitBenchError: naming every unknown axis and every bad value in one message.

    Example:
        >>> grid = Grid(init=["normal(std=0.01)", "kaiming_normal"], seed=range(5))
        >>> len(grid.cells), grid.init
        (10, ('normal(std=0.01)', 'he_normal'))
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dataset: Axis[axis.DatasetName] = ("mnist",)
    model: Axis[axis.ModelName] = ("mlp",)
    width: Axis[axis.Count] = (100,)
    depth: Axis[axis.Depth] = (5,)
    bias: Axis[bool] = (True,)
    norm: Axis[axis.NormName] = ("none",)
    activation: Axis[axis.ActivationName] = ("relu",)
    init: Axis[axis.InitText] = ("he_normal",)
    optimizer: Axis[axis.OptimizerName] = ("sgd",)
    lr: Axis[axis.Rate] = (0.01,)
    momentum: Axis[axis.Fraction] = (0.9,)
    weight_decay: Axis[axis.Rate] = (0.0,)
    batch_size: Axis[axis.Count] = (128,)
    steps: Axis[axis.Count] = (2000,)
    precision: Axis[axis.PrecisionName] = ("float32",)
    seed: Axis[axis.Seed] = (0,)
    capture_at: axis.CaptureSteps | None = None

    @model_validator(mode="after")
    def _check_axes_of_models(self) -> "Grid":
        taken = {name for model in self.model for name in takes(factory_of(model))}
        for name in SHAPING:
            if name not in taken and getattr(self, name) != (getattr(Cell, name),):
                raise InitBenchError(
                    f"{name}: {', '.join(self.model)} takes no {name!r}; leave it out, or give the "
                    f"model's factory a parameter of that name"
                )
        return self

    def __init__(self, **axes: Unpack[GridAxes]) -> None:
        """Check the axes and fill in the defaults."""
        try:
            super().__init__(**axes)
        except ValidationError as error:
            raise InitBenchError(_explain(error)) from None

    @property
    def cells(self) -> list[Cell]:
        """The product of the axes, the last axis (seed) running fastest.

        An axis makes no cells where it changes nothing: ``momentum`` for an optimizer that does
        not read it; ``width``, ``depth``, ``bias``, ``norm`` and ``activation`` for a model that
        does not take them.
        """
        return list(self.iter_cells())

    def iter_cells(self) -> Iterator[Cell]:
        """Yield ``cells`` one at a time, so that a large grid need not be in memory.

        Example:
            >>> [cell.seed for cell in Grid(seed=range(3)).iter_cells()]
            [0, 1, 2]
        """
        chosen = {name: getattr(self, name) for name in AXES}
        idle = {
            (model, optimizer): _idle_axes(model, optimizer)
            for model in self.model
            for optimizer in self.optimizer
        }
        for values in itertools.product(*chosen.values()):
            axes = dict(zip(AXES, values, strict=True))
            unread = idle[axes["model"], axes["optimizer"]]
            if all(axes[name] == chosen[name][0] for name in unread):  # once, not for each value
                yield Cell(**{**axes, **unread}, capture_at=self.capture_at)

    @property
    def size(self) -> int:
        """Product of the numbers of values: no grid has more cells than this."""
        return math.prod(len(getattr(self, name)) for name in AXES)

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved axes as plain lists.

        Example:
            >>> Grid(seed=range(2)).to_dict()["seed"]
            [0, 1]
        """
        resolved: dict[str, Any] = json.loads(self.model_dump_json(exclude_none=True))
        return resolved

    def to_json(self) -> dict[str, Any]:
        """Return ``to_dict()``, the new name of this method."""
        warnings.warn("Grid.to_json is now Grid.to_dict", FutureWarning, stacklevel=2)
        return self.to_dict()


def _idle_axes(model: str, optimizer: str) -> dict[str, Any]:
    """Return the defaults of the axes that cannot change a cell of this model and optimizer."""
    idle = set(SHAPING) - takes(factory_of(model)) | unread_settings(optimizer)
    return {f.name: f.default for f in fields(Cell) if f.name in idle}


def read_grid(path: str | Path) -> Grid:
    """Return the grid that a TOML file describes: a line per axis.

    Args:
        path: of the file.

    Raises:
        InitBenchError: the file is missing, empty, not TOML, or describes no grid; the message
            names the file and everything that is wrong with it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "grid.toml"
        >>> _ = path.write_text("init = 'zeros'")
        >>> read_grid(path).init
        ('zeros',)
    """
    try:
        values = tomllib.loads(Path(path).read_text("utf-8-sig"))  # editors may write a BOM
    except OSError as cause:
        raise InitBenchError(f"cannot read grid file {path}: {cause.strerror}") from None
    except ValueError as cause:  # of TOML, of UTF-8, or of an integer with thousands of digits
        raise InitBenchError(
            f"{path} is not TOML: {cause}. A grid file has a line per axis, such as\n  {EXAMPLE}"
        ) from None
    if not values:
        raise InitBenchError(
            f"grid file {path} is empty: it must set at least one axis. Write a line per axis, "
            f"such as\n  {EXAMPLE}\nAxes that you leave out keep their default."
        )
    try:
        return Grid(**values)
    except InitBenchError as cause:
        raise InitBenchError(f"{path}:\n{textwrap.indent(str(cause), '  ')}") from None


def _explain(error: ValidationError) -> str:
    """Return one message with a line for each error of a grid."""
    return "\n".join(map(_explain_one, error.errors()))


def _explain_one(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"][:1])
    if error["type"] == "extra_forbidden":
        known = ", ".join(Grid.model_fields)
        hint = nearest(where, Grid.model_fields, axis.SYNONYMS)
        return f"unknown axis {where!r}{hint} Known: {known}."
    reason = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{where}: {reason}" if where else reason
    return f"{where}: {reason}, got {_shortened(error['input'])}"


def _shortened(value: object) -> str:
    """Return the value as it is written, its end left out where it is long, as of a data set."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]} …"
