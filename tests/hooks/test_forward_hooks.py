"""Capture of anything: what counts as a layer, a call and a gradient in networks of every kind."""

import weakref
from collections import OrderedDict
from contextlib import nullcontext
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from init_bench.hooks.record import Record, capture
from init_bench.statistics.layer_statistics import describe
from tests.kinds_of_network import LENGTH, NETS, SEQUENCE, WIDTH, built, drawn


def passed(model: nn.Module, name: str, *, backward: bool) -> dict[str, Tensor]:
    """Return all that a pass may change: output, gradients, buffers, the global stream."""
    x = drawn(*NETS[name][1]).requires_grad_(backward)
    with torch.random.fork_rng(devices=[]), nullcontext() if backward else torch.no_grad():
        torch.manual_seed(2)
        output = model(x)
        if backward:
            output.square().sum().backward()
        state = torch.get_rng_state()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    buffers = {f"buffer {n}": b.clone() for n, b in model.named_buffers()}
    return {"output": output.detach(), "stream": state, **gradients, **buffers}


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", NETS)
def test_a_capture_changes_no_bit(name: str, mode: str) -> None:
    plain = passed(built(name).train(mode == "train"), name, backward=True)
    model = built(name).train(mode == "train")
    with capture(model) as record:
        captured = passed(model, name, backward=True)
    assert model.training is (mode == "train")
    assert plain.keys() == captured.keys()
    assert [key for key in plain if not torch.equal(plain[key], captured[key])] == []
    check(record, name)


def check(record: Record, name: str) -> None:
    """Every output has one row per kind and call, in order, and its gradient."""
    table = record.table()
    assert not table.duplicated(["layer", "call", "kind"]).any()
    outputs = table[table["kind"].isin(["activation", "pre_activation"])]
    assert outputs["index"].tolist() == list(range(1, len(outputs) + 1))
    for _, calls in outputs.groupby("layer"):
        assert calls["call"].tolist() == list(range(1, len(calls) + 1))
    gradients = table.loc[table["kind"] == "gradient", "index"]
    assert set(gradients) == set(outputs["index"]), name


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # torch's, on purpose
@pytest.mark.parametrize("name", [name for name in NETS if "encoder" not in name])
def test_inference_is_as_it_was_to_the_bit(name: str) -> None:
    plain = passed(built(name).eval(), name, backward=False)
    with capture(model := built(name).eval()) as record:
        captured = passed(model, name, backward=False)
    assert [key for key in plain if not torch.equal(plain[key], captured[key])] == []
    assert record.calls > 0


@pytest.mark.parametrize("name", [name for name in NETS if "encoder" in name])
def test_the_fast_path_of_a_transformer_hides_no_layer(name: str) -> None:
    plain = passed(built(name).eval(), name, backward=False)
    with capture(model := built(name).eval()) as record:
        captured = passed(model, name, backward=False)
    torch.testing.assert_close(plain, captured)
    seen = {layer.split(".")[-1] for layer in record.table()["layer"]}
    assert {"self_attn", "linear1", "linear2", "norm1", "norm2"} <= seen
    assert any(layer.endswith(":relu") for layer in record.table()["layer"])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")  # torch's fast path
def test_a_padded_batch_shows_its_layers_too() -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    mask = torch.arange(LENGTH) >= torch.tensor([[6], [4], [2], [1]])
    with torch.no_grad():
        plain = model(drawn(*SEQUENCE), src_key_padding_mask=mask)
        with capture(model) as record:
            captured = model(drawn(*SEQUENCE), src_key_padding_mask=mask)
    torch.testing.assert_close(plain[~mask], captured[~mask])
    assert "layers.1.linear2" in set(record.table()["layer"])


def layers(name: str, **how: Any) -> pd.DataFrame:
    with capture(model := built(name).eval()) as record:
        passed(model, name, backward=how.get("backward", False))
    table = record.table()
    return table[table["kind"].isin(["activation", "pre_activation"])]


def test_functional_nonlinearities_are_named_after_who_calls_them() -> None:
    found = layers("functional")
    assert found["layer"].tolist() == ["conv", ":relu", "fc1", ":tanh", "fc2"]
    least = dict(zip(found["layer"], found["min"], strict=True))
    assert least[":relu"] == 0 > least["conv"], "the pre-activation is that before the in-place op"
    assert found["saturated"].notna().tolist() == [False, False, False, True, False]


def test_nonlinearities_inside_torchs_own_layers_are_not_captured_twice() -> None:
    names = layers("resnet")["layer"]
    assert names.tolist()[:4] == ["conv1", "bn1", "relu", "maxpool"]
    assert not names.str.contains(":").any()


def test_attention_is_a_layer_though_its_parts_do_not_run() -> None:
    with capture(model := built("encoder")) as record:
        model(drawn(*SEQUENCE))
    assert "layers.0.self_attn" in set(record.table()["layer"])
    assert record.never_ran == ()


def test_a_shared_module_has_a_row_per_call() -> None:
    with capture(model := built("tied"), keep=True) as record:
        model(drawn(*SEQUENCE)).sum().backward()
    table = record.table()
    cell = table[table["layer"] == "cell"]
    assert cell.loc[cell["kind"] == "pre_activation", ["index", "call"]].values.tolist() == [
        [1, 1], [3, 2], [5, 3],
    ]  # fmt: skip
    gradients = cell[cell["kind"] == "gradient"].sort_values("call")
    assert gradients[["index", "call"]].values.tolist() == [[1, 1], [3, 2], [5, 3]]
    assert record.never_ran == ("never",)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoints_repetition_is_no_other_call(reentrant: bool) -> None:
    model = built("checkpointed, reentrant" if reentrant else "checkpointed")
    x = drawn(*SEQUENCE)
    blocks = nn.Sequential(OrderedDict(model.get_submodule("blocks").named_children()))
    with capture(blocks) as plain:
        blocks(x.clone().requires_grad_()).sum().backward()
    with capture(model) as record:
        model(x.clone().requires_grad_()).sum().backward()
    expected, found = plain.table(), record.table()
    assert (found["layer"] == "blocks." + expected["layer"]).all()
    same = ["index", "kind", "call", "mean", "std", "sample_std", "effective_rank"]
    by = ["index", "kind"]
    pd.testing.assert_frame_equal(
        found[same].sort_values(by, ignore_index=True),
        expected[same].sort_values(by, ignore_index=True),
    )


def test_outputs_may_be_nested() -> None:
    found = layers("structured")
    assert found["layer"].tolist() == [f"heads.{kind}" for kind in ("dict", "dataclass", "tuple")]


def test_samples_of_a_sequence_first_layer_lie_along_the_second_dimension() -> None:
    model = nn.LSTM(WIDTH, 5)
    x = drawn(LENGTH, 3, WIDTH)
    expected = describe(model(x)[0].transpose(0, 1))
    with capture(model) as record:
        model(x)
    row = record.table().iloc[0]
    assert row[list(expected)].to_dict() == pytest.approx(expected, nan_ok=True, rel=1e-6)


def test_a_packed_sequence_is_a_layer_of_its_steps() -> None:
    found = layers("packed")
    assert found["layer"].tolist() == ["lstm", "fc"]


def test_the_weight_of_a_parametrization_is_the_one_that_was_used() -> None:
    model = built("spectral norm").eval()
    used: Tensor = model.get_submodule("0").weight  # type: ignore[assignment]
    with capture(model) as record:
        model(drawn(*SEQUENCE))
    table = record.table()
    weight = table[table["kind"] == "weight"].iloc[0]
    assert weight["layer"] == "0"
    assert weight["std"] == pytest.approx(used.std(correction=0).item(), rel=1e-5)
    assert set(table["layer"]) == {"0", "1"}


def test_autocast_changes_no_statistic_of_the_numbers_it_made() -> None:
    model, x = nn.Sequential(nn.Linear(WIDTH, 40), nn.ReLU()), drawn(30, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        expected = model(x)
        with capture(model, keep=True) as record:
            found = model(x)
    assert expected.dtype == torch.bfloat16 and torch.equal(expected, found)
    numbers = describe(expected)
    row = record.table().iloc[-1]
    assert row[list(numbers)].to_dict() == pytest.approx(numbers, nan_ok=True, rel=1e-12)


@pytest.mark.usefixtures("process_group")
def test_a_distributed_model_is_known_by_its_users_names() -> None:
    inner = nn.Sequential()
    inner.add_module("module", nn.Sequential(nn.Linear(WIDTH, 4)))
    wrapped = nn.parallel.DistributedDataParallel(inner)
    with capture(wrapped) as record:
        wrapped(drawn(3, WIDTH)).sum().backward()
    assert set(record.table()["layer"]) == {"module.0"}
    assert record.table()["kind"].tolist() == ["pre_activation", "weight", "gradient"]


def test_a_compiled_model_is_captured_underneath(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner = nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh())
    compiled: Any = torch.compile(inner, backend="eager")
    with capture(compiled) as record:
        output = compiled(drawn(3, WIDTH))
    assert record.compiled
    assert torch.equal(output, inner(drawn(3, WIDTH)))
    assert record.table()["layer"].tolist() == ["0", "0", "1"]
    assert "Sequential is compiled: the module underneath is captured" in caplog.text


def test_no_activation_outlives_its_layer() -> None:
    alive: list[int] = []

    class Count(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            alive.append(len(outputs))
            return x * 1

    outputs: weakref.WeakSet[Tensor] = weakref.WeakSet()
    model = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), Count()) for _ in range(3)))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: outputs.add(output))
    with torch.no_grad(), capture(model):
        model(drawn(4, 8))
    assert alive == [1, 1, 1]
    assert len(outputs) == 0


def test_a_value_passed_on_untouched_has_the_same_numbers() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Identity(), nn.Flatten(), nn.Tanh(), nn.Dropout())
    with capture(model.eval()) as record:
        model(drawn(5, 8))
    table = record.table().drop(columns=["layer", "index", "kind", "call"])
    assert table.iloc[[0, 2, 3]].drop_duplicates().shape[0] == 1
    assert table.iloc[4]["mean"] == table.iloc[5]["mean"] != table.iloc[0]["mean"]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(WIDTH, 5), SEQUENCE),
        (nn.Linear(WIDTH, 5), (4, WIDTH)),
        (nn.InstanceNorm1d(LENGTH), SEQUENCE),
        (nn.Flatten(), SEQUENCE),
    ],
    ids=str,
)
def test_a_relu_in_place_hides_no_gradient(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """Some layers return views, and what is done to a view in place drops its hooks."""
    x = drawn(*shape)
    tables = []
    for inplace in (False, True):
        with capture(model := nn.Sequential(nn.ELU(), layer, nn.ReLU(inplace))) as record:
            output = model(x.clone().requires_grad_())
            for _ in range(2):
                output.square().sum().backward(retain_graph=True)
        tables.append(record.table())
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert (tables[0]["kind"] == "gradient").sum() == 6


def test_a_model_that_fails_and_recovers_is_still_tracked() -> None:
    class Fallback(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 2), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            try:
                tried: Tensor = self.first(x)
            except RuntimeError:
                tried = self.second(x).relu()
            return tried

    with capture(model := Fallback()) as record:
        model(drawn(4, 8))
    assert record.table()["layer"].tolist() == ["second", "second", ":relu"]
    torch.relu(drawn(3))
    assert len(record.rows) == 3
