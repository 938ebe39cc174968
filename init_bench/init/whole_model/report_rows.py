"""Make the rows of a report from what was done to each parameter of a network."""

import math

from torch import Tensor

from init_bench.init.tensor_inits.fans import fans as fans_of_shape
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameter_roles import is_known
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.rate_factors import factors_for
from init_bench.init.whole_model.report import UNCHANGED, Row
from init_bench.statistics.layer_statistics import rms


def row_of(network: Network, parameter: NamedParameter) -> Row:
    """Return what was done to a parameter as a row of the report."""
    done, values = network.filled[parameter.name], parameter.values
    nonlinearity, found_by = network.nonlinearity(parameter)
    fan_in, fan_out = parameter.fans or (None, None)
    rates = factors_for("adamw", network.rate_factors.get(parameter.name, {}))
    how = "" if done.initializer == UNCHANGED else _how_it_is_used(parameter)
    return Row(
        parameter=parameter.name,
        shape=tuple(values.shape),
        fan_in=fan_in,
        fan_out=fan_out,
        initializer=done.initializer,
        nonlinearity=nonlinearity,
        found_by=found_by,
        gain=done.nominal.gain,
        std_nominal=done.nominal.std,
        std_measured=_std(values),
        lr_factor=rates.lr,
        weight_decay_factor=rates.weight_decay,
        eps_factor=rates.eps,
        note="; ".join(part for part in (done.note, how) if part),
    )


def how_it_was_traced(network: Network) -> str:
    """Return in a sentence how nonlinearities were found."""
    structure = network.structure
    meta = all(parameter.values.is_meta for parameter in network.parameters.values())
    planned = " On the meta device nothing was drawn: std_measured is empty." * meta
    if structure.how == "fx":
        return f"Nonlinearities found by tracing the forward function.{planned}"
    why = f"; the forward function could not be traced ({structure.failure})" * bool(
        structure.failure
    )
    return f"Nonlinearities found by the order of modules in each Sequential{why}.{planned}"


def _how_it_is_used(parameter: NamedParameter) -> str:
    """Return in words where fans come from, and by what the module multiplies the weight."""
    times = f"multiplied by {parameter.factor:.3g} where it is used" * (parameter.factor != 1)
    return "; ".join(part for part in (_how_fans_were_found(parameter), times) if part)


def _how_fans_were_found(parameter: NamedParameter) -> str:
    """Return in words where the fans of a weight of a user's own module come from."""
    if parameter.given is not None:
        return "fans as given"
    if parameter.role != "weight" or is_known(parameter.module, parameter.attribute):
        return ""
    if parameter.use is not None:
        return f"fans as {parameter.use.function.strip('_')} uses it"
    fan_in, fan_out = fans_of_shape(parameter.values)
    return (
        f"use not known, drawn with the fans of its shape ({fan_in}, {fan_out}), a guess: "
        f"give fans={{{parameter.name!r}: (fan_in, fan_out)}}"
    )


def _std(values: Tensor) -> float:
    """Return √(mean \\|w − mean w\\|²), of complex values too."""
    if not values.numel() or values.is_meta:
        return math.nan
    if values.is_complex():
        return rms(values - values.mean())
    return values.float().std(correction=0).item()
