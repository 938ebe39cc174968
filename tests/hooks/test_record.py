"""Capture: sees everything, changes nothing, leaves nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.record import TABLE, capture
from init_bench.statistics.layer_statistics import describe, describe_weight


def conv_net(*, inplace: bool = False) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=inplace),
        nn.Flatten(),
        nn.Linear(16, 5),
        nn.Tanh(),
        nn.Dropout(0.5),
    )


def perceptron(*, inplace: bool = False) -> nn.Sequential:
    return nn.Sequential(nn.Linear(32, 8), nn.ReLU(inplace=inplace), nn.Linear(8, 5))


class Reused(nn.Module):
    """Runs one layer twice and another never."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.unused = nn.Linear(32, 32), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        again: Tensor = self.fc(torch.tanh(self.fc(x.flatten(1))))
        return again


NETS: dict[str, Callable[[], nn.Module]] = {
    "conv": conv_net,
    "conv in place": lambda: conv_net(inplace=True),
    "perceptron": lambda: nn.Sequential(nn.Flatten(), perceptron()),
    "perceptron in place": lambda: nn.Sequential(nn.Flatten(), perceptron(inplace=True)),
    "reused": Reused,
}


def built(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NETS[name]()


def inputs() -> Tensor:
    return torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(1))


def run(model: nn.Module) -> list[Tensor]:
    """Return outputs, all gradients and the global stream's state after a pass."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        x = inputs().requires_grad_()
        output = model(x)
        output.square().sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert x.grad is not None
        buffers = [buffer.clone() for buffer in model.buffers()]
        return [output.detach(), x.grad, *gradients, *buffers, torch.get_rng_state()]


def hooks_of(model: nn.Module) -> list[object]:
    """Return every hook left on any module."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [hook for module in model.modules() for kind in kinds for hook in getattr(module, kind)]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_outputs_gradients_and_randomness_are_as_without(name: str, keep: bool) -> None:
    plain, captured = run(built(name)), None
    with capture(model := built(name), keep=keep):
        captured = run(model)
    assert len(plain) == len(captured)
    assert all(torch.equal(a, b) for a, b in zip(plain, captured, strict=True))


@pytest.mark.parametrize("name", NETS)
def test_the_hooks_are_gone_after_the_block(name: str) -> None:
    model = built(name)
    with capture(model) as record:
        assert hooks_of(model)
        run(model)
    rows = len(record.rows)
    run(model)
    assert not hooks_of(model)
    assert len(record.rows) == rows


@pytest.mark.parametrize("name", NETS)
def test_the_hooks_are_gone_after_an_exception_in_the_block(name: str) -> None:
    model = built(name)
    with pytest.raises(KeyError, match="inside"), capture(model):
        run(model)
        raise KeyError("inside")
    assert not hooks_of(model)


def test_the_hooks_are_gone_after_an_exception_in_the_model() -> None:
    model = perceptron()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), capture(model):
        model(torch.ones(2, 3))
    assert not hooks_of(model)


def test_a_backward_pass_after_the_block_records_nothing() -> None:
    model = perceptron()
    with capture(model) as record:
        loss = model(inputs().flatten(1)).sum()
    loss.backward()
    assert "gradient" not in set(record.table()["kind"])


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_and_flags_are_left(training: bool) -> None:
    model = conv_net().train(training)
    model[0].requires_grad_(False)
    with capture(model):
        model(inputs())
    assert model.training is training
    assert not model[0].weight.requires_grad and model[4].weight.requires_grad


def test_rows_come_in_order_of_execution_with_their_kinds() -> None:
    with capture(model := conv_net().eval()) as record:
        model(inputs()).sum().backward()
    table = record.table()
    forward = table[table["kind"] != "gradient"]
    assert list(zip(forward["layer"], forward["index"], forward["kind"], strict=True)) == [
        ("0", 1, "pre_activation"),
        ("0", 1, "weight"),
        ("1", 2, "pre_activation"),
        ("2", 3, "activation"),
        ("3", 4, "activation"),
        ("4", 5, "pre_activation"),
        ("4", 5, "weight"),
        ("5", 6, "activation"),
        ("6", 7, "activation"),
    ]
    assert table["index"].is_monotonic_increasing
    assert sorted(table.loc[table["kind"] == "gradient", "index"]) == [1, 2, 3, 4, 5, 6, 7]


def test_the_table_has_its_columns_even_when_nothing_ran() -> None:
    with capture(perceptron()) as record:
        pass
    assert tuple(record.table().columns) == TABLE
    assert record.table().empty


def test_the_numbers_are_those_of_the_tensors() -> None:
    model, x = perceptron(), inputs().flatten(1)
    hidden = model[0](x)
    logits = model[2](torch.relu(hidden))
    gradient = torch.autograd.grad(logits.square().sum(), hidden)[0]
    with capture(model) as record:
        model(x).square().sum().backward()
    rows = {(row["layer"], row["kind"]): row for row in record.rows}
    for kind, numbers in (
        ("pre_activation", describe(hidden)),
        ("weight", describe_weight(next(model.parameters()))),
        ("gradient", describe(gradient)),
    ):
        found = {name: rows["0", kind][name] for name in numbers}
        assert found == pytest.approx(numbers, nan_ok=True, rel=1e-12), kind


def test_a_bounded_activation_knows_how_far_it_is_saturated() -> None:
    with capture(model := nn.Sequential(nn.Tanh())) as record:
        model(torch.tensor([[-9.0, 0.0], [9.0, 0.0]]))
    assert record.table()["saturated"].tolist() == [0.5]


@pytest.mark.parametrize("make", [conv_net, perceptron])
def test_an_activation_in_place_gives_the_same_table(make: Callable[..., nn.Sequential]) -> None:
    tables = []
    for inplace in (False, True):
        model = make(inplace=inplace).eval()
        for parameter in model.parameters():
            generator = torch.Generator().manual_seed(parameter.numel())
            nn.init.normal_(parameter, generator=generator)
        with capture(model) as record:
            x = inputs() if make is conv_net else inputs().flatten(1)
            model(x).square().sum().backward()
        tables.append(record.table().sort_values(["index", "kind"], ignore_index=True))
    assert tables[0].equals(tables[1])


def test_outputs_are_kept_when_asked_for() -> None:
    model, x = perceptron(inplace=True), inputs().flatten(1)
    before = model[0](x).detach()
    with capture(model, keep=True) as record:
        output = model(x)
    assert torch.equal(record["0"], before), "the in-place ReLU overwrote what was kept"
    assert torch.equal(record["1"], before.relu())
    assert torch.equal(record["2"], output)
    assert not any(record[name].requires_grad for name in "012")


def test_the_last_output_is_kept() -> None:
    model = nn.Sequential(nn.Tanh())
    with capture(model, keep=True) as record:
        model(torch.zeros(1, 2))
        model(torch.ones(1, 2))
    assert torch.equal(record["0"], torch.ones(1, 2).tanh())


def test_a_layer_that_runs_twice_has_two_places() -> None:
    with capture(model := Reused()) as record:
        model(inputs())
    table = record.table()
    twice = table[table["kind"] == "pre_activation"]
    assert twice[["layer", "index", "call"]].values.tolist() == [["fc", 1, 1], ["fc", 3, 2]]
    assert set(table["layer"]) == {"fc", ":tanh"}


def test_a_model_without_children_is_its_own_layer() -> None:
    with capture(model := nn.Linear(2, 3), keep=True) as record:
        output = model(torch.ones(4, 2))
    assert torch.equal(record[""], output)


def test_captures_nest() -> None:
    model = perceptron()
    with capture(model) as outer, capture(model) as inner:
        model(inputs().flatten(1))
    assert outer.table().equals(inner.table())
    assert not hooks_of(model)


def test_nothing_kept_is_said_with_the_way_out() -> None:
    with capture(model := perceptron()) as record:
        model(inputs().flatten(1))
    expected = r"no output of 'nope' was kept: use capture\(model, keep=True\)"
    with pytest.raises(InitBenchError, match=expected):
        record["nope"]


def test_an_unknown_layer_is_said_with_those_there_are() -> None:
    model = nn.Sequential()
    model.add_module("fc1", nn.Linear(32, 2))
    model.add_module("act1", nn.Tanh())
    with capture(model, keep=True) as record:
        model(inputs().flatten(1))
    expected = r"no output of a layer 'fc': did you mean 'fc1'\? Known: fc1, act1\."
    with pytest.raises(InitBenchError, match=expected):
        record["fc"]


def test_the_record_has_the_faces_of_a_result(tmp_path: Path) -> None:
    with capture(model := Reused()) as record:
        model(inputs())
    assert record.summary == str(record) == "3 calls of 2 layers; never ran: unused"
    pd.testing.assert_frame_equal(record.layers, record.table())
    stored = json.loads(record.to_json())
    assert stored["never_ran"] == ["unused"]
    assert [row["layer"] for row in stored["layers"]] == record.layers["layer"].tolist()
    assert record.figure().axes[0].get_xticklabels()[0].get_text() == record.layers["layer"][0]
    table, image, page, text = record.save(str(tmp_path / "new"))
    assert image.stat().st_size and "never ran: unused" in page.read_text("utf-8")
    assert pd.read_csv(table)["std"].tolist() == pytest.approx(record.layers["std"].tolist())
    assert json.loads(text.read_text("utf-8")) == stored
    assert "never ran: unused" in record._repr_html_() and "<table" in record._repr_html_()


def test_the_figure_of_a_record_draws_outputs_and_gradients() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2))
    with capture(model) as record:
        model(
            torch.rand(3, 8, generator=torch.Generator().manual_seed(0))
        ).square().sum().backward()
    signal, gradient = record.figure().axes
    rows = record.layers.set_index(["kind", "layer"])
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in signal.get_lines()}
    assert drawn["other layers"].tolist() == [rows.loc[("activation", "1"), "sample_std"]]
    stds = [rows.loc[("gradient", layer), "std"] for layer in "012"]
    assert np.asarray(gradient.get_lines()[0].get_ydata()).tolist() == stds


def test_a_record_of_nothing_has_no_figure() -> None:
    with capture(nn.Linear(2, 2)) as record:
        pass
    with pytest.raises(InitBenchError, match=r"nothing was captured.*run the model inside"):
        record.figure()


def test_ranks_of_gradients_are_known_after_each_backward_pass_inside_the_block() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    with capture(model) as record:
        for _ in range(2):
            model(torch.randn(8, 5)).square().sum().backward()
            table = record.table()
            assert table.loc[table["kind"] == "gradient", "effective_rank"].notna().all()


def test_a_capture_without_its_block_says_how_to_write_one() -> None:
    with pytest.raises(AttributeError, match=r"no 'table': write 'with ib\.capture\(model\) as"):
        capture(nn.Linear(2, 3)).table()  # type: ignore[attr-defined]
