"""Signatures: what does not fit is said, what does or cannot be asked passes."""

import pytest
from torch import nn

from init_bench.signatures import misfit


def named(width: int, *, depth: int = 2) -> int:
    return width * depth


@pytest.mark.parametrize("fits", [named, nn.Softmax, lambda *widths: widths, max])
def test_what_takes_the_arguments_passes(fits: object) -> None:
    assert misfit(fits, 3) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "arguments", "why"),
    [
        (named, (), "missing a required argument: 'width'"),
        (named, (1, 2), "too many positional arguments"),
        (nn.Linear, (3,), "missing a required argument: 'out_features'"),
    ],
)
def test_what_does_not_is_told_why(
    function: object, arguments: tuple[object, ...], why: str
) -> None:
    assert misfit(function, *arguments) == why  # type: ignore[arg-type]
