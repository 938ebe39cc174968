"""Diagnose a model: what is wrong with its initialization, layer by layer, and what helps."""

import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import nn

from init_bench.diagnosis.data_remarks import remarks_on_inputs, remarks_on_targets
from init_bench.diagnosis.default_loss import cross_entropy
from init_bench.diagnosis.input_checks import check_inputs
from init_bench.diagnosis.judgment import judge, rate_first
from init_bench.diagnosis.learning_rates.pipeline import rate_window
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.remarks import (
    remark_on_training,
    remarks_on_frozen,
    remarks_on_steps,
)
from init_bench.diagnosis.result import Diagnosis
from init_bench.diagnosis.training_steps import (
    Optimizer,
    collect_evidence_by_step,
    optimizer_of,
)
from init_bench.diagnosis.unregistered import remarks_on_unregistered
from init_bench.hooks.isolation import is_compiled
from init_bench.hooks.model_call import check_is_module
from init_bench.hooks.module_names import unwrapped
from init_bench.hooks.python_state import preserved_python_state
from init_bench.init import Report
from init_bench.theory.model_prediction import expected_of


def diagnose(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
    *,
    capture_at: int | Sequence[int] = (0,),
    optimizer: Optimizer | None = None,
    steps: Sequence[int] | None = None,
    rates: bool = False,
    report: Report | None = None,
) -> Diagnosis:
    """Measure ``model`` at its present weights and say what is wrong, where, and what helps.

    The model runs once forward, and backward if there is a loss. Weights, gradients, buffers,
    mode, attributes (such as the state that a recurrent model keeps) and global random streams
    are restored, so it may be called at any step of your own training loop, which continues with
    the same bits. Dropout is disabled while statistics are
    taken: its noise would make equal samples look different.

    With ``capture_at`` beyond 0 the model is trained on ``inputs`` and ``targets`` up to the last
    of these steps, measured at each of them, and its weights are restored. If the loss is not
    finite, training ends there with a last measurement. The limits were calibrated at step 0 and
    are the same at later steps: a network that fits its batch perfectly has a vanishing gradient
    and nothing wrong.

    Args:
        model: any module with parameters. Of a compiled or distributed model, the module inside
            is measured.
        inputs: a tensor of samples, a tuple of arguments or a mapping of keyword arguments. The
            first dimension is the samples, or a list has one item per sample. At least two.
        targets: what ``loss_fn`` takes beside the output. With class indices for an output
            (samples, classes), or for each token of (samples, tokens, classes), you need no
            ``loss_fn``: it is cross-entropy.
        loss_fn: takes output and targets, returns a scalar. Without it, and without targets, no
            gradients are judged.
        capture_at: after how many updates to measure, beside step 0: a number or several.
        optimizer: builds the optimizer of these updates, as in
            ``lambda model: torch.optim.SGD(model.parameters(), lr=0.1)``. With it and a loss,
            ``.weights`` has ``update_ratio`` at step 0: ‖ΔW‖ / ‖W‖ of its first update.
        steps: the old name of ``capture_at``.
        rates: also find the learning rates at which the model learns, of ``optimizer`` or else of
            SGD, by short trials: ``init_bench.rate_window``, for all its settings.
        report: what ``initialize`` returned for this model. Where the initializer gives parameters
            rates of their own (``mup``), ``optimizer``, built without them, takes them over.

    Returns:
        ``Diagnosis``: ``.summary``, ``.verdicts``, ``.healthy``, ``.figure()``, ``.save(folder)``.

    Raises:
        InitBenchError: the model has no parameters or does not run on ``inputs``; the inputs are
            not finite or a single sample; the loss does not fit output and targets, or is not
            finite because of the targets; or ``capture_at`` or ``rates`` asks to train without a
            loss or ``capture_at`` without an optimizer.

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
    check_is_module(model)
    if steps is not None:
        warnings.warn("steps= is now called capture_at=", FutureWarning, stacklevel=2)
        capture_at = steps
    measured, notes = _module_inside(model)
    check_inputs(inputs)
    if targets is not None and loss_fn is None:
        loss_fn = cross_entropy
    captured = (capture_at,) if isinstance(capture_at, int) else capture_at
    window = None
    with preserved_python_state(measured):
        evidence = collect_evidence_by_step(
            measured, inputs, targets, loss_fn, captured, optimizer, report
        )
        if rates:
            update = optimizer or "sgd"
            window = rate_window(
                measured, inputs, targets, loss_fn, optimizer=update, report=report
            )
    verdicts = rate_first({step: judge(one) for step, one in evidence.items()})
    last, with_loss = max(captured, default=0), loss_fn is not None
    on_steps = [*remarks_on_steps(evidence, verdicts, last, with_loss=with_loss)]
    if last and optimizer:
        on_steps.insert(0, remark_on_training(optimizer_of(measured, optimizer)))
    return Diagnosis(
        name=type(measured).__name__,
        layers=_by_step({step: one.layers for step, one in evidence.items()}),
        profile=_by_step({step: one.profile for step, one in evidence.items()}),
        histograms=_by_step({step: one.histograms for step, one in evidence.items()}),
        verdicts=_by_step(verdicts),
        weights=_by_step({step: one.weights for step, one in evidence.items()}),
        expected=expected_of(measured, inputs),
        losses={step: one.loss for step, one in evidence.items()},
        rates=window,
        notes=(
            *notes,
            *remarks_on_inputs(inputs),
            *remarks_on_targets(targets),
            *remarks_on_frozen(measured),
            *remarks_on_unregistered(measured),
            *on_steps,
        ),
    )


def _by_step(tables: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of all steps as one, with ``step`` as first column."""
    named = [table.assign(step=step) for step, table in tables.items()]
    rows = pd.concat(named, ignore_index=True)
    return rows[["step", *rows.columns.drop("step")]]


def _module_inside(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the module inside a compiled or distributed model, and a remark about it."""
    inner = unwrapped(model)
    if inner is model:
        said = "compiled forward functions were run without the compiler"
        return model, (said,) if is_compiled(model) else ()
    kind = "compiled model" if hasattr(model, "_orig_mod") else type(model).__name__
    return inner, (f"the module inside the {kind} was measured",)
