"""Fill all parameters of a network by one initializer, each from its own stream."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init.graph.structure import trace
from init_bench.init.lookup import record_of
from init_bench.init.spec import InitSpec
from init_bench.init.std_formulas import NominalStd, Size
from init_bench.init.tensor_inits.fans import fans
from init_bench.init.tensor_inits.torch_builtin import DEFAULT, reset_
from init_bench.init.whole_model.nominal_std import (
    depends_on_fans,
    depends_on_sizes,
    nominal_std,
)
from init_bench.init.whole_model.parameter_names import all_names
from init_bench.init.whole_model.parameter_roles import can_reset
from init_bench.init.whole_model.parameters import NamedParameter

_OF_SCORES = ("softmax", "log_softmax")
"""What turns scores into probabilities: the layer that gives the scores counts as linear."""


Nonlinearity = Callable[[NamedParameter], str]
"""What follows the layer of a parameter, empty where that is not known."""


def nonlinearities(
    model: nn.Module, found: Iterable[NamedParameter], init: InitSpec
) -> Nonlinearity:
    """Return the arguments that name the nonlinearity after a layer, if ``init`` takes one."""
    if not asks_for_nonlinearity(init):
        return lambda parameter: ""
    names = all_names(model, [parameter.name for parameter in found if parameter.role == "weight"])
    structure = trace(model, [name for each in names.values() for name in each])
    return lambda parameter: structure.nonlinearity_after(parameter.name) or ""


def asks_for_nonlinearity(init: InitSpec) -> bool:
    """Return whether ``init`` takes the nonlinearity after a layer and its spec names none."""
    takes = record_of(init.name).takes_nonlinearity
    return takes and "nonlinearity" not in dict(init.arguments)


def fill_all(
    model: nn.Module,
    found: Iterable[NamedParameter],
    init: InitSpec,
    seed: int,
    nonlinearity_after: Nonlinearity,
) -> None:
    """Fill weights by ``init``, biases with 0, and let torch reset the modules without a weight."""
    found = list(found)
    own = {parameter.path for parameter in found if parameter.role in ("weight", "bias", "left")}
    for path, module in reversed(list(model.named_modules())):
        holds = any(True for _ in module.parameters(recurse=False)) or module._buffers
        if path not in own and holds:
            reset_module(module, path, seed)
    for parameter in found:
        if parameter.role in ("weight", "bias"):
            fill_parameter(parameter, init, seed, nonlinearity_after(parameter))


def reset_all(model: nn.Module, seed: int) -> None:
    """Let torch reset every module.

    Children go first: torch's attention and transformer overwrite some of what their parts drew.
    """
    for path, module in reversed(list(model.named_modules())):
        reset_module(module, path, seed)


def fill_parameter(
    parameter: NamedParameter, init: InitSpec, seed: int, nonlinearity: str = ""
) -> None:
    """Fill one parameter from its own stream; a bias is 0 unless ``init`` fills biases too."""
    if parameter.role == "bias" and not record_of(init.name).fills_biases:
        parameter.write(
            torch.zeros_like(parameter.values)
        ) if parameter.parametrized else parameter.values.zero_()
        return
    told = _with_nonlinearity(init, nonlinearity)
    try:
        draw_parameter(parameter, told, seed)
    except InitBenchError as cause:
        if told is init:
            raise
        raise InitBenchError(
            f"{init.name} cannot fill {parameter.name!r}, in front of {nonlinearity}: {cause}. Or "
            f"give this layer another rule: overrides={{{parameter.name!r}: 'lecun_normal'}}"
        ) from cause


def draw_parameter(parameter: NamedParameter, init: InitSpec, seed: int) -> None:
    """Let ``init`` itself draw the parameter, bias or not."""
    parameter.draw(init, stream(seed, parameter.name))
    if parameter.role == "weight":
        _correct_fans(parameter, init)
    if (factor := _factor_taken_back(parameter, init)) != 1:
        parameter.write(parameter.values / factor)


def _factor_taken_back(parameter: NamedParameter, init: InitSpec) -> float:
    """Return by what a drawn weight is divided, so that its std is the rule's where it is used.

    Layers of an equalized learning rate multiply their weight by a constant. A std that was given
    as a number stays.
    """
    follows = parameter.role == "weight" and depends_on_sizes(init)
    return parameter.factor if follows else 1.0


def _correct_fans(parameter: NamedParameter, init: InitSpec) -> None:
    """Scale to the true fans what was drawn by the shape; an embedding's padding becomes 0.

    The input of an embedding is one-hot, so each output sums one weight.
    """
    clear_padding(parameter)
    true = parameter.fans
    if true is None or true == parameter.drawn_fans or not depends_on_fans(init):
        return
    nominal, drawn = (
        nominal_std(init, _size(parameter, true)).std,
        nominal_std(init, _size(parameter, parameter.drawn_fans)).std,
    )
    if nominal is not None and drawn:
        parameter.write(parameter.values * (nominal / drawn))


def clear_padding(parameter: NamedParameter) -> None:
    """Set the row of an embedding that stands for padding to 0."""
    padding = getattr(parameter.module, "padding_idx", None)
    if padding is not None and parameter.is_table:
        values = parameter.values.clone()
        values[padding].zero_()
        parameter.write(values)


def nominal_std_of(
    parameter: NamedParameter,
    init: InitSpec,
    nonlinearity: str = "",
    *,
    growth: tuple[float, float] = (1.0, 1.0),
) -> NominalStd:
    """Return gain and std that ``init`` aims at for this parameter.

    With ``growth`` it is that for a weight whose inputs and outputs are so many times fewer.
    """
    if parameter.role == "bias" and not record_of(init.name).fills_biases:
        return NominalStd(std=0.0)
    size = _size(parameter, parameter.fans)
    if growth != (1.0, 1.0):
        size = _shrunk(size, growth, is_table=parameter.is_table)
    return _stored(parameter, init, nominal_std(_with_nonlinearity(init, nonlinearity), size))


def _shrunk(size: Size, growth: tuple[float, float], *, is_table: bool) -> Size:
    """Return the size of a weight whose inputs and outputs are so many times fewer."""
    inputs, outputs = growth
    sides = (inputs, outputs) if is_table else (outputs, inputs)
    return replace(
        size,
        fan_in=size.fan_in / inputs,
        fan_out=size.fan_out / outputs,
        rows=max(1, round(size.rows / sides[0])),
        columns=max(1, round(size.columns / sides[1])),
    )


def nominal_std_drawn(parameter: NamedParameter, init: InitSpec) -> NominalStd:
    """Return gain and std that ``init`` aims at where it draws a parameter itself, biases too."""
    return _stored(parameter, init, nominal_std(init, _size(parameter, parameter.fans)))


def _stored(parameter: NamedParameter, init: InitSpec, used: NominalStd) -> NominalStd:
    """Return the std of the values that are stored, by that of the weight where it is used."""
    if used.std is None:
        return used
    return replace(used, std=used.std / _factor_taken_back(parameter, init))


def _with_nonlinearity(init: InitSpec, nonlinearity: str) -> InitSpec:
    """Return ``init`` with the nonlinearity that follows, if it was waiting for one."""
    if not nonlinearity or not asks_for_nonlinearity(init):
        return init
    stated = "identity" if nonlinearity in _OF_SCORES else nonlinearity
    return InitSpec(init.name, (("nonlinearity", stated), *init.arguments))


def _size(parameter: NamedParameter, counted: tuple[int, int] | None) -> Size:
    """Return the size of a parameter with the fans ``counted``, or those of its shape."""
    values = parameter.values
    rows = values.shape[0] if values.dim() else 1
    if values.dim() < 2:
        return Size(fan_in=math.nan, fan_out=math.nan, rows=rows, columns=1)
    fan_in, fan_out = counted or fans(values)
    block = parameter.blocks(values)[0]
    columns = block[0].numel() if block.numel() else 0
    return Size(
        fan_in=fan_in,
        fan_out=fan_out,
        rows=block.shape[0],
        columns=columns,
        positions=math.prod(block.shape[2:]),
    )


def reset_module(module: nn.Module, path: str, seed: int) -> None:
    """Let torch fill ``module``'s own parameters, computed ones through their parametrization."""
    generator = stream(seed, f"{path}.weight".lstrip("."))
    if not parametrize.is_parametrized(module):
        return reset_(module, generator=generator)
    with torch.no_grad(), parametrize.cached():
        computed = {name: getattr(module, name) for name in module.parametrizations}  # type: ignore[union-attr]
        reset_(module, generator=generator)
        drawn = {name: value.clone() for name, value in computed.items()}
    for name, value in drawn.items():
        setattr(module, name, value)


def reset_parameter(parameter: NamedParameter, beside: Iterable[NamedParameter], seed: int) -> None:
    """Let torch fill one parameter and leave the others of its module as they are."""
    if not can_reset(parameter.module):
        raise InitBenchError(
            f"{DEFAULT} cannot fill {parameter.name!r}: {type(parameter.module).__name__} has no "
            f"reset_parameters"
        )
    kept: list[tuple[NamedParameter, Tensor]] = [
        (s, s.values.clone()) for s in beside if s is not parameter
    ]
    reset_module(parameter.module, parameter.path, seed)
    for other, values in kept:
        other.write(values)
