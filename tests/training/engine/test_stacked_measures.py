"""The tables of many networks at once are those that ``capture`` gives of each."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from init_bench.hooks.record import COLUMNS, capture
from init_bench.models import mlp
from init_bench.statistics.histogram import Histogram
from init_bench.training.engine.stacked_measures import MLPStack, accuracies, layer_rows


@pytest.mark.parametrize("depth, bias", [(1, True), (3, True), (3, False)])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
def test_a_stack_is_captured_as_one_by_one(activation: str, depth: int, bias: bool) -> None:
    torch.manual_seed(0)
    networks = [mlp(12, 4, 7, depth, activation, bias=bias) for _ in range(3)]
    nn.init.constant_(networks[1].get_parameter("fc1.weight"), 0.1)
    inputs, targets = torch.rand(70, 12), torch.randint(4, (70,))
    rows = layer_rows(MLPStack(networks, activation), inputs, targets)
    for network, found in zip(networks, rows, strict=True):
        with capture(network, histogram=True) as record:
            nn.functional.cross_entropy(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
        stored = record.table()[list(COLUMNS)]
        pd.testing.assert_frame_equal(
            pd.DataFrame(found)[list(COLUMNS)], stored, rtol=1e-4, atol=1e-6
        )
        counted = [row["histogram"] for row in found if row["histogram"] is not None]
        alone = [call.histogram for call in record.layer_calls]
        for one, other in zip(counted, alone, strict=True):
            assert isinstance(one, Histogram) and other is not None
            assert one.rms == pytest.approx(other.rms, rel=1e-4)
            # A value on an edge, to rounding, may fall on its other side.
            assert sum(one.counts) == sum(other.counts)
            assert np.abs(np.subtract(one.counts, other.counts)).max() <= 2


def test_a_network_that_is_not_finite_counts_what_is() -> None:
    torch.manual_seed(0)
    networks = [mlp(12, 4, 7, 2, "relu") for _ in range(2)]
    nn.init.constant_(networks[1].get_parameter("fc1.weight")[:3], float("inf"))
    inputs, targets = torch.rand(70, 12), torch.randint(4, (70,))
    sound, broken = layer_rows(MLPStack(networks, "relu"), inputs, targets)
    numbers = []
    for row in (sound[0], broken[0]):
        found = row["histogram"]
        assert isinstance(found, Histogram)
        numbers.append((sum(found.counts), found.whole))
    assert numbers == [(70 * 7, True), (70 * 4, False)]


def test_a_stack_is_tested_as_one_by_one() -> None:
    torch.manual_seed(0)
    networks = [mlp(12, 4, 7, 3, "relu") for _ in range(3)]
    nn.init.constant_(networks[1].get_parameter("fc1.weight"), float("nan"))
    inputs, targets = torch.rand(70, 12), torch.randint(4, (70,))
    alone = [(n(inputs).argmax(dim=1) == targets).float().mean().item() for n in networks]
    found = accuracies(MLPStack(networks, "relu"), inputs, targets)
    assert found == pytest.approx([alone[0], 0.0, alone[2]])
