"""Many layers at once have the statistics of each alone."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

from init_bench.hooks.random_streams import DispatchMode
from init_bench.statistics import STATISTICS, describe, describe_weight
from init_bench.statistics.stacked import describe_stack, describe_weight_stack


def _assert_equal(found: dict[str, float], expected: dict[str, float]) -> None:
    stored = {name: expected[name] for name in STATISTICS}
    assert found == pytest.approx(stored, rel=1e-6, abs=1e-9, nan_ok=True)


def _outputs() -> Tensor:
    g = torch.Generator().manual_seed(0)
    drawn = torch.randn(8, 70, 9, generator=g)
    return torch.stack(
        [
            drawn[0],
            drawn[1].relu(),
            drawn[2] * 1e-20,
            drawn[3].clamp(-1, 1) * torch.tensor([0.0] * 4 + [1.0] * 5),
            torch.zeros(70, 9),
            drawn[5] * 1e-4 + 3,
            drawn[6].where(drawn[6] < 2, math.nan),
            drawn[7] * 1e25,
        ]
    )


@pytest.mark.parametrize("bounds", [None, (-1.0, 1.0)])
def test_outputs_are_described_as_one_by_one(bounds: tuple[float, float] | None) -> None:
    outputs = _outputs()
    for layer, found in zip(outputs, describe_stack(outputs, bounds), strict=True):
        _assert_equal(found, describe(layer, bounds))


def test_weights_are_described_as_one_by_one() -> None:
    g = torch.Generator().manual_seed(1)
    drawn = torch.randn(4, 6, 20, generator=g)
    drawn[1, 3] = drawn[1, 0]
    drawn[2] = 0.5
    drawn[3, 0, 0] = math.inf
    for weight, found in zip(drawn, describe_weight_stack(drawn), strict=True):
        _assert_equal(found, describe_weight(weight))
    assert [layer["distinct"] for layer in describe_weight_stack(drawn)][:3] == [6.0, 5.0, 1.0]


class _Largest(DispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many values the largest tensor has that an operation returns."""

    values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_iter(found) if isinstance(leaf, Tensor)]
        self.values = max(self.values, *sizes, 0)
        return found


def test_rows_are_compared_column_by_column_to_save_memory() -> None:
    with _Largest() as largest:
        describe_weight_stack(torch.randn(3, 200, 20))
    assert largest.values <= 3 * 200 * 200
