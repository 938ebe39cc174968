"""Dry-run an initializer on a small network: a bad value costs a moment, not a night."""

import inspect

import torch

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import InitSpec, all_inits
from init_bench.models import mlp
from init_bench.training.networks import build

SAMPLES, FEATURES = 32, 4


def dry_run(spec: InitSpec) -> None:
    """Let ``spec`` fill a small network; if it needs data or a loss, on a small batch.

    A spec with a base model of its own is not tried: it fits no other model.

    Raises:
        InitBenchError: it cannot; the message says why.

    Example:
        >>> from init_bench.init import parse
        >>> dry_run(parse("lsuv"))
        >>> dry_run(parse("normal(std=-1)"))
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: init 'normal(std=-1)': std must be a finite number >= 0, got -1
    """  # noqa: E501 - the doctest shows the message as a user sees it
    if "base" in dict(spec.arguments):  # compares shapes with a model that this one is not
        return
    inputs = torch.randn(SAMPLES, FEATURES, generator=stream(0, "dry run"))
    batch = (inputs, inputs[:, 0].gt(0).long())
    try:
        build(lambda: mlp(FEATURES, 2, 4, depth=3, activation="relu"), _shortened(spec), 0, batch)
    except InitBenchError as cause:
        raise InitBenchError(f"init {str(spec)!r}: {cause}") from None


def _shortened(spec: InitSpec) -> InitSpec:
    """Return ``spec`` with one step where it would take many."""
    given = dict(spec.arguments)
    fill = all_inits().get(spec.name)
    usual = inspect.signature(fill).parameters.get("steps") if fill else None
    steps = given.get("steps", usual and usual.default)
    if not isinstance(steps, int | float) or steps <= 1:
        return spec
    return InitSpec(spec.name, tuple((given | {"steps": 1}).items()))
