"""Call the library on a model and inputs that a command line describes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from init_bench.cli.model_arguments import draw_inputs, make, random_classes, read_input
from init_bench.errors import InitBenchError, lookup
from init_bench.files import make_folder
from init_bench.init import InitSpec, Report, initialize, parse
from init_bench.models import find_factory

if TYPE_CHECKING:
    from init_bench.diagnosis.coordinate_result import CoordCheck
    from init_bench.diagnosis.recommendation_result import Recommendation
    from init_bench.diagnosis.result import Diagnosis

DESCRIBED = (
    "--input describes what the model takes: 8,3,224,224 is its default, 8,128:int64 suits a model "
    "that begins with an embedding"
)


FIRST_LAYERS = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers that a model may begin with."""


AS_BUILT = "as built"
"""Name of the weights that the factory itself leaves."""


COORD_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
"""What ``coord-check --optimizer`` may name."""


def diagnoses(
    text: str,
    inputs: Sequence[str],
    inits: Sequence[str],
    *,
    steps: Sequence[int] = (0,),
    lr: float | None = None,
    rates: bool = False,
    out: Path | None = None,
) -> dict[str, "Diagnosis"]:
    """Return the diagnosis of the model that ``text`` names under each of ``inits``.

    Without ``inits`` the weights are as the factory leaves them, under ``as built``. If the
    output is logits, (samples, classes) or a row of classes per token, gradients are those of the
    cross-entropy to random classes; else no gradients are judged. An initializer that must see a
    batch or a loss sees the same inputs and that cross-entropy. The model is diagnosed after each
    of ``steps`` updates of plain SGD at rate ``lr`` (0.1) on that one batch. With ``rates`` the
    window of SGD's rates is found on it too, around ``lr`` if there are steps.

    Raises:
        InitBenchError: the model does not run on ``inputs``, its output is no logits and
            ``steps`` or ``rates`` ask to train, or as ``find_factory``, ``make``, ``draw_inputs``,
            ``initialize`` and ``diagnose``.

    Example:
        >>> list(diagnoses("init_bench.models:mlp", ["8,4"], []))
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: model 'init_bench.models:mlp' cannot be built without arguments: missing a required argument: 'features'; name a function without any that builds it, such as def net(): return mlp(…)
    """  # noqa: E501 - the doctest shows the message as a user sees it
    specs = _read(inputs, inits)
    factory = find_factory(text)
    named: list[InitSpec | None] = [*specs] or [None]
    from init_bench.diagnosis.pipeline import diagnose

    results = {}
    for name, spec in {str(spec or AS_BUILT): spec for spec in named}.items():
        model = make(factory, text)
        drawn = draw_inputs(inputs, model)
        targets = _targets_of(model, drawn)
        report = _initialize(model, spec, drawn, targets) if spec else None
        trains = max(steps, default=0) > 0
        if trains:
            _check_logits(text, targets, f"for steps {list(steps)}", "diagnose")
        if rates:
            _check_logits(text, targets, "at several rates", "rate_window")
        optimizer = _sgd(0.1 if lr is None else lr) if trains else None
        if out:  # after all that may be refused
            make_folder(out)
        results[name] = diagnose(
            model,
            drawn,
            targets,
            capture_at=steps,
            optimizer=optimizer,
            rates=rates,
            report=report,
        )
    return results


def recommendation(
    text: str,
    inputs: Sequence[str],
    inits: Sequence[str] | None,
    *,
    seeds: int | Literal["auto"],
    optimizer: str,
    out: Path | None,
) -> "Recommendation":
    """Return ``recommend`` of the model that ``text`` names, on random inputs and classes.

    Raises:
        InitBenchError: the output is no logits, or as ``diagnoses`` and ``recommend``.
    """
    specs = _read(inputs, inits or ())
    model = make(find_factory(text), text)
    from init_bench.diagnosis.recommendation import CANDIDATES, recommend

    drawn = draw_inputs(inputs, model)
    targets = _targets_of(model, drawn)
    _check_logits(text, targets, "on random classes", "recommend")
    if out:
        make_folder(out)
    candidates = [*map(str, specs)] or CANDIDATES
    return recommend(model, drawn, targets, inits=candidates, seeds=seeds, optimizer=optimizer)


class CoordTraining(TypedDict):
    """How the networks of a coordinate check are trained."""

    steps: int
    lr: float
    seeds: int
    optimizer: str


def size_check(
    text: str,
    widths: Sequence[int],
    depths: Sequence[int] | None,
    inputs: Sequence[str],
    *,
    init: str | None,
    out: Path | None,
    **training: Unpack[CoordTraining],
) -> "CoordCheck":
    """Return ``coord_check`` of the factory that ``text`` names, on random inputs and classes.

    Raises:
        InitBenchError: the output is no logits, the optimizer is unknown, or as ``diagnoses`` and
            ``coord_check``.
    """
    spec = next(iter(_read(inputs, [init] if init else ())), None)
    name, lr = training["optimizer"], training["lr"]
    torch_class = lookup(COORD_OPTIMIZERS, name, kind="optimizer")
    factory = find_factory(text)
    model = make(factory, text, widths[0], *(depths or ())[:1])
    from init_bench.diagnosis.coordinate_check import coord_check
    from init_bench.diagnosis.default_loss import cross_entropy

    drawn = draw_inputs(inputs, model)
    targets = _targets_of(model, drawn)
    _check_logits(text, targets, "on random classes", "coord_check")
    if out:
        make_folder(out)
    check = partial(coord_check, factory, widths, (drawn, targets), loss_fn=cross_entropy)  # type: ignore[arg-type]
    return check(
        optimizer=lambda model: torch_class(model.parameters(), lr=lr),
        steps=training["steps"],
        seeds=range(training["seeds"]),
        depths=depths,
        init=spec,
    )


def _read(inputs: Sequence[str], inits: Sequence[str]) -> list[InitSpec]:
    """Return the specs, each once, after a check of the inputs: before a module is imported."""
    for text in inputs:
        read_input(text)
    return list(dict.fromkeys(parse(init) for init in inits))


def _check_logits(text: str, targets: Tensor | None, aim: str, function: str) -> None:
    """Refuse to train a model that is no classifier."""
    if targets is None:
        raise InitBenchError(
            f"{text} returns no logits (samples, classes): the command cannot train it {aim}; "
            f"ib.{function} takes a loss_fn of your own"
        )


def _initialize(model: nn.Module, spec: InitSpec, inputs: object, targets: Tensor | None) -> Report:
    """Fill the model; an initializer that needs a batch or a loss gets those of the diagnosis."""
    from init_bench.diagnosis.default_loss import cross_entropy

    if targets is None and spec.needs == "loss":
        raise InitBenchError(
            f"{spec} needs a loss: here that is the cross-entropy to random classes, and this "
            f"{type(model).__name__} does not return logits (samples, classes) for these inputs; "
            f"in Python, initialize(model, '{spec}', batch=…, loss_fn=…) takes any loss"
        )
    try:
        return initialize(model, spec, batch=(inputs, targets), loss_fn=cross_entropy)
    except InitBenchError as error:
        raise InitBenchError(f"init '{spec}': {error}") from error


def _sgd(lr: float) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), lr=lr)


def _targets_of(model: nn.Module, inputs: object) -> Tensor | None:
    """Return random targets of a classifier; say why the model does not run, if it does not."""
    from init_bench.diagnosis.pipeline import diagnose
    from init_bench.hooks.isolation import isolated_pass
    from init_bench.hooks.model_call import call

    try:
        with isolated_pass(model):
            return random_classes(call(model, inputs), inputs)
    except Exception:
        try:
            diagnose(model, inputs)  # knows the layer
        except InitBenchError as error:
            raise InitBenchError(f"{error}\n{DESCRIBED}{_suggestion(model)}") from error
        return None


def _suggestion(model: nn.Module) -> str:
    """Return an input to try, where the first layer says how many features it takes."""
    first = next((m for m in model.modules() if isinstance(m, FIRST_LAYERS)), None)
    if not isinstance(first, nn.Linear):
        return ""
    return f"; a layer here takes {first.in_features} features: try --input 8,{first.in_features}"
