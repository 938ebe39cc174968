"""Fill a whole network by one initializer, completely or not at all, and report it."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils.data import DataLoader

from init_bench.activations.recognition import known_names
from init_bench.errors import InitBenchError, lookup, nearest
from init_bench.hooks.isolation import rollback_on_error
from init_bench.hooks.model_call import check_is_module, check_loss_fn, why_no_parameters
from init_bench.hooks.module_names import without_wrappers
from init_bench.init.lookup import INITS, all_inits
from init_bench.init.spec import InitSpec, parse
from init_bench.init.whole_model.meta_check import refuse_meta
from init_bench.init.whole_model.network_editor import Network, Override
from init_bench.init.whole_model.parameter_names import first_names, matching
from init_bench.init.whole_model.parameters import NamedParameter, named_parameters
from init_bench.init.whole_model.rate_factors import FactorsByKind
from init_bench.init.whole_model.report import KEPT, Report
from init_bench.init.whole_model.report_rows import how_it_was_traced, row_of
from init_bench.init.whole_model.tensor_fill import fill_all, nonlinearities

T = TypeVar("T")


MOST_NAMES = 4
"""Parameters that an error names."""


_ASKED = {"batch": "batch=inputs", "loss": "loss_fn=loss_fn, batch=(inputs, targets)"}


def initialize(
    model: nn.Module,
    spec: str | InitSpec,
    *,
    activation: str | None = None,
    batch: Any = None,
    loss_fn: Callable[..., Tensor] | None = None,
    overrides: Mapping[str, str | InitSpec] | None = None,
    keep: Iterable[str] = (),
    fans: Mapping[str, tuple[int, int]] | None = None,
    seed: int = 0,
    loss: Callable[..., Tensor] | None = None,
) -> Report:
    """Fill every parameter of ``model`` in place; return what was done to each.

    Weights are filled by ``spec``, biases with 0 unless the initializer says otherwise, and
    modules without a weight (normalization layers) by their own ``reset_parameters``, which
    ``torch.default`` leaves everything to. Gates of a recurrent layer, packed query, key and
    value, and groups of a convolution are drawn each with its own fans; a transposed convolution
    and an embedding with their true ones; a tied weight once, an embedding that is the output
    layer too with the fans of that layer (Vaswani et al. 2017, sec. 3.4: std near 1/√d); a
    parametrized one (``weight_norm``)
    through its parametrization. If anything fails the model is as it was. Of a model on the meta
    device the report says what would be drawn, and nothing gets memory.

    Each parameter draws from a stream of (seed, qualified name): its values depend on no other
    layer, on no device and not on torch's global stream, which does not move. Names are the user's
    own: a model, or a part of it, that is compiled, distributed or checkpointed gets the weights
    that it gets without, and nothing is compiled.

    Args:
        model: any module whose parameters have values.
        spec: an initializer of any kind; its own arguments win over whatever is found.
        activation: nonlinearity after the layers where tracing finds none. Which one follows is
            said in the report and given to initializers that are made for it
            (``critical_normal``), a softmax as ``identity``: the layer before it gives scores;
            others use the gain that they prescribe.
        batch: for initializers that see data: a tensor, keyword arguments of the model as a
            mapping, or (inputs, targets), where inputs may be a tuple of several arguments.
        loss_fn: for initializers that see a loss: ``loss_fn(output, targets)``,
            ``loss_fn(output)`` if the batch has no targets, ``loss_fn(model)`` if there is no
            batch.
        overrides: initializers of one tensor by ``fnmatch`` pattern of qualified module or
            parameter names, the last that matches counts. A pattern whose last part names a
            bias (``head.bias``, ``*.bias``) fills it; else the biases it reaches are 0.
        keep: ``fnmatch`` patterns of qualified module or parameter names that stay as they are.
            Besides, what no initializer was made for stays unless an override names it: integer
            parameters, those marked ``_no_reinit``, and parameters of your own modules over which
            no sum runs (temperatures, ``A_log``, layer scales).
        fans: (fan_in, fan_out) by pattern, of parameters of your own modules whose use cannot be
            read off their forward function, or is read wrongly; the report says how it was found.
        seed: of all streams.
        loss: deprecated name of ``loss_fn``.

    Raises:
        InitBenchError: ``spec`` or an override is malformed, unknown, cannot fill a parameter
            or leaves one unfilled; a pattern matches nothing; the model has no parameters, lazy
            ones, or meta ones beside others; ``batch`` or ``loss_fn`` is missing or does not fit.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> report = initialize(model, "he_normal", overrides={"2": "zeros"})
        >>> report.table[["parameter", "nonlinearity", "std_nominal"]]
          parameter nonlinearity  std_nominal
        0  0.weight         relu          0.5
        1    0.bias                       0.0
        2  2.weight     identity          0.0
        3    2.bias                       0.0
    """
    if loss is not None:
        warnings.warn("initialize(loss=...) is now initialize(loss_fn=...)", FutureWarning, 2)
    init, loss = _parsed(spec), loss if loss_fn is None else loss_fn
    _check(model, init, activation, batch, loss)
    with without_wrappers(model) as own:
        network = Network(
            own,
            seed=seed,
            activation=activation,
            batch=batch,
            loss=loss,
            overrides=_overrides(own, _by_pattern(overrides, "overrides", "zeros")),
            kept=dict.fromkeys(_named(own, keep, "keep"), KEPT),
        )
        for pattern, pair in _by_pattern(fans, "fans", (64, 10)).items():
            for name in _named(own, [pattern], "fans"):
                network.parameters[name] = _with_fans(network.parameters[name], pair)
        with rollback_on_error(own):
            _fill(network, init)
            rows = tuple(row_of(network, parameter) for parameter in network.parameters.values())
        traced = how_it_was_traced(network)
    return Report(
        spec=str(init),
        seed=seed,
        rows=rows,
        traced=traced,
        model=model,
        rate_factors=network.rate_factors,
        to_check=tuple(network.to_check),
    )


def _fill(network: Network, init: InitSpec) -> None:
    """Fill every parameter and note which are tied."""
    if init.name in INITS:
        network.start(init)
        _refuse_unfilled(network, init)
    else:
        _fill_whole(network, init)
    for alias, name in first_names(network.model).items():
        if alias != name:
            network.note(network.parameters[name], f"tied to {alias}")


def _fill_whole(network: Network, init: InitSpec) -> None:
    """Fill every parameter by an initializer that sees the whole model."""
    all_inits()[init.name](network, **dict(init.arguments))
    _refuse_unfilled(network, init)


def fill_weights(
    model: nn.Module,
    spec: str | InitSpec,
    *,
    batch: Any = None,
    loss: Callable[..., Tensor] | None = None,
    seed: int = 0,
) -> Mapping[str, FactorsByKind]:
    """Fill ``model`` in place as ``initialize`` does, but report nothing and restore nothing.

    Returns:
        Factors of the learning rate, by name of the parameter, where the initializer sets any.

    Raises:
        InitBenchError: ``spec`` needs a batch or a loss and there is none, or it cannot fill the
            model.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> fill_weights(layer, "constant(value=0.5)")
        {}
        >>> layer.weight.unique().item()
        0.5
    """
    init = _parsed(spec)
    refuse_meta(model)
    with without_wrappers(model) as own:
        if init.name in INITS:
            found = named_parameters(own)
            fill_all(own, found, init, seed, nonlinearities(own, found, init))
            return {}
        _refuse_missing(init, batch, loss)
        network = Network(own, seed=seed, batch=batch, loss=loss)
        _fill_whole(network, init)
    return network.rate_factors


def _parsed(spec: str | InitSpec) -> InitSpec:
    return spec if isinstance(spec, InitSpec) else parse(spec)


def _check(
    model: nn.Module,
    init: InitSpec,
    activation: str | None,
    batch: Any,
    loss: Callable[..., Tensor] | None,
) -> None:
    """Refuse what cannot work before anything is touched."""
    check_is_module(model)
    if next(model.parameters(), None) is None:
        raise InitBenchError(
            f"this {type(model).__name__} has no parameters to initialize; "
            f"{why_no_parameters(model)}"
        )
    if not all(value.is_meta for value in model.parameters()) or init.needs in ("batch", "loss"):
        refuse_meta(model)
    if activation is not None:
        known = dict.fromkeys(known_names())
        lookup(known, activation, kind="activation")
    check_loss_fn(loss)
    _refuse_missing(init, batch, loss)


def _refuse_missing(init: InitSpec, batch: Any, loss: Callable[..., Tensor] | None) -> None:
    """Refuse an initializer that must see what was not given."""
    if isinstance(batch, DataLoader | Iterator):
        raise InitBenchError(
            f"batch is a {type(batch).__name__}: pass the first one it gives, "
            f"batch=next(iter(loader))"
        )
    no_batch = batch is None or (isinstance(batch, tuple | list | Mapping) and not batch)
    missing = {"batch": no_batch, "loss": loss is None}.get(init.needs, False)
    if missing:
        raise InitBenchError(
            f"{init.name} needs a {init.needs}: "
            f"initialize(model, {str(init)!r}, {_ASKED[init.needs]})"
        )


def _refuse_unfilled(network: Network, init: InitSpec) -> None:
    """Refuse what an initializer did not say anything about: it would stay as it was built."""
    unfilled = [name for name in network.parameters if name not in network.filled]
    if unfilled:
        shown = ", ".join(unfilled[:MOST_NAMES]) + ", …" * (len(unfilled) > MOST_NAMES)
        raise InitBenchError(
            f"{init.name} filled {len(network.filled)} of {len(network.parameters)} parameters "
            f"and left {shown}; let it call network.start('he_normal') first, which fills all, or "
            f"network.fill or network.write for each"
        )


def _overrides(model: nn.Module, patterns: Mapping[str, str | InitSpec]) -> dict[str, Override]:
    """Return the override of each parameter whose name, or whose module's, a pattern matches."""
    found: dict[str, Override] = {}
    found_parameters = {parameter.name: parameter for parameter in named_parameters(model)}
    names = {alias: found_parameters[name] for alias, name in first_names(model).items()}
    paths = {path: None for path, _ in model.named_modules() if path}
    for pattern, spec in patterns.items():
        init = _parsed(spec)
        if not init.fills_one_layer:
            raise InitBenchError(
                f"override {pattern!r}: {init.name} needs a {init.needs}, and an override is an "
                f"initializer of one tensor{nearest(init.name, INITS)}"
            )
        hits = matching(pattern, {**names, **paths})
        for name, parameter in names.items():
            if any(f"{name}.".startswith(f"{hit}.") for hit in hits):
                by_name = parameter.role == "bias" and "bias" in pattern.rpartition(".")[2]
                found[parameter.name] = Override(init=init, by_name=by_name)
    return found


def _by_pattern(given: Mapping[str, T] | None, argument: str, example: T) -> Mapping[str, T]:
    """Return ``given``, or refuse what does not map patterns to values."""
    if given is not None and not isinstance(given, Mapping):
        such_as = {"head.*": example}
        raise InitBenchError(f"{argument} must be a dict such as {such_as}, got {given!r}")
    return given or {}


def _named(model: nn.Module, patterns: Iterable[str], argument: str) -> list[str]:
    """Return the parameters that patterns of module or parameter names match, by first name."""
    if isinstance(patterns, str):
        raise InitBenchError(f"{argument}={patterns!r}: give a list of patterns: [{patterns!r}]")
    if not isinstance(patterns, Iterable):
        raise InitBenchError(f"{argument} must be a list such as ['head.*'], got {patterns!r}")
    names = first_names(model)
    paths = {path: None for path, _ in model.named_modules() if path}
    hits = [hit for pattern in patterns for hit in matching(pattern, {**names, **paths})]
    reached = [n for n in names if any(f"{n}.".startswith(f"{hit}.") for hit in hits)]
    return list(dict.fromkeys(names[name] for name in reached))


def _with_fans(parameter: NamedParameter, fans: tuple[int, int]) -> NamedParameter:
    """Return the parameter with fans that the caller states: it is a weight then."""
    if not (isinstance(fans, tuple | list) and len(fans) == 2 and min(fans) > 0):
        raise InitBenchError(
            f"fans of {parameter.name!r} must be (fan_in, fan_out), both above 0, got {fans!r}"
        )
    return replace(parameter, given=(int(fans[0]), int(fans[1])), role="weight", why="")
