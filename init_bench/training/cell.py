"""A cell: one training run, fully described."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training run: all that decides its numbers, and nothing else.

    Made by ``Grid``, which checks every value. ``capture_at`` lists the steps before whose update
    the layers are looked at; ``None`` is the start and the end. ``momentum`` counts for the
    optimizer ``momentum`` alone, ``weight_decay`` for all. ``norm="batch"`` puts a batch
    normalisation before each nonlinearity of an ``mlp``. ``precision="bfloat16"`` rounds what the
    matrix products take and give; weights, their updates and the loss stay float32.
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
        stored runs as they are. What was registered, and a model of your own, is known by its
        name alone: changed code wants another name, or another folder.
        """
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        looks = self.captured_steps
        given["capture_at"] = None if looks == (0, self.steps) else looks
        changed = {f.name: given[f.name] for f in fields(self) if given[f.name] != f.default}
        text = json.dumps(changed, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def axes(self) -> dict[str, Any]:
        """The columns that every stored table repeats, in order."""
        return {name: getattr(self, name) for name in AXES}

    @property
    def captured_steps(self) -> tuple[int, ...]:
        """Steps at which the layers are looked at, ``steps`` being after the last update."""
        wanted = (0, self.steps) if self.capture_at is None else self.capture_at
        return tuple(sorted({step for step in wanted if step <= self.steps}))

    @property
    def is_plain_mlp(self) -> bool:
        """Whether the network is linear layers and nonlinearities alone."""
        return self.model == "mlp" and self.norm == "none"

    @property
    def cohort(self) -> tuple[Any, ...]:
        """What cells must share to be trained as one stack.

        Nonlinearities may be mixed where the engine knows them; elsewhere a stack is copies of
        one module.
        """
        shape = (self.dataset, self.model, self.width, self.depth, self.bias, self.norm)
        module = None if self.is_plain_mlp else self.activation
        how = (self.optimizer, self.batch_size, self.steps, self.precision, self.captured_steps)
        return (*shape, module, *how)


AXES = tuple(f.name for f in fields(Cell) if f.name != "capture_at")
