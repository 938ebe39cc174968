import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import init_bench as ib
from init_bench.diagnosis.learning_rates.minibatches import BATCH
from init_bench.diagnosis.learning_rates.trials import BUDGET


def data(samples: int = 256, features: int = 20) -> tuple[Tensor, Tensor]:
    x = torch.randn(samples, features, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long()


def perceptron(*norm: nn.Module) -> nn.Module:
    model = nn.Sequential(nn.Linear(20, 32), *norm, nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 2))
    ib.initialize(model, "he_normal", seed=0)
    return model


def sgd(lr: float) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), lr=lr)


def test_the_window_of_a_quadratic_is_the_exact_one() -> None:
    """loss = mean (w x − 3 x)²: t steps at η multiply it by (1 − 2η mean x²)²ᵗ."""
    x = 3 * torch.linspace(-1, 1, 64)[:, None]
    critical = 1 / x.square().mean().item()
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    window = ib.rate_window(model, x, 3 * x, nn.functional.mse_loss)

    def learns(lr: float) -> bool:
        steps = 2 * window.horizon
        return steps * math.log(abs(1 - 2 * lr / critical)) < math.log(0.65)

    rates = window.trials["lr"]
    exact = rates[rates.map(learns)]
    assert window.curvature_rate == pytest.approx(critical, rel=1e-4)
    assert window.high == exact.max() < critical
    assert abs(math.log10(window.low / exact.min())) < 0.75  # within a step of the grid


def test_a_rate_at_which_the_loss_falls_and_then_diverges_is_no_end() -> None:
    """Two directions of curvature 1 and 10: at 0.3 the first falls, the second doubles its error.

    A thousandth of the loss is in the second, so that the whole of it falls at first.
    """
    curvatures, shares = torch.tensor([1.0, 10.0]), torch.tensor([1.0, 0.001])
    x = torch.cat([torch.diag(curvatures.sqrt()), -torch.diag(curvatures.sqrt())])
    y = x @ (2 * shares / curvatures).sqrt()[:, None]
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    window = ib.rate_window(model, x, y, nn.functional.mse_loss, rates=[0.01, 0.03, 0.1, 0.3])
    losses = window.curves.query("lr == 0.3")["loss"]
    assert losses.min() < window.goal < window.first_loss < losses.iloc[-1]
    assert window.trials["outcome"].tolist()[-1] == "diverges" and window.high == 0.1


def test_the_model_is_given_back_bit_for_bit() -> None:
    model, (x, y) = perceptron(nn.BatchNorm1d(32)), data()
    model(x).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad for p in model.parameters()]
    rng = torch.get_rng_state()
    ib.rate_window(model, x, y)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(rng, torch.get_rng_state())


def test_every_trial_sees_the_same_minibatches_and_the_budget_holds() -> None:
    seen: list[tuple[float, ...]] = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(20, 2)
            nn.init.zeros_(self.body.weight)

        def forward(self, x: Tensor) -> Tensor:
            seen.append((len(x), x.sum().item()))
            return 0 * cast(Tensor, self.body(x))  # never learns

    x, y = data()
    window = ib.rate_window(Watched(), x, y)
    steps = int(window.trials["steps"].sum())
    longest = int(window.trials["steps"].max())
    assert {size for size, _ in seen} == {BATCH}
    assert len(set(seen)) == longest < steps <= BUDGET
    assert math.isnan(window.high)
    assert window.summary.startswith("No window of rates")


def test_the_answer_tells_what_was_tried_from_what_is_inferred() -> None:
    x, y = data()
    window = ib.rate_window(perceptron(), x, y)
    tried = window.trials["steps"] > 0
    inferred = int((window.trials["in_window"] & ~tried).sum())
    assert inferred and not tried.all()
    said = f"{tried.sum()} of {len(tried)} rates were tried. {inferred} more in the window"
    assert said in window.summary
    below, top = window.trials.loc[tried & window.trials["in_window"], "lr"]
    assert f"judging by short trials at {below:.2g} and {top:.2g}, sgd learns" in window.summary
    all_tried = replace(window, trials=window.trials.assign(steps=5))
    assert f"{len(tried)} of {len(tried)} rates were tried." in all_tried.summary
    assert "inferred" not in all_tried.summary


def test_same_call_same_numbers() -> None:
    x, y = data()
    first, second = (ib.rate_window(perceptron(), x, y).to_json() for _ in range(2))
    assert first == second


def test_divergence_is_a_result() -> None:
    x, y = data()
    window = ib.rate_window(perceptron(), x, y, rates=[1e-3, 1e-2, 1e-1, 1e20, 1e30])
    assert window.trials["outcome"].tolist()[-1] == "diverges"
    assert not window.curves["loss"].map(math.isfinite).all()
    assert window.high == 0.1
    assert "NaN" not in window.to_json()


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(32), nn.LayerNorm(32)], ids=["batch", "layer"])
def test_a_weight_before_a_normalization_is_scale_free(norm: nn.Module) -> None:
    model, (x, y) = perceptron(norm), data()
    scale_free = ib.rate_window(model, x, y).scale_free
    assert scale_free["parameter"].tolist() == ["0.weight"]
    norm_of_weight = model.get_parameter("0.weight").norm().item()
    assert scale_free["effective_rate_per_lr"][0] == pytest.approx(norm_of_weight**-2, rel=1e-5)


def test_learning_the_frequencies_of_the_classes_is_no_window() -> None:
    dead = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4))
    ib.initialize(dead, "zeros")
    x, _ = data(16)
    rare = torch.tensor([0] * 12 + [1, 2, 3, 3])
    assert math.isnan(ib.rate_window(dead, x, rare).high)


def test_a_plain_network_has_no_scale_free_weight() -> None:
    assert ib.rate_window(perceptron(), *data()).scale_free.empty


@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "adam", "adamw"])
def test_optimizers_of_the_menu(name: str) -> None:
    window = ib.rate_window(perceptron(), *data(), optimizer=name)
    lowest, *_, highest = window.trials["lr"]
    assert len(window.trials) == 9
    assert math.log10(highest / lowest) == pytest.approx(4)
    assert lowest <= window.low < window.high
    assert name in window.summary


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_window_of_adam_ends_where_its_fixed_steps_cannot_reach_the_goal(name: str) -> None:
    """Adam's steps have about the size of the rate: on mean (w x − 3 x)² from w = 1, a loss of
    0.65 of the first needs w to move by 2 (1 − √0.65) ≈ 0.39, so 1000 steps of 0.39 / 1000."""
    x = 3 * torch.linspace(-1, 1, 64)[:, None]
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    window = ib.rate_window(model, x, 3 * x, nn.functional.mse_loss, optimizer=name)
    least = 2 * (1 - math.sqrt(0.65)) / window.horizon
    rates = window.trials["lr"]
    exact = rates[rates >= least].min()
    assert abs(math.log10(window.low / exact)) < 0.75  # within a step of the grid


def test_parameter_groups_keep_the_ratio_of_their_rates() -> None:
    built: list[torch.optim.Optimizer] = []

    def two_groups(model: nn.Module) -> torch.optim.Optimizer:
        weights = [p for p in model.parameters() if p.dim() > 1]
        biases = [p for p in model.parameters() if p.dim() == 1]
        groups: list[dict[str, Any]] = [{"params": weights}, {"params": biases, "lr": 0.5}]
        built.append(torch.optim.AdamW(groups, lr=0.01))
        return built[-1]

    window = ib.rate_window(perceptron(), *data(), optimizer=two_groups)
    assert window.trials["lr"][4] == pytest.approx(0.01)
    assert window.optimizer == "AdamW"
    trained = [[group["lr"] for group in one.param_groups] for one in built[1:]]
    assert len({rates[0] for rates in trained}) > 1
    assert all(second == pytest.approx(50 * first) for first, second in trained)


def test_a_loader_is_read_and_its_generator_given_back() -> None:
    order = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(*data()), batch_size=32, shuffle=True, generator=order)
    before = order.get_state()
    first, second = (ib.rate_window(perceptron(), loader) for _ in range(2))
    assert torch.equal(order.get_state(), before)
    assert first.low == second.low
    assert 0 < first.low <= first.high


def test_a_layer_without_a_second_derivative_is_told() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return 0.1 * x**3

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            if torch.is_grad_enabled():  # as it is when a graph of the backward pass is asked for
                raise RuntimeError("no second derivative")
            (x,) = ctx.saved_tensors
            return cast(Tensor, 0.3 * x**2 * gradient)

    class Layer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return cast(Tensor, Cube.apply(x))

    window = ib.rate_window(perceptron(Layer()), *data())
    assert math.isnan(window.curvature)
    assert window.high > 0
    assert any("second derivative" in note for note in window.notes)


X, Y = data()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": X}, "pass targets, loss_fn or both"),
        ({"inputs": X, "targets": Y, "optimizer": "lbfgs"}, "unknown optimizer 'lbfgs'"),
        (
            {
                "inputs": X,
                "targets": Y,
                "optimizer": lambda model: torch.optim.LBFGS(model.parameters()),
            },
            "LBFGS needs a closure",
        ),
        ({"inputs": X, "targets": Y, "optimizer": sgd(0.0)}, "no learning rate above 0"),
        ({"inputs": X, "targets": Y, "rates": [0.1, -1.0, 3.0]}, "rates must be 3 or more"),
        ({"inputs": X, "targets": Y, "rates": [0.1, 0.1, 0.1]}, "rates must be 3 or more"),
        ({"inputs": X, "targets": Y, "steps": 0}, "steps must be an integer of at least 1"),
        ({"inputs": X, "targets": Y, "goal": 9.0}, "goal=9 is not below"),
        ({"inputs": X, "targets": Y, "goal": math.nan}, "goal must be a finite number"),
        (
            {"inputs": X, "targets": Y, "loss_fn": lambda output, targets: -output.square().sum()},
            "pass goal=",
        ),
        ({"inputs": X, "targets": Y, "report": 3}, "report must be what ib.initialize returns"),
        ({"inputs": iter([X])}, "must yield pairs"),
        ({"inputs": iter(())}, "yields nothing"),
        ({"inputs": X[:, :5], "targets": Y}, "does not run on"),
    ],
)
def test_bad_input_is_refused_before_any_trial(arguments: dict[str, Any], message: str) -> None:
    model = perceptron()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ib.InitBenchError, match=message):
        ib.rate_window(model, **arguments)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


def test_a_loss_that_is_no_number_at_the_start_is_refused() -> None:
    model = perceptron()
    with torch.no_grad():
        model.get_parameter("0.weight").fill_(math.inf)
    with pytest.raises(ib.InitBenchError, match="the loss of the start is nan"):
        ib.rate_window(model, X, Y)


def test_no_module_is_refused() -> None:
    with pytest.raises(ib.InitBenchError, match="must be a torch"):
        ib.rate_window(sum, X, Y)  # type: ignore[arg-type]


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(ib.InitBenchError, match="ReLU has no parameters"):
        ib.rate_window(nn.ReLU(), X, Y)


@pytest.mark.slow
def test_a_result_shows_itself(tmp_path: Path) -> None:
    model = perceptron().eval()
    window = ib.rate_window(model, X, Y, goal=0.3)
    assert str(window).startswith(window.summary)
    assert "eval mode" in str(window)
    paths = window.save(tmp_path)
    assert sorted(path.suffix for path in paths) == [".html", ".json", ".png"]
    stored = json.loads((tmp_path / "rates.json").read_text())
    assert stored["low"] == pytest.approx(window.low)
    assert stored["goal"] == 0.3
    assert len(stored["trials"]) == len(window.table)
    page = window._repr_html_()
    assert window.summary.split(".")[0] in page
    assert "<script" not in page


def test_the_figure_draws_a_line_per_trial_and_shades_the_window() -> None:
    window = ib.rate_window(perceptron(), X, Y)
    left, right = window.figure().axes
    tried = window.trials[window.trials["steps"] > 0]
    assert len(left.lines) == len(tried) + 1  # and the goal
    (shaded,) = right.patches
    low, high = shaded.get_extents().transformed(right.transData.inverted()).intervalx
    assert low < window.low < window.high < high


@pytest.mark.slow
def test_diagnose_shows_the_window_when_asked() -> None:
    diagnosis = ib.diagnose(perceptron(), X, Y, rates=True)
    assert diagnosis.rates is not None
    assert diagnosis.rates.summary in str(diagnosis)
    assert json.loads(diagnosis.to_json())["rates"]["high"] == pytest.approx(diagnosis.rates.high)
    assert "Window of rates" in diagnosis._repr_html_()
    assert ib.diagnose(perceptron(), X, Y).rates is None


def test_a_window_says_how_many_samples_each_step_drew() -> None:
    inputs = torch.randn(300, X.shape[1], generator=torch.Generator().manual_seed(0))
    targets = torch.arange(300) % 2
    window = ib.rate_window(perceptron(), inputs, targets, rates=(0.01, 0.1, 1.0))
    words = "Each step drew 128 of the 300 samples given."
    assert words in window.notes and words in str(window)
    assert not any("drew" in note for note in ib.rate_window(perceptron(), X[:128], Y[:128]).notes)
