"""List the tasks of the benchmark, and read those of a user.

To add one, put it into ``TASKS``, or describe it in a TOML file as ``docs/bench.md`` shows.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from init_bench.datasets import Dataset
from init_bench.errors import InitBenchError, check_int, lookup, nearest
from init_bench.training.grid import Grid

DECADES: dict[str, tuple[float, float]] = {"adam": (-5, -1), "adamw": (-5, -1)}
"""Exponents of the lowest and the highest rate tried, by optimizer."""


USUAL_DECADES = (-3.0, 1.0)


RATES = 9
"""Rates of the first grid of an arm: every half decade over four decades."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Describe what is trained from every initializer.

    Attributes:
        name: of the task.
        architecture: in words.
        axes: what is trained, as in ``Grid``, one value each.
        steps: updates of a final run.
        rates: learning rates tried first; empty is the default of the optimizer.
        own_default: whose style the model's own constructor follows, empty where it is torch's.
        target: share of chance's loss that counts as reached.
    """

    name: str
    architecture: str
    axes: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 240
    rates: tuple[float, ...] = ()
    own_default: str = ""
    target: float = 0.5

    def grid(self, init: str, lr: float | Iterable[float], **axes: Any) -> Grid:
        """Return the grid that trains the task from one initializer."""
        chosen = {"dataset": "mnist_short_test", "steps": self.steps, **self.axes, **axes}
        return Grid(**chosen, init=init, lr=lr, capture_at=())

    @property
    def first_rates(self) -> tuple[float, ...]:
        """The rates of the first grid, lowest first."""
        if self.rates:
            return tuple(sorted(self.rates))
        low, high = DECADES.get(str(self.axes.get("optimizer")), USUAL_DECADES)
        step = (high - low) / (RATES - 1)
        return tuple(rounded(10 ** (low + i * step)) for i in range(RATES))


def rounded(rate: float) -> float:
    """Return a rate to three digits, so that the same grid gives the same bits anywhere.

    Example:
        >>> rounded(10**-2.5)
        0.00316
    """
    return float(f"{rate:.3g}")


def chance_loss(data: Dataset) -> float:
    """Return the loss of a constant output: log of the number of classes, or the variance."""
    if data.has_classes:
        return math.log(data.classes)
    return float(data.targets.var(correction=0))


def _mlp(activation: str) -> dict[str, Any]:
    return {"model": "mlp", "depth": 20, "activation": activation, "batch_size": 64}


def _resnet(depth: int, norm: str) -> dict[str, Any]:
    sizes = {"model": "resnet_small", "width": 16, "depth": depth, "norm": norm}
    return {**sizes, "batch_size": 16}


def _vit(norm: str) -> dict[str, Any]:
    sizes = {"model": "vit_small", "width": 64, "depth": 4, "norm": norm}
    return {**sizes, "optimizer": "adam", "batch_size": 16}


_TASKS = (
    Task(name="mlp", architecture="the book's MLP, 5 layers of 100, ReLU", steps=400),
    Task(name="mlp20_relu", architecture="MLP of 20 layers, ReLU", axes=_mlp("relu"), steps=320),
    Task(name="mlp20_tanh", architecture="MLP of 20 layers, tanh", axes=_mlp("tanh"), steps=320),
    Task(name="mlp20_gelu", architecture="MLP of 20 layers, GELU", axes=_mlp("gelu"), steps=320),
    Task(name="lenet", architecture="LeNet-5, ReLU", axes={"model": "lenet", "batch_size": 32}),
    *(
        Task(
            name=name,
            architecture=f"ResNet of {words} normalization",
            axes=_resnet(depth, norm),
            steps=200,
            own_default="torchvision",
        )
        for name, words, depth, norm in (
            ("resnet14", "14 layers without", 6, "none"),
            ("resnet8_batchnorm", "8 layers with batch", 3, "batch"),
        )
    ),
    *(
        Task(
            name=f"vit_{norm}norm",
            architecture=f"vision transformer of 4 blocks, {norm}-norm",
            axes=_vit(norm),
            steps=160,
            own_default="timm",
        )
        for norm in ("pre", "post")
    ),
    Task(
        name="lstm",
        architecture="LSTM over the rows of an image",
        axes={"model": "lstm_rows", "width": 64, "optimizer": "adam", "batch_size": 16},
    ),
    Task(
        name="siren",
        architecture="MLP of 6 layers of sines, image regression",
        steps=400,
        axes={
            **{"model": "siren", "dataset": "mnist_pixels", "width": 64, "depth": 6},
            **{"optimizer": "adam", "batch_size": 128},
        },
    ),
)


TASKS: dict[str, Task] = {task.name: task for task in _TASKS}
"""Tasks by name."""


def tasks_from(names: Iterable[str | Task] | None) -> list[Task]:
    """Return the tasks of these names; a name may be a TOML file or ``module:factory`` too.

    Raises:
        InitBenchError: a name is unknown, given twice, or a file describes no task.

    Example:
        >>> [task.name for task in tasks_from(["lenet", "torch.nn:Flatten"])]
        ['lenet', 'torch.nn:Flatten']
    """
    if isinstance(names, str):
        raise InitBenchError(f"tasks={names!r}: give a list of names: [{names!r}]")
    found = list(TASKS.values()) if names is None else [t for n in names for t in _named(n)]
    twice = {task.name for task in found if [t.name for t in found].count(task.name) > 1}
    if twice or not found:
        what = f"task {min(twice)!r} is given twice" if twice else "no task is given"
        raise InitBenchError(f"{what}; known: {', '.join(TASKS)}")
    return [checked(task) for task in found]


def _named(name: str | Task) -> list[Task]:
    if isinstance(name, Task):
        return [name]
    if name.endswith(".toml"):
        return read_tasks(Path(name))
    if ":" in name:
        axes = {"model": name}
        return [Task(name=name, architecture=name, axes=axes, own_default="its constructor")]
    return [lookup(TASKS, name, kind="task")]


def checked(task: Task) -> Task:
    """Return a task whose axes make one cell and whose rates make a grid.

    Raises:
        InitBenchError: they do not; the message says which.
    """
    taken = sorted({"init", "seed", "lr", "steps", "capture_at"} & task.axes.keys())
    if taken:
        raise InitBenchError(
            f"task {task.name!r}: {taken[0]} is no axis of a task; steps and rates stand beside "
            f"axes, and initializers and seeds are the benchmark's"
        )
    check_int(task.steps, f"steps of task {task.name!r}", minimum=40)
    if len(set(task.first_rates)) < 3 or min(task.first_rates) <= 0:
        raise InitBenchError(
            f"task {task.name!r}: rates must be at least 3 different ones above 0, got "
            f"{list(task.rates)}: the best of fewer says nothing. Leave rates out for nine over "
            f"four decades"
        )
    try:
        cells = task.grid("torch.default", task.first_rates[0]).cells
    except InitBenchError as cause:
        raise InitBenchError(f"task {task.name!r}: {str(cause).strip()}") from None
    if len(cells) > 1:
        raise InitBenchError(f"task {task.name!r} has several values of an axis: give one each")
    return replace(task, axes=dict(task.axes))


def read_tasks(path: Path) -> list[Task]:
    """Return the tasks of a TOML file: a table ``[[task]]`` each, axes of a grid among its keys.

    Raises:
        InitBenchError: the file cannot be read or describes no task.
    """
    try:
        entries = tomllib.loads(path.read_text("utf-8-sig")).get("task")
    except (OSError, ValueError) as cause:  # of TOML, UTF-8, or an integer of thousands of digits
        raise InitBenchError(f"cannot read task file {path}: {cause}") from None
    if not isinstance(entries, list) or not entries:
        raise InitBenchError(
            f'{path} describes no task. Write for each\n  [[task]]\n  name = "mine"\n  '
            f'model = "mine:net"'
        )
    return [_task_of(entry, path) for entry in entries]


def _task_of(entry: Mapping[str, Any], path: Path) -> Task:
    own = {f.name for f in fields(Task)} - {"axes"}
    given = {key: value for key, value in entry.items() if key in own}
    axes = {key: value for key, value in entry.items() if key not in own}
    unknown = [key for key in axes if key not in Grid.model_fields]
    if unknown or "name" not in given:
        what = f"unknown key {unknown[0]!r}" if unknown else "a task needs a name"
        hint = nearest(unknown[0], [*own, *Grid.model_fields]) if unknown else "."
        raise InitBenchError(f"{path}: {what}{hint} Keys: {', '.join(sorted(own))}, axes of a grid")
    if not isinstance(given.get("rates", []), list):
        raise InitBenchError(f"{path}: rates must be a list, got {given['rates']!r}")
    given["rates"] = tuple(given.get("rates", ()))
    usual = {"architecture": given["name"], "own_default": "its constructor"}
    return Task(**{**usual, **given}, axes=axes)
