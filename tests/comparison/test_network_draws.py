"""Whole networks side by side: layer by layer, with whole weights as the units of every test."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import init_bench as ib
from init_bench.comparison.measurements import DRAW_ALPHA, NETWORK_DRAWS, Row
from init_bench.comparison.network_draws import (
    fills_networks,
    layer_quantiles,
    layer_rows,
    weights_of,
)
from init_bench.comparison.pairs_from_names import Pair
from init_bench.comparison.timing import network_speed_rows
from init_bench.init import KINDS, Network, parse, register_init
from init_bench.training.cell import Cell

CELL = Cell(width=16, depth=3, batch_size=16, steps=20)
LAYERS = ["16x784 fc1", "16x16 fc2", "10x16 fc3"]


def pair(a: str, b: str) -> Pair:
    return Pair(a=parse(a), b=parse(b))


@pytest.fixture(autouse=True)
def _twin() -> Iterator[None]:
    """A whole network filled as he_normal would fill it, from another stream."""

    def he_net_(network: Network, *, factor: float = 1.0) -> None:
        """Fill as he_normal from the next seed."""
        network.seed += 1
        network.start("he_normal")
        for weight in network.weights:
            network.scale(weight, factor)

    register_init("he_net", he_net_, needs="module")
    yield
    del KINDS["module"]["he_net"]


def rows_of(a: str, b: str, cell: Cell = CELL) -> dict[tuple[str, str], Row]:
    found = layer_rows([pair(a, b)], cell)
    return {(r.setting.removeprefix("layer "), r.quantity): r for r in found}


@pytest.mark.parametrize(
    ("a", "b", "whole"),
    [
        ("he_normal", "torch.default", False),
        ("lsuv", "he_normal", True),
        ("he_normal", "fixup", True),
        ("metainit", "gradinit", True),
    ],
)
def test_pairs_with_a_whole_network_on_a_side_are_compared_on_one(
    a: str, b: str, whole: bool
) -> None:
    assert fills_networks(pair(a, b)) is whole


@pytest.mark.slow
def test_every_weight_has_its_rows() -> None:
    rows = rows_of("lsuv", "krahenbuhl")
    quantities = ["same bits", "std ratio", "spectrum ratio", "kurtosis ratio"]
    assert list(rows) == [(layer, quantity) for layer in LAYERS for quantity in quantities]


def test_the_same_law_from_another_stream_is_not_told_apart() -> None:
    rows = rows_of("he_net", "he_normal")
    tests = [row.p for row in rows.values() if not math.isnan(row.p)]
    assert len(tests) == 3 * len(LAYERS)
    assert min(tests) * len(tests) > DRAW_ALPHA
    assert all(rows[layer, "same bits"].value == 0 for layer in LAYERS)


def test_a_known_factor_lies_in_its_interval() -> None:
    rows = rows_of("he_net(factor=1.5)", "he_normal")
    for layer in LAYERS:
        row = rows[layer, "std ratio"]
        assert row.low < 1.5 < row.high and row.n == NETWORK_DRAWS
    assert rows["16x784 fc1", "std ratio"].p < 1e-6


def test_the_same_initializer_by_two_names_has_the_same_bits() -> None:
    rows = rows_of("lsuv", "lsuv(start='orthogonal')")
    assert all(rows[layer, "same bits"].value == 1 for layer in LAYERS)


def test_a_layer_of_zeros_differs_from_one_that_has_none() -> None:
    for names, value in ((("he_net(factor=0)", "he_net"), 0.0), (("he_net", "zeros"), math.inf)):
        row = rows_of(*names)["16x16 fc2", "std ratio"]
        assert (row.value, row.p) == (value, 0.0)


def test_uniform_entries_are_told_from_normal_ones_by_their_kurtosis() -> None:
    rows = rows_of("he_net", "he_uniform")
    row = rows["16x784 fc1", "kurtosis ratio"]
    assert row.low < 3 / 1.8 < row.high
    assert row.p < DRAW_ALPHA


def test_what_cannot_fill_the_network_says_why() -> None:
    (row,) = layer_rows([pair("fixup", "he_normal")], CELL)
    assert "found no residual branch" in row.note and math.isnan(row.value)
    assert layer_quantiles(pair("fixup", "he_normal"), CELL).empty
    (row,) = network_speed_rows([pair("fixup", "he_normal")], CELL)
    assert "found no residual branch" in row.note


def test_weights_are_those_that_the_cell_trains_from() -> None:
    found = weights_of(Cell(width=16, depth=3, init="lsuv", seed=4))
    assert list(found) == LAYERS
    assert all(weight.isfinite().all() for weight in found.values())


def test_a_fill_is_timed_and_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    (row,) = network_speed_rows([pair("lsuv", "he_normal")], CELL)
    assert torch.equal(before, torch.get_rng_state())
    assert row.value > 0 and row.setting == "mlp of width 16 and depth 3"


SMALL: dict[str, Any] = {"width": 16, "depth": 3, "batch_size": 16, "steps": 20}
QUIET: dict[str, Any] = {"device": "cpu", "progress": False}


@pytest.mark.slow
def test_a_comparison_answers_every_question_for_whole_networks() -> None:
    found = ib.compare("lsuv", "he_net(factor=0.1)", seeds=7, **SMALL, **QUIET)
    (verdict,) = found.verdicts.values()
    assert verdict.startswith("differs: ") and " times the std of those of he_net" in verdict
    assert set(found.table["question"]) == {"distribution", "training", "speed"}
    assert not (found.table["verdict"] == "not compared").any()
    text = str(found)
    assert "from the same seed, the same bits on 0 of 3 layers" in text
    assert "; from different seeds, std of a / std of b " in text
    assert "filling mlp of width 16 and depth 3" in text
    assert list(found.quantiles["shape"].unique()) == ["16x784 fc1"]
    assert len(found.figure().axes) == 4


def test_the_forest_of_whole_networks_has_no_empty_panel() -> None:
    found = ib.compare("lsuv", "he_net", "zeros", seeds=2, **SMALL, **QUIET)
    assert len(found.figure().axes) == 3


@pytest.mark.slow
def test_a_start_that_fails_is_said_in_words_where_nothing_is_kept() -> None:
    def picky_(network: Network) -> None:
        """Fail for seed 1."""
        if network.seed == 1 and network.model.get_parameter("fc1.weight").numel() == 16 * 784:
            raise ib.InitBenchError("the output of 'fc2' is constant")
        network.start("he_normal")

    register_init("picky", picky_, needs="batch")
    try:
        found = ib.compare("picky", "zeros", "ones", seeds=3, **SMALL, **QUIET)
    finally:
        del KINDS["batch"]["picky"]
    assert found.failures == ()
    (error,) = found.errors
    assert error.startswith("picky, seed 1: ") and "the output of 'fc2' is constant" in error
    assert f"a run failed: {error.partition(': ')[2]}" in str(found)
    said = found.table[(found.table["pair"] == "zeros vs ones")].set_index("quantity")
    assert said.loc["final loss", "n"] == 3
