"""Diagnose: what is wrong with a model's initialisation, layer by layer, and where it starts."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import nn

from init_bench.diagnosis.default_loss import cross_entropy
from init_bench.diagnosis.evidence.collection import Loss
from init_bench.diagnosis.findings import judge
from init_bench.diagnosis.inputs import check_inputs
from init_bench.diagnosis.remarks import notes_on_inputs, notes_on_looks
from init_bench.diagnosis.result import Diagnosis
from init_bench.diagnosis.training_steps import Optimizer, collect_evidence_by_step
from init_bench.errors import InitBenchError
from init_bench.hooks.module_names import unwrapped
from init_bench.theory.coverage import expected_of


def diagnose(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
    *,
    steps: Sequence[int] = (0,),
    optimizer: Optimizer | None = None,
) -> Diagnosis:
    """Look at ``model`` at its present weights and say what is wrong, where and what helps.

    The model runs once forward, and backward if there is a loss. Weights, gradients, buffers,
    mode and global random streams are afterwards as if nobody had looked, so it may be called at
    any step of a training loop of your own, which goes on with the same bits. Dropout lets
    everything pass while one looks: its noise would tell equal samples apart.

    With ``steps`` beyond 0 the model is trained on ``inputs`` and ``targets``, as often as the
    largest says, looked at again on the way and then given back untrained. A loss that is not
    finite is a result: training ends there, with a last look. The thresholds were calibrated at
    step 0, what is found later is measured by the same ones: a network that has learnt its batch
    by heart has a vanishing gradient and nothing wrong.

    Args:
        model: any module with parameters. A compiled one is looked at underneath.
        inputs: a tensor of samples, a tuple of arguments or a mapping of keyword arguments. The
            first dimension is the samples, or a list has one each; there must be two or more.
        targets: what ``loss_fn`` takes beside the output. Class indices for an output (samples,
            classes) need no ``loss_fn``: it is cross-entropy.
        loss_fn: takes output and targets, returns a scalar. Without it, and without targets, no
            gradients are judged.
        steps: after how many updates to look, beside step 0.
        optimizer: builds the optimiser that does the updates, as in
            ``lambda model: torch.optim.SGD(model.parameters(), lr=0.1)``.

    Raises:
        InitBenchError: the model has no parameters or does not run on ``inputs``, these are not
            finite or a single sample, the loss does not fit output and targets or is no number
            because of targets, or steps beyond 0 lack a loss or an optimiser.

    Example:
        >>> import torch, init_bench as ib
        >>> model = nn.Sequential(
        ...     nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 2)
        ... )
        >>> report = ib.initialize(model, "he_normal")
        >>> x = torch.randn(64, 50, generator=torch.Generator().manual_seed(0))
        >>> ib.diagnose(model, x).healthy
        True
        >>> _ = model[2].weight.data.zero_()
        >>> ib.diagnose(model, x).verdicts[["layer", "verdict"]].to_numpy().tolist()[0]
        ['2', 'vanishing_signal']
    """
    if not isinstance(model, nn.Module):
        raise InitBenchError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    looked, notes = _underneath(model)
    check_inputs(inputs)
    if targets is not None and loss_fn is None:
        loss_fn = cross_entropy
    found = collect_evidence_by_step(looked, inputs, targets, loss_fn, steps, optimizer)
    verdicts = {step: judge(one) for step, one in found.items()}
    last, with_loss = max(steps, default=0), loss_fn is not None
    of_looks = notes_on_looks(found, verdicts, last, with_loss=with_loss)
    return Diagnosis(
        name=type(looked).__name__,
        layers=_by_step({step: one.layers for step, one in found.items()}),
        profile=_by_step({step: one.profile for step, one in found.items()}),
        histograms=_by_step({step: one.histograms for step, one in found.items()}),
        verdicts=_by_step(verdicts),
        weights=_by_step({step: one.weights for step, one in found.items()}),
        expected=expected_of(looked, inputs),
        losses={step: one.loss for step, one in found.items()},
        notes=(*notes, *notes_on_inputs(inputs), *of_looks),
    )


def _by_step(tables: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of all steps as one, ``step`` in front."""
    named = [table.assign(step=step) for step, table in tables.items()]
    rows = pd.concat(named, ignore_index=True)
    return rows[["step", *rows.columns.drop("step")]]


def _underneath(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the module that a compiled or distributed model wraps, and a note that says so."""
    inner = unwrapped(model)
    if inner is model:
        return model, ()
    what = "compiled model" if hasattr(model, "_orig_mod") else type(model).__name__
    return inner, (f"the {what} was looked at through the module underneath",)
