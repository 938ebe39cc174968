"""What an audit says of single parameters: fresh, constant, copied, tied, broken, unfilled."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import init_bench as ib
from init_bench.diagnosis.checkpoint import origin
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream


def normal(*shape: int, std: float = 0.0233, seed: int = 0) -> Tensor:
    """Return draws whose std is no round number."""
    return torch.randn(shape, generator=stream(seed, "normal")) * std


def state_of(values: Tensor, name: str = "fc.weight") -> str:
    return str(ib.audit({name: values}).table.loc[0, "state"])


def looks(values: Tensor, name: str = "fc.weight") -> str:
    return str(ib.audit({name: values}).table.loc[0, "looks_like"]).split(" or ")[0]


@pytest.mark.parametrize("std", [0.02, 0.01, 0.05, 1.0])
def test_a_round_std_is_named_as_such(std: float) -> None:
    assert looks(normal(200, 300, std=std)) == f"normal(std={std:g})"
    assert state_of(normal(200, 300, std=std)) == "fresh"


@pytest.mark.parametrize("std", [0.0193, 0.0208, 0.0233])
def test_a_std_that_nobody_writes_is_no_fresh_draw(std: float) -> None:
    values = normal(200, 300, std=std)
    assert state_of(values) == "other"
    assert looks(values) == f"normal(std={values.std(correction=0).item():.3g})"


@pytest.mark.parametrize("spec", ["he_normal", "xavier_uniform", "lecun_normal", "orthogonal"])
def test_rules_of_the_fans_are_named(spec: str) -> None:
    layer = nn.Linear(200, 150, bias=False)
    ib.initialize(layer, spec, seed=0)
    assert spec in str(ib.audit(layer).table.loc[0, "looks_like"])
    assert ib.audit(layer.state_dict()).fresh == ["weight"]


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(60, 50),
    "convolution": lambda: nn.Conv2d(8, 16, 3),
    "lstm": lambda: nn.LSTM(30, 20),
    "gru": lambda: nn.GRU(30, 20),
    "attention": lambda: nn.MultiheadAttention(40, 4),
    "layer norm": lambda: nn.LayerNorm(7),
    "batch norm": lambda: nn.BatchNorm2d(5),
    "embedding": lambda: nn.Embedding(50, 40),
}


@pytest.mark.parametrize("name", LAYERS)
def test_torchs_defaults_are_known_from_names_and_shapes_alone(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = LAYERS[name]()
    table = ib.audit({f"a.{key}": value for key, value in layer.state_dict().items()}).table
    judged = table[table["state"] != "not judged"]
    assert set(judged["state"]) <= {"fresh", "unsure"} and (judged["state"] == "fresh").any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_type_of_the_values_does_not_matter(dtype: torch.dtype) -> None:
    assert state_of(normal(200, 300, std=0.02).to(dtype)) == "fresh"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.Linear(512, 512, dtype=dtype)
    assert "weight" in ib.audit(layer).fresh, "uniform draws of a coarse type"


def test_rows_of_their_own_scale_are_no_fresh_draw() -> None:
    """The std of all values is a round one, as an optimizer's step may leave it."""
    values = normal(200, 300, std=0.02)
    scales = torch.linspace(0.7, 1.3, 200)
    uneven = values * scales[:, None]
    uneven *= 0.02 / uneven.std()
    assert state_of(values) == "fresh" and state_of(uneven) == "other"
    assert state_of(uneven.T.contiguous()) == "other"


def test_a_padding_row_does_not_hide_a_fresh_embedding() -> None:
    values = normal(200, 64, std=0.02)
    values[0] = 0
    assert state_of(values, "embed.weight") == "fresh"


def test_the_depth_of_a_stack_explains_a_scaled_output_layer() -> None:
    std = 0.02 / 14**0.5
    values = {f"h.{i}.c_proj.weight": normal(200, 300, std=std, seed=i) for i in range(7)}
    first = ib.audit(values).table["looks_like"].str.split(" or ").str[0]
    assert set(first) == {"gpt2 (std 0.02/√14)"}


def test_a_few_values_are_not_called_fresh() -> None:
    assert state_of(normal(5, 6, std=0.02)) == "unsure"
    assert state_of(torch.tensor([0.3]), "scale") == "other"


@pytest.mark.parametrize(
    ("values", "name", "state"),
    [
        (torch.zeros(8), "fc.bias", "fresh"),
        (torch.full((8,), 0.1), "gamma", "fresh"),
        (torch.zeros(8, 8), "fc.weight", "all zero"),
        (torch.full((8, 8), 0.1), "fc.weight", "all equal"),
        (torch.tensor([1.0, torch.nan]), "fc.bias", "non-finite"),
        (torch.tensor([1.0, 3e30]), "fc.bias", "never filled"),
        (torch.full((8, 8), 1e-42), "fc.weight", "never filled"),
        (torch.empty(8, 8, device="meta"), "fc.weight", "never filled"),
        (torch.arange(8), "positions", "not judged"),
        (torch.empty(0, 3), "fc.weight", "not judged"),
    ],
)
def test_what_is_wrong_with_values(values: Tensor, name: str, state: str) -> None:
    assert state_of(values, name) == state


def test_copies_and_ties_are_told_apart() -> None:
    a, b, c = (nn.Linear(30, 30) for _ in range(3))
    a.weight.data, a.bias.data, c.bias.data = normal(30, 30), normal(30), normal(30, seed=1)
    b.load_state_dict(a.state_dict())
    c.weight = a.weight
    net = nn.ModuleDict({"a": a, "b": b, "c": c})
    table = ib.audit(net).table.set_index("parameter")
    assert table["state"].to_dict() == {
        "a.weight": "other",
        "a.bias": "other",
        "b.weight": "copy",
        "b.bias": "copy",
        "c.weight": "tied",
        "c.bias": "other",
    }
    assert table["copy_of"].to_dict()["b.weight"] == "a.weight"
    assert table["tied_to"].to_dict()["c.weight"] == "a.weight"


def test_lazy_parameters_are_never_filled() -> None:
    assert ib.audit(nn.LazyLinear(3)).table["state"].tolist() == ["never filled"] * 2


def test_auditing_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(30, 20), nn.BatchNorm1d(20))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    stream_before = torch.get_rng_state()
    ib.audit(net, reference=before)
    assert torch.equal(stream_before, torch.get_rng_state())
    assert set(ib.diff(before, net).table["state"]) == {"equal"}


def test_the_printed_chance_is_not_that_of_being_trained() -> None:
    """A drawn weight that moves by a tenth still looks fresh: only its match is no accident."""
    drawn = normal(200, 300, std=0.02)
    moved = drawn + 0.1 * normal(200, 300, std=0.02, seed=1)
    found = ib.audit({"fc.weight": moved})
    assert found.fresh == ["fc.weight"]
    assert "chance of an accidental match" in str(found) and "being wrong" not in str(found)


@pytest.mark.parametrize("wrap", [parametrizations.spectral_norm, parametrizations.weight_norm])
def test_a_parametrized_layer_is_read_not_computed(wrap: Callable[..., nn.Module]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(wrap(nn.Linear(40, 64)), nn.ReLU(), wrap(nn.Conv2d(8, 16, 3)))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for source in (net, before):
        table = ib.audit(source).table.set_index("parameter")
        drawn = [name for name in before if re.search(r"original1?$|bias$", name)]
        assert len(drawn) == 4
        assert set(table.loc[drawn, "looks_like"].str.split(" or ").str[0]) == {"torch.default"}
        assert set(table.loc[drawn[1::2], "state"]) == {"fresh"}
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.slow
def test_the_result_has_the_faces_of_the_others(tmp_path: Path) -> None:
    head = nn.Linear(50, 2)
    net = nn.Sequential(nn.Linear(60, 50), head)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    head.weight.data.zero_()
    audit = ib.audit(net, reference=before)
    lines = str(audit).splitlines()
    assert lines[0] == audit.summary and "1.weight" in lines[0]
    assert any("fix (all zero)" in line for line in lines)
    stored = json.loads(audit.to_json())
    assert [row["parameter"] for row in stored["table"]] == list(before)
    assert stored["difference"]["table"][2]["state"] == "changed"
    assert "<svg" in audit._repr_html_() and "<svg" in ib.diff(before, net)._repr_html_()
    assert all(path.stat().st_size for path in audit.save(tmp_path))
    assert len(audit.figure().axes[0].lines) == audit.table["state"].nunique()


@pytest.mark.parametrize("source", [[1, 2], None, 3])
def test_what_holds_no_parameters_is_refused(source: object) -> None:
    with pytest.raises(InitBenchError, match="state dict or the path of a checkpoint"):
        ib.audit(source)  # type: ignore[arg-type]


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(InitBenchError, match="Identity has no parameters"):
        ib.audit(nn.Identity())


@pytest.mark.parametrize("name", ["torch.orthogonal", "identity", "sinusoidal", "tanh_init"])
def test_structure_of_a_large_tensor_is_found_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = nn.Linear(64, 1024, bias=False)
    ib.initialize(layer, name)
    small = ib.audit(layer).table["looks_like"].tolist()
    monkeypatch.setattr(origin, "PIECE", layer.weight.numel() - 1)
    assert ib.audit(layer).table["looks_like"].tolist() == small != ["other"]
