"""Run a model once, forward and backward, collect statistics, restore all state."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.diagnosis.evidence.backward_pass import PassedLoss, backward_pass
from init_bench.diagnosis.evidence.chance import chance_loss, excess_bias
from init_bench.diagnosis.evidence.gradient_states import ARRIVES, STUCK, gradient_states
from init_bench.diagnosis.evidence.layers import heads_of, profile_of
from init_bench.diagnosis.evidence.loss_use import (
    IGNORED,
    NO_GRADIENT,
    depends_on_output,
)
from init_bench.diagnosis.evidence.parameters import parameter_table
from init_bench.diagnosis.evidence.preconditions import (
    check_batch,
    check_layers,
    check_parameters,
    dtype_hint,
)
from init_bench.diagnosis.evidence.shut_output import shut_off
from init_bench.diagnosis.loss_or_nan import Loss, loss_or_nan
from init_bench.errors import InitBenchError
from init_bench.hooks.dropout import dropout_disabled
from init_bench.hooks.forward_hooks import LayerTracker, track
from init_bench.hooks.gradients import parametrized_gradients
from init_bench.hooks.isolation import isolated_pass, seed_rng
from init_bench.hooks.layer_call import describe_signal
from init_bench.hooks.model_call import call, check_loss_fn, needs_graph, shapes
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.nested_tensors import tensors_in
from init_bench.hooks.record import Record
from init_bench.hooks.weight_uses import WeightUse
from init_bench.hooks.written_parameters import restored_writes

ATTENTION = ("layer", "index", "largest", "entropy")
"""Columns of ``Evidence.attention``."""


GATES = ("layer", "index", "gate", "bias", "opening")
"""Columns of ``Evidence.gates``."""


PRODUCTS = ("layer", "index", "input_sample_std", "gain", "units", "distinct")
"""Columns of ``Evidence.products``."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Hold the statistics of one pass through a model.

    Attributes:
        layers: the table of ``capture``.
        profile: a row per layer call, a hidden nonlinearity called as a function being a layer too
            (``module`` is its name, ``place`` the module by which findings name it: the layer
            before it, or the module that consists of it): its statistics and those of its input;
            ``gradient``, the RMS of the loss's gradient with respect to its output;
            ``weight_gain`` = √(fan_in · mean W²), the factor by which its weights multiply an
            incoherent signal; ``units``, the rows of its weight, and ``distinct``, how many of
            them differ (of a layer of several matrices, such as attention, see
            ``evidence.worst_matrix``); ``outputs``, the values per sample; ``nonlinear``, whether
            it is an elementwise nonlinearity.
        histograms: the histogram of each output, see ``Record.histograms``.
        weights: a row per parameter; ``gradient_ratio`` is ‖∂loss/∂W‖ / ‖W‖.
        output: how many ``tensors`` the model returns, and of the first how many ``samples`` and
            ``dimensions`` it has, ``rms``, ``std``, ``sample_std``, ``dead`` and ``nonfinite``.
        loss: the loss, nan where none was asked for.
        attention: a row per attention: ``layer``, ``index`` of the layer call before it,
            ``largest`` and ``entropy``, see ``hooks.attention.AttentionCall``.
        gates: a row per gate inside a GLU, LSTM, GRU or a cell of these: ``layer`` and ``index`` of
            the first layer call that makes it, ``gate``, ``bias`` and ``opening``, see
            ``hooks.gates.GateCall``; of several calls the one at which it is most open.
        products: a row per product with a weight that a module computes itself beside its child
            modules, see ``hooks.layer_call.OwnProduct``.
        chance: the loss of constant outputs, see ``chance.chance_loss``; nan where unknown.
        excess_bias: the bias of an output layer that alone takes the loss far above it, if any.
        loss_floor, log_mass: what is wrong with the values that a cross-entropy or a negative
            log-likelihood gets, see ``loss_use.LossUse``; nan where nothing is.
        output_used: ``arrives`` where the gradient of the loss arrives at the output, or at some
            layer; else ``no gradient`` where the loss depends on the output, and ``ignored`` where
            it does not.
        output_shut: whether an output that is the same for all samples lets no gradient back, see
            ``shut_output``; asked only where a parameter's gradient is stuck at zero.
        measured: what measures returned of it, by measure: several rules may judge one.
    """

    layers: pd.DataFrame
    profile: pd.DataFrame
    histograms: pd.DataFrame
    weights: pd.DataFrame
    output: dict[str, float]
    loss: float
    attention: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(ATTENTION)))
    gates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(GATES)))
    products: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PRODUCTS)))
    chance: float = math.nan
    excess_bias: str = ""
    loss_floor: float = math.nan
    log_mass: float = math.nan
    output_used: str = ARRIVES
    output_shut: bool = False
    measured: dict[Any, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)


def collect_evidence(
    model: nn.Module, inputs: Any, targets: Any = None, loss_fn: Loss | None = None
) -> Evidence:
    """Run ``model`` once on ``inputs``, backward too where a loss is given, and keep statistics.

    It runs again where a parameter has no gradient (see ``gradient_states``), where the
    loss is far above that of zeros (see ``chance.chance_loss``), and with a graph where it cannot
    do without one, as a model that returns forces.

    Parameters, their ``.grad``, buffers, the mode of the model and the global random streams are
    restored. Dropout and stochastic depth are disabled, as a mask would make even equal samples
    differ (see ``hooks.dropout``); other draws come from a seeded stream: two passes agree.

    Raises:
        InitBenchError: the model has no parameters, does not run on ``inputs``, or the loss does
            not take what the model returns, is no scalar, or is no number because of the targets.
    """
    check_parameters(model)
    check_loss_fn(loss_fn)
    try:
        return _collect(model, inputs, targets, loss_fn, with_graph=loss_fn is not None)
    except InitBenchError as error:
        if loss_fn is not None or not needs_graph(error.__cause__):
            raise
    return _collect(model, inputs, targets, None, with_graph=True)


def _collect(
    model: nn.Module, inputs: Any, targets: Any, loss_fn: Loss | None, *, with_graph: bool
) -> Evidence:
    view = ModelView(model)
    again = None if loss_fn is None else partial(_loss_again, model, inputs, targets, loss_fn)
    states: dict[str, str] = {}
    shut: set[str] = set()
    with isolated_pass(model, inputs):
        with dropout_disabled(model):
            with restored_writes(model) as written:
                ran = _run_tracked(view, inputs, targets, loss_fn, with_graph=with_graph)
            if loss_fn is not None and again is not None:
                states = gradient_states(view, ran.gradients, again, written)
                shut = shut_off(view, states, inputs, targets, loss_fn)
                states |= dict.fromkeys(shut, STUCK)
        tracker = ran.tracker
        order = [call.layer for call in tracker.calls]
        weights = parameter_table(view, order, ran.gradients, uses=_uses(tracker), states=states)
        profile = profile_of(view, tracker.calls, weights)
        chance, spoilt = _chance_of(ran.loss, view, profile, again)
        output_used = _use_of_output(ran, profile, loss_fn, targets)
    record = Record(tracker.calls)
    signal = describe_signal(ran.output, view.batch_dims[""])
    return Evidence(
        layers=record.layers,
        profile=profile,
        histograms=record.histograms(),
        weights=weights,
        output=signal | {"tensors": len(list(tensors_in(ran.output)))},
        loss=ran.loss.value,
        attention=_attention_table(tracker),
        gates=_gate_table(tracker),
        products=_product_table(tracker),
        chance=chance,
        excess_bias=spoilt,
        loss_floor=ran.loss.floor,
        log_mass=ran.loss.log_mass,
        output_used=output_used,
        output_shut=bool(shut),
    )


def _chance_of(
    loss: PassedLoss, view: ModelView, profile: pd.DataFrame, again: Callable[[], Tensor] | None
) -> tuple[float, str]:
    """Return the loss of constant outputs, and the bias that alone takes the first far above it."""
    if again is None:
        return loss.of_zeros, ""
    heads = {name: view.modules[name] for name in heads_of(profile)}
    weighted = profile.loc[profile["weight_gain"].notna(), "layer"].unique()
    layers = [view.modules[name] for name in weighted]
    with dropout_disabled(view.model), restored_writes(view.model):
        chance = chance_loss(loss.value, loss.of_zeros, heads.values(), layers, again)
        return chance, excess_bias(loss.value, chance, heads, again)


class _Pass(NamedTuple):
    """What one tracked pass yields."""

    tracker: LayerTracker
    output: Any
    gradients: dict[str, Tensor]
    loss: PassedLoss


def _run_tracked(
    view: ModelView, inputs: Any, targets: Any, loss_fn: Loss | None, *, with_graph: bool
) -> _Pass:
    """Run the model forward, and backward where there is a loss, while its layers are tracked."""
    loss = PassedLoss()
    with (
        track(view, histogram=True, inputs=True) as tracker,
        parametrized_gradients(view, tracker.counts) as gradients,
        torch.set_grad_enabled(with_graph),
    ):
        tracker.listens = False
        output = _run(view.model, inputs, tracker)
        tracker.mark_returned(output)
        check_layers(view.model, tracker.calls)
        check_batch(view.modules, inputs, tracker.calls)
        if loss_fn is not None:
            loss = backward_pass(tracker, loss_fn, output, targets)
    gradients |= {name: p.grad for name, p in view.parameters.items() if p.grad is not None}
    return _Pass(tracker, output, gradients, loss)


def _uses(tracker: LayerTracker) -> dict[str, WeightUse]:
    return {} if tracker.model_code is None else tracker.model_code.uses.found


def _attention_table(tracker: LayerTracker) -> pd.DataFrame:
    calls = [] if tracker.model_code is None else tracker.model_code.attention.calls
    rows = [{**vars(call), "index": _last_index(tracker, call.layer)} for call in calls]
    return pd.DataFrame(rows, columns=list(ATTENTION))


def _gate_table(tracker: LayerTracker) -> pd.DataFrame:
    gates = [] if tracker.model_code is None else tracker.model_code.gates.calls
    layers = ["", *(call.layer for call in tracker.calls)]
    rows = [{**vars(gate), "layer": layers[gate.index]} for gate in gates]
    by_gate = pd.DataFrame(rows, columns=list(GATES)).groupby(["layer", "gate", "bias"], sort=False)
    return by_gate.agg({"index": "min", "opening": "max"}).reset_index()[list(GATES)]


def _product_table(tracker: LayerTracker) -> pd.DataFrame:
    products = [] if tracker.model_code is None else tracker.model_code.products
    return pd.DataFrame([vars(product) for product in products], columns=list(PRODUCTS))


def _last_index(tracker: LayerTracker, module: str) -> int:
    """Return the index of the last layer call inside ``module``, 0 where there is none."""
    inside = (call.index for call in tracker.calls if _is_in(call.layer, module))
    return max(inside, default=0)


def _is_in(layer: str, module: str) -> bool:
    return f"{layer}.".startswith(f"{module}.") or not module


def _run(model: nn.Module, inputs: Any, tracker: LayerTracker) -> Any:
    """Run the model; if it fails, name the layer it stopped in and chain its own error."""
    try:
        return call(model, inputs)
    except Exception as cause:
        raise InitBenchError(
            f"{type(model).__name__} does not run on {shapes(inputs)}: it stops "
            f"{tracker.position}\n"
            f"{type(cause).__name__}: {cause}{dtype_hint(model, inputs, cause)}"
        ) from cause


def _loss_again(model: nn.Module, inputs: Any, targets: Any, loss_fn: Loss) -> Tensor:
    """Run the model and return its loss, with the draws of the first run."""
    seed_rng(model, 0)
    return loss_or_nan(loss_fn, call(model, inputs), targets)


def _use_of_output(ran: _Pass, profile: pd.DataFrame, loss_fn: Loss | None, targets: Any) -> str:
    """Return ``Evidence.output_used``; a loss may also use what layers return, or differentiate."""
    if loss_fn is None or ran.loss.arrives or (profile["gradient"] > 0).any():
        return ARRIVES
    depends = depends_on_output(loss_fn, ran.output, targets, ran.loss.value)
    return NO_GRADIENT if depends else IGNORED
