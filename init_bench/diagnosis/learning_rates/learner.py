"""Train a model for a few steps from its start, and restore it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.diagnosis.evidence.chance import best_constant_loss, loss_of_zeros
from init_bench.diagnosis.evidence.collection import collect_evidence
from init_bench.diagnosis.input_checks import check_inputs
from init_bench.diagnosis.learning_rates.curvature import largest_curvature, scale_free_weights
from init_bench.diagnosis.learning_rates.minibatches import Minibatches
from init_bench.diagnosis.learning_rates.optimizers import RatedOptimizer
from init_bench.diagnosis.learning_rates.trials import Levels, Trial, TrialRunner
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.trial_loss import trial_loss
from init_bench.errors import InitBenchError, check_finite
from init_bench.hooks.isolation import isolated_pass, restored_parameters
from init_bench.hooks.model_call import call
from init_bench.hooks.nested_tensors import tensors_in
from init_bench.hooks.written_parameters import restored_writes

GOAL = 0.65
"""The goal, as a share of the lesser of first loss and chance: 1.5 for ten classes."""

KNOWS_ALL = 0.01
"""Share of the loss of zeros at which a constant output leaves nothing else to learn."""


@dataclass(frozen=True)
class Learner:
    """Train a model on its data, trial by trial; restore it after each."""

    model: nn.Module
    batches: Minibatches
    loss_fn: Loss
    rated: RatedOptimizer

    def levels(self, goal: float | None) -> Levels:
        """Return the losses that decide a trial, after a check of all that a trial needs."""
        inputs, targets = self.batches[0]
        check_inputs(inputs)
        collect_evidence(self.model, inputs, targets, self.loss_fn)  # refuses what does not fit
        with isolated_pass(self.model, inputs), restored_writes(self.model), torch.no_grad():
            output = call(self.model, inputs)
            first = self.loss_fn(output, targets).item()
            chance = _chance(self.loss_fn, output, targets)
        if not math.isfinite(first):
            raise InitBenchError(
                f"the loss of the start is {first:g}: no rate can be judged; "
                f"init_bench.diagnose says which layer makes it so"
            )
        reference = min(first, chance)
        if goal is None and reference <= 0:
            raise InitBenchError(
                f"the loss of the start is {first:.3g}: of a loss that is not positive, no share "
                f"can be a goal; pass goal=, the loss that counts as learned"
            )
        goal = GOAL * reference if goal is None else check_finite(goal, "goal")
        if goal >= reference:
            raise InitBenchError(
                f"goal={goal:g} is not below {reference:.3g}, the loss without any training: the "
                f"start has {first:.3g}, a constant output {chance:.3g}"
            )
        return Levels(first=first, chance=chance, goal=goal)

    def trial(self, levels: Levels, done: Callable[[int], None]) -> TrialRunner:
        """Return the function that runs a trial."""

        def run(lr: float, longest: int, until: float, held: int) -> Trial:
            trial = Trial(lr=lr)
            with restored_parameters(self.model), isolated_pass(self.model), torch.enable_grad():
                update = self.rated(self.model, lr)
                for step in range(longest):
                    loss = self._loss(step, lr)
                    trial.losses.append(loss.item())
                    done(1)
                    if trial.decide(levels, until, held):
                        break
                    update.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    update.step()
            return trial

        return run

    def curvature(self) -> tuple[float, pd.DataFrame]:
        """Return the largest curvature of the first minibatch's loss and the scale-free weights."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        with isolated_pass(self.model), restored_writes(self.model), torch.enable_grad():
            largest = largest_curvature(lambda: self._loss(0), parameters)
            losses = (lambda: self._loss(0), self._squares)
            return largest, scale_free_weights(self.model, losses)

    def _loss(self, step: int, lr: float = 0.0) -> Tensor:
        inputs, targets = self.batches[step]
        where = f"at rate {lr:g}, step {step}"
        return trial_loss(self.model, inputs, targets, self.loss_fn, where).reshape(())

    def _squares(self) -> Tensor:
        """Return another loss, the square of every output: the scale-free weights are the same."""
        outputs = [z for z in tensors_in(call(self.model, self.batches[0][0])) if z.requires_grad]
        return torch.stack([z.float().square().sum() for z in outputs]).sum()


def _chance(loss_fn: Loss, output: Any, targets: Any) -> float:
    """Return the loss of a model that learns nothing but a constant output; inf if unknown.

    Of equal targets a constant knows all, and learning it is all that there is: zeros count then.
    A loss of 0 means nothing: zeros are no logarithms of probabilities.
    """
    of_zeros = loss_of_zeros(loss_fn, output, targets)
    chance = of_zeros if 0 < of_zeros < math.inf else math.inf
    best = best_constant_loss(loss_fn, output, targets)
    return best if KNOWS_ALL * chance < best < chance else chance
