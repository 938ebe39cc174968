"""Models and inputs from words: what a command line describes, and what it may get wrong."""

import pytest
import torch
from torch import nn

from init_bench.cli.model_arguments import draw_inputs, make
from init_bench.cli.model_calls import AS_BUILT, diagnoses
from init_bench.errors import InitBenchError
from init_bench.models import find_factory
from tests.models_to_diagnose import Functional

HERE = "tests.models_to_diagnose"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("torchvision.models", "must be MODULE:FACTORY"),
        (":x", "must be MODULE:FACTORY"),
        ("no_such_module_here:x", "cannot be imported: ModuleNotFoundError"),
        (f"{HERE}:Functionl", "did you mean 'Functional'"),
        (f"{HERE}:SAMPLES", "cannot be called"),
        ("torch.nn:Linear", "cannot be built without arguments: missing"),
        ("builtins:dict", "must return a torch.nn.Module, got dict"),
        ("torch.nn:ReLU", "has no parameters"),
    ],
)
def test_a_model_that_cannot_be_had_is_said(text: str, said: str) -> None:
    with pytest.raises(InitBenchError, match=said):
        diagnoses(text, ["8,3"], [])


@pytest.mark.parametrize("text", ["", "8,x", "8,0", "-1,3", "8,3:int63", "8,3:zeros", "8;3"])
def test_an_input_that_makes_no_sense_is_said(text: str) -> None:
    with pytest.raises(InitBenchError, match=r"must be (sizes|positive)"):
        draw_inputs([text], nn.Linear(2, 2))


def test_integers_are_indices_that_every_embedding_has() -> None:
    model = nn.ModuleList([nn.Embedding(7, 2), nn.Embedding(3, 2)])
    drawn = draw_inputs(["50,40:int64"], model)
    assert isinstance(drawn, torch.Tensor)
    assert drawn.dtype == torch.int64 and set(drawn.flatten().tolist()) == {0, 1, 2}


def test_several_inputs_are_several_arguments() -> None:
    drawn = draw_inputs(["2,3", "2,4:float64"], nn.Linear(2, 2))
    assert isinstance(drawn, tuple)
    assert [(tuple(x.shape), x.dtype) for x in drawn] == [
        ((2, 3), torch.float32),
        ((2, 4), torch.float64),
    ]


def test_a_factory_draws_from_its_own_stream() -> None:
    before = torch.get_rng_state()
    first, second = (make(find_factory(f"{HERE}:Functional"), "x") for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(first, Functional) and isinstance(second, Functional)
    assert torch.equal(first.head.weight, second.head.weight)


@pytest.mark.slow
def test_each_init_is_diagnosed_and_named() -> None:
    found = diagnoses(f"{HERE}:sound", ["16,30"], ["kaiming_normal", "normal(std=0.001)"])
    assert list(found) == ["he_normal", "normal(std=0.001)"]
    assert [one.healthy for one in found.values()] == [True, False]
    assert list(diagnoses(f"{HERE}:sound", ["16,30"], [])) == [AS_BUILT]


def test_gradients_of_a_classifier_are_judged() -> None:
    (found,) = diagnoses(f"{HERE}:sound", ["16,30"], []).values()
    assert found.profile["gradient"].notna().any() and found.loss > 0


FROM_HE_NORMAL = ("krahenbuhl", "metainit(steps=2)", "gradinit(steps=2)")
START = {"lsuv": "orthogonal", **dict.fromkeys(FROM_HE_NORMAL, "he_normal")}


@pytest.mark.parametrize("init", START)
def test_what_must_see_a_batch_or_a_loss_sees_those_of_the_diagnosis(init: str) -> None:
    found, unseen = diagnoses(f"{HERE}:sound", ["64,30"], [init, START[init]]).values()
    ratio = (found.weights["std"] / unseen.weights["std"]).dropna()
    assert ((ratio - 1).abs() > 1e-3).any(), "as it starts before it has seen anything"


def test_several_inputs_are_seen_by_an_initializer_as_by_the_model() -> None:
    (found,) = diagnoses(f"{HERE}:TwoInputs", ["16,3", "16,4"], ["lsuv"]).values()
    assert found.profile["std"].iloc[-1] == pytest.approx(1, abs=0.005)


def test_a_loss_that_there_is_not_is_said() -> None:
    with pytest.raises(InitBenchError, match=r"metainit needs a loss: .*random classes.* Linear"):
        diagnoses(f"{HERE}:no_classifier", ["2,3,4"], ["metainit"])


@pytest.mark.slow
def test_a_classifier_is_looked_at_while_it_trains_at_the_rate_asked_for() -> None:
    still, moved = (
        diagnoses(f"{HERE}:sound", ["16,30"], [], steps=[2], lr=lr)[AS_BUILT] for lr in (0, 0.1)
    )
    assert list(still.losses) == [0, 2] and still.losses[0] == still.losses[2]
    assert moved.losses[2] < moved.losses[0] == still.losses[0]


def test_what_returns_no_logits_cannot_be_trained_by_the_command() -> None:
    with pytest.raises(InitBenchError, match=r"returns no logits .* loss_fn of your own"):
        diagnoses(f"{HERE}:scalar", ["16,30"], [], steps=[0, 2])
    with pytest.raises(InitBenchError, match="it stops in layer 'fc1'"):
        diagnoses(f"{HERE}:sound", ["16,7"], [], steps=[0, 2])
