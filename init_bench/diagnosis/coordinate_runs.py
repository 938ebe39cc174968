"""Train the networks of a coordinate check and note how far each layer's output moves."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from init_bench.diagnosis.evidence.collection import collect_evidence
from init_bench.diagnosis.evidence.preconditions import check_parameters
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.training_steps import Optimizer, rated_optimizer_of
from init_bench.diagnosis.trial_loss import trial_loss
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.hooks.record import capture
from init_bench.init import InitSpec, Report, initialize
from init_bench.models import check_module
from init_bench.models.user_factory import why_not_sizes
from init_bench.statistics.layer_statistics import rms

SUCH_AS = "such as lambda width: nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 1))"
"""What to give as ``factory``, for a message."""


Size = tuple[int, ...]
"""What the factory is called with: a width, or a width and a depth."""


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """Build the network of a size and a seed, and train it on one batch."""

    factory: Callable[..., nn.Module]
    batch: tuple[Tensor, Any]
    loss_fn: Loss
    optimizer: Optimizer
    init: str | InitSpec | None

    def check(self, sizes: list[Size], seed: int) -> None:
        """Run a network of each size once, before any is trained.

        Raises:
            InitBenchError: the factory builds none, it does not run, or all have the same shapes.
        """
        inputs, targets = self.batch
        found = {}
        for size in sizes:
            model = self.build(size, seed)
            check_parameters(model)
            model.to(inputs.device)
            collect_evidence(model, inputs, targets, self.loss_fn)
            found[size] = tuple(parameter.shape for parameter in model.parameters())
        if len(set(found.values())) == 1:
            every = [size[0] for size in sizes] if len(sizes[0]) == 1 else sizes
            raise InitBenchError(
                f"factory returns networks of the same shapes at all "
                f"{'widths' if len(sizes[0]) == 1 else 'widths and depths'} {every}: it must build "
                f"its layers by the width that it is called with, {SUCH_AS}"
            )

    def build(self, size: Size, seed: int) -> nn.Module:
        """Return the network of a size as the factory builds it."""
        factory = self.factory
        if isinstance(factory, nn.Module) or not callable(factory):
            kind = type(factory).__name__
            raise InitBenchError(
                f"factory must be a function that builds a network of a width, got a {kind}; "
                f"{SUCH_AS}"
            )
        words = ("a width", "a width and a depth")[len(size) - 1]
        if why := why_not_sizes(factory, *size):
            raise InitBenchError(
                f"factory={factory!r} cannot be called with {words}: {why}; it must be a function "
                f"of {words.replace('a ', 'the ')}, {SUCH_AS}"
            )
        try:
            with drawing_from(stream(seed, _named(size))):
                model = factory(*size)
        except Exception as cause:
            called = ", ".join(map(str, size))
            cause.add_note(f"raised inside factory({called}), which coord_check called")
            raise
        return check_module(model, f"factory({', '.join(map(str, size))})")

    def rows(self, size: Size, seed: int, steps: int) -> Iterator[dict[str, object]]:
        """Yield a row for every layer at every step, before the first update and after each."""
        inputs, targets = self.batch
        model = self.build(size, seed)
        report = self._initialized(model, seed)
        update = rated_optimizer_of(model.to(inputs.device), self.optimizer, report)
        start: dict[str, Tensor] = {}
        for step in range(steps + 1):
            masks = drawing_from(stream(seed, "noise"))  # dropout draws the same at every step
            with masks, capture(model, keep=True) as record:
                where = f"at {_named(size)}, seed {seed}, step {step}"
                loss = trial_loss(model, inputs, targets, self.loss_fn, where)
            outputs = record.outputs
            start = start or dict(outputs)
            diverged = not loss.requires_grad  # and the model or the loss refused it
            if diverged:
                outputs = {name: outputs.get(name, math.nan * z) for name, z in start.items()}
            for index, (layer, output) in enumerate(outputs.items(), start=1):
                scale, change = rms(output), rms(output - start[layer])
                row = {"layer": layer, "index": index, "size": scale, "change": change}
                yield {"step": step, **row}
            if not diverged:
                update.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                update.step()

    def _initialized(self, model: nn.Module, seed: int) -> Report | None:
        if self.init is None:
            return None
        return initialize(model, self.init, batch=self.batch, loss_fn=self.loss_fn, seed=seed)


def _named(size: Size) -> str:
    return ", ".join(f"{n} {s}" for n, s in zip(("width", "depth"), size, strict=False))
