"""One initialiser over a whole network: weights by (seed, qualified name) and nothing else."""

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.init import InitSpec, initialize, parse
from init_bench.randomness import stream

ALARM = 1e-9
"""Chance of a false alarm per distribution check; fewer than 100 are made here."""


def layers(*names: str) -> nn.Sequential:
    """Return 6-to-6 layers of the given names, with batch norm wherever a name says so."""

    def layer(name: str) -> nn.Module:
        return nn.BatchNorm1d(6) if name.startswith("bn") else nn.Linear(6, 6)

    return nn.Sequential(OrderedDict((name, layer(name)) for name in names))


def weights(model: nn.Module, spec: str = "he_normal", seed: int = 0) -> dict[str, Tensor]:
    return {
        name: value.detach()
        for name, value in initialize(model, spec, seed=seed).named_parameters()
    }


def conv_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3)
    )


@pytest.mark.parametrize("spec", ["he_normal", "torch.default", "torch.orthogonal"])
@given(
    names=st.permutations(["fc1", "fc2", "bn1", "fc3"]),
    extra=st.sampled_from([(), ("fc9",), ("bn9", "fc10")]),
    seed=st.integers(0, 2**40),
)
def test_a_parameter_depends_on_seed_and_name_alone(
    spec: str, names: list[str], extra: tuple[str, ...], seed: int
) -> None:
    plain = weights(layers("fc1", "fc2", "bn1", "fc3"), spec, seed)
    other = weights(layers(*extra, *names), spec, seed)
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_a_weight_is_drawn_from_the_stream_of_its_qualified_name() -> None:
    model = initialize(nn.Sequential(OrderedDict(block=layers("fc1"))), "lecun_normal", seed=4)
    expected = parse("lecun_normal")(torch.empty(6, 6), generator=stream(4, "block.fc1.weight"))
    assert torch.equal(model.get_parameter("block.fc1.weight"), expected)


def test_a_model_that_is_one_layer_has_plain_names() -> None:
    expected = parse("he_normal")(torch.empty(3, 5), generator=stream(0, "weight"))
    assert torch.equal(weights(nn.Linear(5, 3))["weight"], expected)


@pytest.mark.parametrize("spec", ["he_normal", "torch.default"])
def test_names_and_seeds_give_different_weights(spec: str) -> None:
    first, second = weights(layers("fc1", "fc2"), spec), weights(layers("fc1", "fc2"), spec, 1)
    drawn = [*(w[f"fc{i}.weight"] for w in (first, second) for i in (1, 2))]
    assert not any(torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


@pytest.mark.parametrize("spec", ["he_normal", "torch.default", "torch.sparse(sparsity=0.5)"])
def test_the_global_stream_neither_moves_nor_matters(spec: str) -> None:
    before, first = torch.get_rng_state(), layers("fc1", "bn1")
    untouched = torch.get_rng_state()
    weights_before = weights(first, spec)
    assert torch.equal(untouched, torch.get_rng_state())
    assert not torch.equal(before, untouched), "building a layer is what moves it"
    again = weights(layers("fc1", "bn1"), spec)
    assert all(torch.equal(weights_before[name], again[name]) for name in again)


def test_the_model_is_filled_in_place_and_returned() -> None:
    model = conv_net()
    parameters = list(model.parameters())
    assert initialize(model, "he_normal") is model
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert all(p.requires_grad and p.is_leaf and p.grad is None for p in parameters)


def test_frozen_parameters_stay_frozen() -> None:
    model = conv_net().requires_grad_(False)
    assert not any(p.requires_grad for p in initialize(model, "he_normal").parameters())


def test_biases_of_filled_layers_are_zero_and_norms_are_torchs() -> None:
    model = conv_net()
    for parameter in model.parameters():
        nn.init.constant_(parameter, torch.nan)
    found = weights(model, "he_normal")
    assert not found["0.bias"].any() and not found["4.bias"].any()
    assert (found["1.weight"] == 1).all() and not found["1.bias"].any()
    assert all(value.isfinite().all() for value in found.values())


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(7, 5), lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm1d(4)]
)
def test_torch_default_is_what_torch_draws_from_the_same_stream(make: type[nn.Module]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(2, "weight").initial_seed())
        fresh = make()
    found = weights(make(), "torch.default", seed=2)
    assert all(torch.equal(found[name], value) for name, value in fresh.named_parameters())


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_torch_default_is_uniform_in_torchs_bounds(part: str) -> None:
    end = 1 / math.sqrt(400)
    values = weights(nn.Linear(400, 300), "torch.default")[part].flatten().numpy()
    distance = stats.kstest(values, stats.uniform(-end, 2 * end).cdf, mode="asymp").statistic
    assert np.abs(values).max() <= end
    # Dvoretzky-Kiefer-Wolfowitz
    assert distance < math.sqrt(math.log(2 / ALARM) / (2 * values.size))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.MultiheadAttention(4, 2),
        lambda: nn.TransformerEncoderLayer(4, 2, 8),
        lambda: nn.LSTM(3, 4),
        lambda: nn.Embedding(5, 4),
    ],
    ids=["attention", "transformer", "lstm", "embedding"],
)
def test_torch_default_fills_whatever_torch_ships_from_the_seed(make: type[nn.Module]) -> None:
    first, second = weights(make(), "torch.default"), weights(make(), "torch.default")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("spec", ["he_normal", "torch.default"])
def test_a_spec_may_come_parsed(spec: str) -> None:
    assert isinstance(parse(spec), InitSpec)
    model = initialize(layers("fc1"), parse(spec), seed=3)
    assert torch.equal(
        model.get_parameter("fc1.weight"), weights(layers("fc1"), spec, 3)["fc1.weight"]
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("he_norml", "unknown init 'he_norml'"),
        ("normal(std=-1)", "std must be a finite number >= 0, got -1"),
        ("torch.dirac", r"torch\.nn\.init\.dirac_ refuses a weight of shape \(6, 6\)"),
    ],
)
def test_a_spec_that_cannot_fill_the_model_is_refused(spec: str, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        initialize(layers("fc1"), spec)
