"""Diagnose on networks of every kind: nothing is changed, all is judged, the fault is placed."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import init_bench as ib
from init_bench.diagnosis.result import Diagnosis
from tests.kinds_of_network import NETS, SEQUENCE, Answer, Tied, built, drawn
from tests.models_to_diagnose import batch, sound

WITHOUT_GRADIENT = "checkpointed, reentrant"
"""Its blocks come first and its inputs ask for no gradient: torch gives it none."""
SMALL = [name for name in NETS if name != "resnet"]
"""Without the one that takes seconds."""
KINDS = [name for name in SMALL if name != WITHOUT_GRADIENT]
MODES = ["train", "eval"]


def diagnosed(model: nn.Module, name: str) -> Diagnosis:
    """Diagnose against targets of the output's shape; no gradient vanishes after a norm then."""
    return ib.diagnose(model, drawn(*NETS[name][1]), None, distance)


def distance(output: Tensor, targets: None) -> Tensor:
    wanted = torch.linspace(-1, 1, output.numel()).view(output.shape)
    return F.mse_loss(output, wanted)


def state_of(model: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in (*model.state_dict().values(), torch.get_rng_state())]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", KINDS)
def test_every_layer_is_judged_and_nothing_changed(name: str, mode: str) -> None:
    model = built(name).train(mode == "train")
    before = state_of(model)
    found = diagnosed(model, name)
    assert all(map(torch.equal, before, state_of(model)))
    assert all(p.grad is None for p in model.parameters())
    assert found.profile["gradient"].notna().all() and found.loss > 0
    assert set(found.profile["layer"].str.partition(":")[0]) <= dict(model.named_modules()).keys()
    assert diagnosed(model, name).profile.equals(found.profile)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # torch's, on purpose
@pytest.mark.parametrize("name", SMALL)
def test_without_a_loss_every_layer_that_runs_is_judged_still(name: str) -> None:
    """In evaluation, where torch's encoders would take a way without hooks."""
    model = built(name).eval()
    found = ib.diagnose(model, drawn(*NETS[name][1]))
    assert found.healthy, str(found)
    assert found.profile["gradient"].isna().all()


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("functional", "fc1.weight"),
        ("vit", "encoder.layers.encoder_layer_1.mlp.0.weight"),
        ("encoder", "layers.1.linear1.weight"),
        ("encoder, sequence first", "layers.1.self_attn.in_proj_weight"),
        ("encoder layer", "linear2.weight"),
        ("lstm", "inner.weight_hh_l1"),
        ("gru", "inner.weight_ih_l0"),
        ("packed", "fc.weight"),
        ("tied", "cell.weight"),
        ("structured", "heads.dataclass.weight"),
        ("checkpointed", "blocks.1.0.weight"),
    ],
)
def test_a_nan_is_placed_where_it_is(name: str, parameter: str) -> None:
    model = built(name)
    layer, _, weight = parameter.rpartition(".")
    with torch.no_grad():
        model.get_submodule(layer).get_parameter(weight).view(-1)[0] = torch.nan
    first = diagnosed(model, name).verdicts.iloc[0]
    assert (first["verdict"], first["layer"]) == ("nonfinite", layer)


def relu_net(relu: Callable[[], nn.Module]) -> nn.Module:
    """Return an MLP whose second layer is dead after a nonlinearity of this kind."""
    model = nn.Sequential(
        nn.Linear(30, 40), relu(), nn.Linear(40, 40), relu(), nn.Linear(40, 40), relu(),
        nn.Linear(40, 4),
    )  # fmt: skip
    ib.initialize(model, "he_normal", activation="relu")
    with torch.no_grad():
        model[2].bias.fill_(-10)  # type: ignore[operator]
    return model


class Called(nn.Module):
    """The same network whose nonlinearity is a function, on what it is given or in its place."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.inner, self.inplace = relu_net(nn.ReLU), inplace

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.inner.children():
            if not isinstance(layer, nn.ReLU):
                x = layer(x)
            elif self.inplace:
                F.relu_(x)
            else:
                x = F.relu(x)
        return x


def test_a_relu_in_place_is_the_same_relu() -> None:
    plain = ib.diagnose(relu_net(nn.ReLU), *batch())
    in_place = ib.diagnose(relu_net(lambda: nn.ReLU(inplace=True)), *batch())
    assert in_place.profile.equals(plain.profile)
    assert in_place.verdicts.equals(plain.verdicts)


@pytest.mark.parametrize("inplace", [False, True])
def test_the_dead_are_found_behind_a_function_too(inplace: bool) -> None:
    found = ib.diagnose(Called(inplace), *batch())
    assert found.bad[["layer", "verdict"]].to_numpy().tolist()[0] == ["inner.2", "dead_units"]


class Stemmed(nn.Module):
    """A stem and two blocks that a checkpoint repeats, or that run as they are."""

    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(30, 40), nn.Linear(40, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(40, 40), nn.ReLU(), nn.Dropout(0.3)) for _ in range(2)
        )
        self.reentrant = reentrant
        ib.initialize(self, "he_normal")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            if self.reentrant is None:
                x = block(x)
            else:
                x = checkpoint(block, x, use_reentrant=self.reentrant)
        logits: Tensor = self.head(x)
        return logits


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_changes_no_number(reentrant: bool) -> None:
    plain, found = (ib.diagnose(Stemmed(kind), *batch()) for kind in (None, reentrant))
    assert found.loss == plain.loss and found.healthy
    layers = ["layer", "sample_std", "input_sample_std", "gradient", "weight_gain"]
    assert found.profile[layers].equals(plain.profile[layers])


@pytest.mark.slow
def test_autocast_changes_no_verdict() -> None:
    spoilt = sound()
    with torch.no_grad():
        spoilt.get_submodule("fc3").weight.mul_(30)  # type: ignore[operator]
    for model in (sound(), spoilt):
        full = ib.diagnose(model, *batch())
        with torch.autocast("cpu", torch.bfloat16):
            half = ib.diagnose(model, *batch())
        same = ["layer", "verdict", "severity"]
        assert half.verdicts[same].equals(full.verdicts[same])
        assert half.profile["sample_std"].to_numpy() == pytest.approx(
            full.profile["sample_std"].to_numpy(), rel=0.02
        )
        assert not half.profile["sample_std"].equals(full.profile["sample_std"])


@pytest.mark.usefixtures("process_group")
def test_a_distributed_model_is_diagnosed_as_the_one_inside() -> None:
    model = sound()
    expected = ib.diagnose(model, *batch())
    found = ib.diagnose(nn.parallel.DistributedDataParallel(copy.deepcopy(model)), *batch())
    assert found.profile.equals(expected.profile) and found.verdicts.equals(expected.verdicts)
    assert "DistributedDataParallel" in found.notes[0]


@pytest.mark.slow
def test_a_model_that_ran_compiled_is_diagnosed_as_the_one_inside() -> None:
    model, (x, y) = sound(), batch()
    compiled: Any = torch.compile(model, backend="eager")
    compiled(x).sum().backward()
    before = [p.grad for p in model.parameters()]
    expected, found = ib.diagnose(model, x, y), ib.diagnose(compiled, x, y)
    assert found.profile.equals(expected.profile) and "compiled" in found.notes[0]
    assert all(a is p.grad for a, p in zip(before, model.parameters(), strict=True))


def test_a_shared_module_is_judged_call_by_call() -> None:
    with torch.no_grad():
        model = Tied()
        model.cell.weight.mul_(0.01)
    found = ib.diagnose(model, drawn(*SEQUENCE))
    assert found.profile["layer"].value_counts().to_dict() == {"cell": 3, "act": 3}
    assert found.verdicts[["layer", "verdict"]].to_numpy()[0].tolist() == [
        "cell",
        "vanishing_signal",
    ]
    assert not (found.verdicts[["layer", "verdict", "quantity"]].duplicated()).any()


class Answering(nn.Module):
    """The sound network whose answer is wrapped."""

    def __init__(self, wrap: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.inner, self.wrap = sound(), wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.inner(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda z: {"ids": torch.arange(3), "logits": z},
        lambda z: (None, [z]),
        lambda z: Answer("a", z),
    ],
    ids=["dictionary", "tuple", "dataclass"],
)
def test_an_answer_may_be_wrapped(wrap: Callable[[Tensor], object]) -> None:
    plain, found = ib.diagnose(sound(), *batch()), ib.diagnose(Answering(wrap), *batch())
    assert found.loss == plain.loss
    numbers = ["sample_std", "gradient", "weight_gain"]
    assert found.profile[numbers].equals(plain.profile[numbers])


class WithoutTheChild(nn.Module):
    """Holds a layer and computes with its weight, so that the layer itself never runs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.child = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.child.weight, self.child.bias)


def borrowing(scale: float = 1.0) -> nn.Module:
    """Return an MLP whose second layer computes with the weight of a child, times ``scale``."""
    model = nn.Sequential(
        nn.Linear(30, 40), nn.ReLU(), WithoutTheChild(40), nn.ReLU(), nn.Linear(40, 4)
    )
    ib.initialize(model, "he_normal", activation="relu")
    with torch.no_grad():
        model.get_parameter("2.child.weight").mul_(scale)
    return model


def test_a_module_that_computes_with_a_childs_weight_is_judged() -> None:
    found = ib.diagnose(borrowing(), *batch())
    assert found.healthy, str(found)
    layer = found.profile.set_index("layer").to_dict("index")
    weight = borrowing().get_parameter("2.child.weight")
    gain = (40 * weight.square().mean()).sqrt().item()
    assert layer["2"]["weight_gain"] == pytest.approx(
        gain, rel=0.05
    )  # of product or output, the nearer to 1
    assert layer["2"]["distinct"] == layer["2"]["units"] == 40
    for name in ("std", "sample_std", "dead"):
        assert layer["2"][f"input_{name}"] == layer["1"][name]
    assert found.weights.set_index("parameter")["recommended_std"].notna()["2.child.weight"]


def test_a_childs_weight_far_too_small_is_a_fault_of_the_module_that_uses_it() -> None:
    found = ib.diagnose(borrowing(1e-3), *batch())
    first = found.verdicts.iloc[0]
    assert (first["layer"], first["verdict"]) == ("2", "vanishing_signal")
    assert "√(fan_in · mean W²)" in first["quantity"]
