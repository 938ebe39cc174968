"""Describe one training run: a cell of a grid."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from init_bench.init import InitSpec, parse

MLP = "mlp"
"""The model on which small checks are made, and for which the engine has its own loop."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Describe one training run: all that decides its numbers, and nothing else.

    ``Grid`` makes cells and checks every value. ``capture_at`` lists the steps before whose update
    the layers are captured; ``None`` is the start and the end. Only the optimizer ``momentum``
    uses ``momentum``; all use ``weight_decay``. ``norm="batch"`` puts a batch normalization before
    each nonlinearity of an ``mlp``. ``precision="bfloat16"`` rounds the operands and results of
    matrix products, ``tf32`` the operands; weights, their updates and the loss stay float32.
    """

    dataset: str = "mnist"
    model: str = "mlp"
    width: int = 100
    depth: int = 5
    bias: bool = True
    norm: str = "none"
    activation: str = "relu"
    init: str = "he_normal"
    optimizer: str = "sgd"
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    steps: int = 2000
    precision: str = "float32"
    seed: int = 0
    capture_at: tuple[int, ...] | None = None

    @cached_property
    def key(self) -> str:
        """SHA-256 of the cell's canonical JSON.

        Fields at their default are left out, so that a field added later leaves the keys of
        stored runs as they are. An initializer, activation or model of your own counts by its name
        alone: if you change its code, give it another name or use another folder.
        """
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        captured = self.captured_steps
        given["capture_at"] = None if captured == (0, self.steps) else captured
        changed = {f.name: given[f.name] for f in fields(self) if given[f.name] != f.default}
        text = json.dumps(changed, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def axes(self) -> dict[str, Any]:
        """The columns that every stored table repeats, in order."""
        return {name: getattr(self, name) for name in AXES}

    @property
    def captured_steps(self) -> tuple[int, ...]:
        """Steps at which the layers are captured; ``steps`` itself is after the last update."""
        wanted = (0, self.steps) if self.capture_at is None else self.capture_at
        return tuple(sorted({step for step in wanted if step <= self.steps}))

    @property
    def init_spec(self) -> InitSpec:
        """The initializer's spec, parsed anew: one kept by each of 100,000 cells is memory."""
        return parse(self.init)

    @property
    def is_mlp(self) -> bool:
        """Whether the model is the MLP of the menu, which takes flat inputs."""
        return self.model == MLP

    @property
    def is_plain_mlp(self) -> bool:
        """Whether the network is linear layers and nonlinearities alone."""
        return self.is_mlp and self.norm == "none"

    @property
    def cohort(self) -> tuple[Any, ...]:
        """Values that cells must share to be trained as one stack.

        Plain MLPs may differ in their nonlinearity; elsewhere a stack is copies of one module.
        """
        shape = (self.dataset, self.model, self.width, self.depth, self.bias, self.norm)
        module = None if self.is_plain_mlp else self.activation
        how = (self.optimizer, self.batch_size, self.steps, self.precision, self.captured_steps)
        return (*shape, module, *how)


AXES = tuple(f.name for f in fields(Cell) if f.name != "capture_at")
