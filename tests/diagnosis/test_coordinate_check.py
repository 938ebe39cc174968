"""Coordinate check: known parametrizations get their verdict, and nothing else moves."""

import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from init_bench import CoordCheck, coord_check, diagnose
from init_bench.diagnosis.width_slopes import TOLERANCE, VERDICTS
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import initialize

WIDTHS = (32, 64, 128)
X = torch.randn(16, 12, generator=stream(0, "x"))
Y = torch.randn(16, 3, generator=stream(0, "y"))
BASE = 32


def perceptron(width: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            fc1=nn.Linear(12, width),
            act1=nn.ReLU(),
            fc2=nn.Linear(width, width),
            act2=nn.ReLU(),
            out=nn.Linear(width, 3),
        )
    )


def mup(width: int) -> nn.Module:
    """Maximal update parametrization: the last layer's std is 1/width."""
    model = perceptron(width)
    stds = {"fc1": math.sqrt(2 / 12), "fc2": math.sqrt(2 / width), "out": math.sqrt(BASE) / width}
    for name, std in stds.items():
        layer: Any = model.get_submodule(name)
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
    return model


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def mup_adam(model: nn.Module) -> torch.optim.Optimizer:
    """Adam whose rate falls as 1/fan_in for the weights whose fan_in grows."""
    grows = ("fc2.weight", "out.weight")
    width = model.get_parameter("fc2.weight").shape[1]
    others = [value for name, value in model.named_parameters() if name not in grows]
    return torch.optim.Adam(
        [
            {"params": others, "lr": 3e-3},
            {"params": [model.get_parameter(name) for name in grows], "lr": 3e-3 * BASE / width},
        ]
    )


def sgd(rate: Callable[[int], float]) -> Callable[[nn.Module], torch.optim.Optimizer]:
    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        width = model.get_parameter("fc1.weight").shape[0]
        return torch.optim.SGD(model.parameters(), lr=rate(width))

    return optimizer


def checked(factory: Any = perceptron, optimizer: Any = adam, **changes: Any) -> CoordCheck:
    arguments: dict[str, Any] = {"loss_fn": nn.functional.mse_loss, "seeds": range(4), **changes}
    widths, data = arguments.pop("widths", WIDTHS), arguments.pop("batch", (X, Y))
    return coord_check(factory, widths, data, optimizer=optimizer, **arguments)


def verdicts(check: CoordCheck) -> dict[str, str]:
    return dict(zip(check.slopes["layer"], check.slopes["verdict"], strict=True))


def test_the_standard_parametrization_blows_up_under_adam() -> None:
    check = checked()
    assert verdicts(check)["fc2"] == verdicts(check)["out"] == "blows up"
    assert check.worst == "blows up"
    assert re.match(r'blows up: layer "\w+" has slope \d\.\d\d \[', check.verdict)
    assert "within ±0.2 counts as width-independent" in check.verdict


def test_mup_moves_alike_at_every_width() -> None:
    """Over a wide range, and but for the three logits, whose interval may be too wide to tell."""
    found = verdicts(checked(mup, mup_adam, widths=(64, 512), seeds=range(6)))
    assert found.pop("out") in ("width-independent", "undecided")
    assert set(found.values()) == {"width-independent"}


def test_a_rate_that_falls_too_fast_freezes_wide_networks() -> None:
    found = verdicts(checked(optimizer=sgd(lambda width: width**-2.0)))
    assert found["fc1"] == found["fc2"] == "shrinks"


def test_a_rate_of_0_moves_nothing() -> None:
    check = checked(optimizer=sgd(lambda width: 0.0), steps=1)
    assert set(verdicts(check).values()) == {"does not move"}
    assert (check.changes["change"] == 0).all()


def test_divergence_is_a_verdict() -> None:
    check = checked(optimizer=sgd(lambda width: 1e30), steps=2)
    assert check.worst == "diverges"
    seeds = check.changes["seed"].nunique()
    widths = ", ".join(f"{w} ({seeds} of {seeds} seeds)" for w in check.changes["width"].unique())
    assert check.verdict.startswith(f"diverges at width {widths}: layer ")
    assert "nan" not in check.verdict
    check.figure()


def test_the_slope_is_the_fit_of_each_seed() -> None:
    check = checked(steps=2)
    last = check.changes.query("step == 2 and layer == 'fc2'")
    fits = [
        np.polyfit(np.log(part["width"]), np.log(part["change"]), 1)[0]
        for _, part in last.groupby("seed")
    ]
    row = check.slopes.set_index("layer").loc["fc2"]
    assert row["slope"] == pytest.approx(np.mean(fits))
    reach = 3.1824 * np.std(fits, ddof=1) / 2  # Student's t, 3 degrees of freedom, 4 seeds
    assert row["high"] - row["slope"] == pytest.approx(reach, rel=1e-4)
    assert row["slope"] - row["low"] == pytest.approx(reach, rel=1e-4)


def test_the_rows_say_how_far_each_layer_moved() -> None:
    check = checked(steps=1, seeds=[7, 8])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(7, "width 64").initial_seed())
        model = perceptron(64)
    before = model[0](X)
    update = adam(model)
    nn.functional.mse_loss(model(X), Y).backward()  # type: ignore[no-untyped-call]
    update.step()
    row = check.changes.query("width == 64 and seed == 7 and step == 1 and layer == 'fc1'").iloc[0]
    after = model[0](X)
    assert row["change"] == pytest.approx((after - before).square().mean().sqrt().item(), rel=1e-4)
    assert row["size"] == pytest.approx(after.square().mean().sqrt().item(), rel=1e-4)
    assert len(check.changes) == len(WIDTHS) * 2 * 2 * 5
    assert check.slopes["layer"].tolist() == ["fc1", "act1", "fc2", "act2", "out"]


class Dropping(nn.Module):
    """Draws noise in its forward pass."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc, self.drop, self.out = nn.Linear(12, width), nn.Dropout(0.5), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.out(self.drop(self.fc(x)))
        return z


def test_the_global_stream_neither_moves_nor_matters() -> None:
    before = torch.get_rng_state()
    first = checked(Dropping, steps=1, seeds=range(2))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    again = checked(Dropping, steps=1, seeds=range(2))
    pd.testing.assert_frame_equal(first.changes, again.changes)


def test_noise_of_dropout_is_no_change() -> None:
    def frozen(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.0)

    check = checked(Dropping, frozen, steps=1, seeds=range(2))
    assert (check.changes["change"] == 0).all()


def test_verdicts_follow_from_interval_and_tolerance() -> None:
    slopes = checked(steps=1).slopes.dropna()
    for row in slopes.to_dict("records"):
        inside = -TOLERANCE <= row["low"] and row["high"] <= TOLERANCE
        assert (row["verdict"] == "width-independent") == inside
        assert (row["verdict"] == "blows up") == (row["low"] > TOLERANCE)
        assert row["verdict"] in VERDICTS


def test_as_text_it_is_the_verdict_and_a_row_per_layer() -> None:
    check = checked(steps=1, seeds=range(2))
    sentence, head, *rows = str(check).splitlines()
    assert sentence == check.verdict
    assert head.split() == ["layer", "slope", "ci_low", "ci_high", "verdict"]
    assert [row.split()[0] for row in rows] == check.slopes["layer"].tolist()


@pytest.mark.slow
def test_every_face_shows_the_verdict_and_the_old_name_of_changes_warns(tmp_path: Path) -> None:
    check = checked(steps=1, seeds=2)
    assert json.loads(check.to_json())["verdict"] == check.worst
    assert check.worst in check._repr_html_() and "<svg" in check._repr_html_()
    assert all(path.stat().st_size for path in check.save(tmp_path / "new"))
    with pytest.warns(FutureWarning, match="now called changes"):
        assert check.rows is check.changes


def test_the_figure_has_a_line_per_layer() -> None:
    figure = checked(steps=1, seeds=range(2)).figure()
    assert len(figure.axes[0].lines) == len(figure.axes[1].get_yticklabels()) == 5
    assert "after 1 training steps" in " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [64]}, r"widths must be two or more different integers .*, got \[64\]"),
        ({"widths": [64, 64]}, "widths must be two or more different integers"),
        ({"widths": [0, 64]}, r"integers from 1, .* got \[0, 64\]"),
        ({"widths": 32}, "widths must be two or more .*, got 32"),
        ({"widths": ["a", "b"]}, r"widths must be two or more .*, got \['a', 'b'\]"),
        ({"seeds": [3]}, "seeds must be a count, .* at least 2"),
        ({"seeds": 1}, "seeds must be a count, .* at least 2; got 1"),
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"batch": torch.ones(4, 12)}, r"batch must be a pair .*, got float32 \(4, 12\)"),
        ({"batch": (torch.full((4, 12), torch.nan), None)}, "inputs .* hold nan"),
        ({"batch": (torch.ones(4, 12, device="meta"), None)}, "on the meta device"),
        ({"factory": lambda width: nn.Linear(12, 3, device="meta")}, "'weight' is on the meta"),
        ({"batch": (X, torch.full((16, 3), torch.nan))}, "targets .* hold nan"),
        ({"batch": (torch.ones(16, 5), Y)}, r"Sequential does not run on .*\(16, 5\).*'fc1'"),
        ({"batch": (X, Y[:4])}, r"loss_fn does not take .* with targets float32 \(4, 3\)"),
        ({"loss_fn": nn.functional.nll_loss}, r"loss_fn does not take .* targets float32"),
        (
            {"factory": lambda: nn.Linear(12, 3)},
            r"such as lambda width: .*\(width, 1\)\)$",
        ),
        ({"factory": 64}, "builds a network of a width, got a int"),
        ({"factory": nn.Linear(12, 3)}, "builds a network of a width, got a Linear"),
        ({"factory": lambda width: nn.Linear(12, 3)}, "the same shapes at all widths"),
        ({"optimizer": lambda model: model}, "must return an optimizer, got a Sequential"),
        ({"optimizer": adam(perceptron(8))}, "optimizer must be a function .* got a Adam"),
        ({"factory": lambda width: "x"}, r"factory\(32\) must return a torch\.nn\.Module, got str"),
    ],
)
def test_what_cannot_be_checked_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        checked(**changes)


def test_what_fails_inside_the_factory_is_the_users_to_see() -> None:
    def factory(width: int) -> nn.Module:
        return nn.Linear(12, width, depth=3)  # type: ignore[call-arg]

    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'") as caught:
        checked(factory)
    assert caught.value.__notes__ == ["raised inside factory(32), which coord_check called"]


def test_layers_that_differ_between_widths_are_named() -> None:
    def growing(width: int) -> nn.Module:
        middle = [nn.Tanh()] if width > 40 else []
        return nn.Sequential(nn.Linear(12, width), *middle, nn.Linear(width, 3))

    with pytest.raises(
        InitBenchError, match="layer '2' does not run in the same place at every width"
    ):
        checked(growing, steps=1)


def test_weights_that_do_not_depend_on_the_seed_are_refused() -> None:
    def seeded(width: int) -> nn.Module:
        network = perceptron(width)
        initialize(network, "he_normal", seed=0)
        return network

    with pytest.raises(InitBenchError, match="the networks of all seeds are the same"):
        checked(seeded, steps=1)


class Deep(nn.Module):
    """``depth`` residual blocks between two layers."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(12, width), nn.Linear(width, 3)
        self.blocks = nn.ModuleList(perceptron_block(width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        logits: Tensor = self.last(x)
        return logits


def perceptron_block(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


@pytest.mark.slow
def test_the_rates_of_an_initializer_are_used() -> None:
    """The logits, which blow up under he_normal, do not where the readout's rate falls."""
    plain = checked(init="he_normal", steps=1)
    rated = checked(init="mup(base_width=32, zero_readout=True)", steps=1)
    assert verdicts(plain)["out"] == "blows up"
    assert verdicts(rated)["out"] == "width-independent"


@pytest.mark.slow
def test_slopes_are_over_depth_too() -> None:
    check = checked(Deep, depths=(2, 4, 8), widths=(32, 64), seeds=3, steps=1, init="he_normal")
    assert set(check.slopes["over"]) == {"width", "depth"}
    deep = check.slopes[check.slopes["over"] == "depth"].set_index("layer")
    ends = ["first", "blocks.0.0", "blocks.1.2 … blocks.7.2", "last"]
    assert list(deep.index[[0, 1, -2, -1]]) == ends
    assert deep["slope"].iloc[-1] > 0.5
    assert check.verdict.count("-independent") == 2 and "log depth" in check.verdict
    assert check.figure("depth").axes[0].get_xlabel() == "depth"
    assert check.figure().axes[0].get_xlabel() == "width"
    assert len(check.changes[["width", "depth"]].drop_duplicates()) == 4


def test_depths_alone_need_one_width() -> None:
    spec = "completep(base_width=32, base_depth=2)"
    check = checked(Deep, depths=(2, 8), widths=(32,), seeds=2, steps=1, init=spec)
    assert set(check.slopes["over"]) == {"depth"}
    assert check.slopes["slope"].iloc[-1] < 0.2
    judged = check.slopes.set_index("layer")["verdict"] != "in a block"
    assert list(judged.index[judged]) == ["first", "last"]
    assert "in a block" != check.worst and "before and after the repeated blocks" in check.verdict
    assert check.figure().axes[0].get_xlabel() == "depth"


def test_depths_that_cannot_be_compared_are_told() -> None:
    with pytest.raises(InitBenchError, match=r"depths must be two or more .* such as \(2, 8, 32\)"):
        checked(Deep, depths=(2,))
    with pytest.raises(InitBenchError, match="cannot be called with a width and a depth"):
        checked(perceptron, depths=(2, 4))
    with pytest.raises(InitBenchError, match="unknown size 'depth'"):
        checked(steps=1).figure("depth")


def test_diagnose_takes_the_rates_of_a_report_over() -> None:
    model = perceptron(64)
    report = initialize(model, "mup(base_width=16)")
    given: dict[str, Any] = {"optimizer": adam, "capture_at": 1}
    loss = nn.functional.mse_loss
    plain, rated = (
        diagnose(model, X, Y, loss, report=one, **given).weights.query("step == 0")
        for one in (None, report)
    )
    weights = rated["parameter"].str.endswith("weight")
    ratio = (rated["update_ratio"] / plain["update_ratio"])[weights].to_numpy()
    assert ratio == pytest.approx([1, 0.25, 0.25], rel=1e-3)


def test_an_undecided_check_says_what_decides() -> None:
    def noisy(width: int) -> nn.Module:
        model = mup(width)
        scale = float(torch.randn(()).mul(0.3).exp())  # of the network's own stream
        model.get_parameter("fc1.weight").data.mul_(scale)
        return model

    found = coord_check(
        noisy, (64, 128), (X, Y), loss_fn=nn.functional.mse_loss, optimizer=mup_adam, seeds=3
    )
    assert found.worst == "undecided"
    assert "more seeds than 3 decide it, or widths further apart than 64 to 128" in found.verdict
