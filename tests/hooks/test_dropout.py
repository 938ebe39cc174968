"""Inside the context masks let everything pass, wherever they are drawn; outside they do not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention
from torchvision.ops import StochasticDepth

import init_bench as ib
from init_bench.hooks.dropout import BernoulliMeans, dropout_disabled

WIDTH = 8
X = torch.randn(6, 5, WIDTH, generator=torch.Generator().manual_seed(0))


def encoder_layer() -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=0.4, batch_first=True)


def attention(q: Tensor) -> Tensor:
    return nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.5)


class DropPath(nn.Module):
    """Drops whole samples of a branch, its mask drawn in another way than torch's."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = 0.01
        mask = (keep + torch.rand(len(x), 1, 1)).floor_()
        return x.div(keep) * mask


DROPPING: dict[str, Callable[[], nn.Module]] = {
    "dropout": lambda: nn.Dropout(0.3),
    "dropout in place": lambda: nn.Sequential(nn.Identity(), nn.Dropout(0.3, inplace=True)),
    "channels": lambda: nn.Dropout1d(0.3),
    "stochastic depth": lambda: StochasticDepth(0.3, "row"),
    "lstm": lambda: nn.LSTM(WIDTH, 6, num_layers=2, dropout=0.5),
    "attention": encoder_layer,
}


def output(model: nn.Module) -> Tensor:
    found = model(X.clone())
    first: Tensor = found[0] if isinstance(found, tuple) else found
    return first


@pytest.mark.parametrize("name", DROPPING)
def test_a_model_in_training_is_the_one_in_evaluation(name: str) -> None:
    model = DROPPING[name]()
    with BernoulliMeans():
        inside = output(model)
    assert not torch.allclose(output(model), inside), "else this tests nothing"
    torch.testing.assert_close(inside, output(model.eval()), rtol=1e-4, atol=1e-5)


def test_attention_called_as_a_function_drops_nothing() -> None:
    with BernoulliMeans():
        inside = attention(X)
    torch.testing.assert_close(
        inside, nn.functional.scaled_dot_product_attention(X, X, X), rtol=1e-4, atol=1e-5
    )


DRAWS: dict[str, Callable[[], Tensor]] = {
    "in place": lambda: torch.empty(99).bernoulli_(0.25),
    "in place, of a tensor": lambda: torch.empty(99).bernoulli_(torch.full((99,), 0.25)),
    "of a tensor": lambda: torch.bernoulli(torch.full((99,), 0.25)),
    "of a tensor's shape": lambda: torch.bernoulli(torch.empty(99), 0.25),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_what_it_is_on_average(name: str) -> None:
    with BernoulliMeans():
        assert torch.equal(DRAWS[name](), torch.full((99,), 0.25))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
@pytest.mark.parametrize("chance", [0.1, 0.9])
def test_a_mask_of_whole_numbers_is_what_it_most_likely_is(
    chance: float, dtype: torch.dtype
) -> None:
    """Be it what to keep or what to drop."""
    with BernoulliMeans():
        drawn = torch.empty(99, dtype=dtype).bernoulli_(chance)
    assert torch.equal(drawn, torch.full_like(drawn, chance > 0.5))


@pytest.mark.parametrize("dropping", [DropPath, lambda: nn.AlphaDropout(0.5)])
def test_a_module_that_drops_in_its_own_way_drops_nothing_in_a_pass(
    dropping: Callable[[], nn.Module],
) -> None:
    model = nn.Sequential(nn.Linear(WIDTH, 30), nn.ReLU(), dropping(), nn.Linear(30, 4))
    found = ib.diagnose(model, X)
    assert found.healthy, str(found)
    before, after = found.profile.set_index("layer")["std"][["1", "2"]]
    assert before == after
    assert all(module.training for module in model.modules())


@pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning")
def test_operators_of_higher_order_run() -> None:
    class Flexible(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x)[:, None].chunk(3, dim=-1)
            found: Tensor = flex_attention(q, k, v)
            return found

    assert ib.diagnose(Flexible(), X).healthy


def test_dropout_in_one_operation_keeps_values_and_draws_the_mask_of_the_gradient() -> None:
    """As accelerators have it; backward, the mask keeps the gradient's scale."""
    x = torch.ones(1000)
    with BernoulliMeans():
        values, mask = torch.native_dropout(x, 0.5, True)
    assert torch.equal(values, x)
    assert 0.4 < mask.float().mean() < 0.6


def with_dropout(first: nn.Linear) -> nn.Module:
    last = nn.Linear(30, 3)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(0.1), nn.Linear(30, 30), nn.ReLU(), last)


def test_noise_of_a_mask_is_no_dependence_on_the_input() -> None:
    """Zero weights and a bias: the output depends on no input, but on the mask."""
    dead = nn.Linear(WIDTH, 30)
    nn.init.zeros_(dead.weight)
    nn.init.ones_(dead.bias)
    found = ib.diagnose(with_dropout(dead), X[:, 0])
    assert "vanishing_signal" in set(found.bad["verdict"])


def test_equal_samples_stay_equal() -> None:
    profile = ib.diagnose(with_dropout(nn.Linear(WIDTH, 30)), torch.ones(16, WIDTH)).profile
    assert (profile["sample_std"] < 1e-6).all()


class OwnLSTM(nn.LSTM):
    """A user's own, which may do anything by its mode."""


@pytest.mark.parametrize("training", [True, False])
def test_recurrent_layers_neither_drop_nor_lack_gradients_on_a_gpu(training: bool) -> None:
    """On CUDA masks are drawn inside a kernel, which gives gradients in training mode alone."""
    layers = [kind(4, 3, 2, dropout=0.5) for kind in (nn.LSTM, nn.GRU, OwnLSTM)]
    model = nn.ModuleList(layers).train(training)
    with dropout_disabled(model):
        inside = [(layer.dropout, layer.training) for layer in layers]
    assert inside == [(0.0, True), (0.0, True), (0.0, training)]
    assert [(layer.dropout, layer.training) for layer in layers] == 3 * [(0.5, training)]
