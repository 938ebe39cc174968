"""Evidence during training: the training is a plain one, and afterwards all is restored."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.diagnosis.training_steps import Optimizer
from init_bench.errors import InitBenchError
from tests.models_to_diagnose import batch, sound

X, Y = batch()
TABLES = ("layers", "profile", "histograms", "verdicts", "weights")


def sgd(lr: float = 0.1) -> Optimizer:
    return lambda model: torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def noisy() -> nn.Module:
    """Return a network with all that training moves: weights, running statistics, noise."""
    model = nn.Sequential(
        nn.Linear(30, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(0.3), nn.Linear(20, 4)
    )
    ib.initialize(model, "he_normal")
    return model


def state_of(model: nn.Module) -> list[Tensor]:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    kept = [*model.state_dict().values(), *gradients, torch.get_rng_state()]
    return [tensor.clone() for tensor in kept]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def test_a_followed_model_is_given_back_untrained() -> None:
    model = noisy()
    model[1].eval()  # type: ignore[index]
    model[0].weight.grad = torch.ones(20, 30)  # type: ignore[index]
    before, modes = state_of(model), [module.training for module in model.modules()]
    found = ib.diagnose(model, X, Y, capture_at=(3,), optimizer=sgd())
    assert found.losses[3] != found.losses[0]
    assert same(before, state_of(model))
    assert modes == [module.training for module in model.modules()]


def test_it_is_given_back_where_the_training_fails_too() -> None:
    calls = iter(range(100))

    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        if next(calls) > 3:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(output, targets)

    model = noisy()
    before = state_of(model)
    with pytest.raises(KeyboardInterrupt):
        ib.diagnose(model, X, Y, loss_fn, capture_at=(9,), optimizer=sgd())
    assert same(before, state_of(model))


def test_the_training_is_a_plain_loop() -> None:
    model = sound()
    found = ib.diagnose(model, X, Y, capture_at=(0, 2, 5), optimizer=sgd())
    update = sgd()(trained := copy.deepcopy(model))
    losses = []
    for _ in range(6):
        update.zero_grad()
        losses.append(loss := nn.functional.cross_entropy(trained(X), Y))
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()
    assert found.losses == {step: losses[step].item() for step in (0, 2, 5)}
    assert found.loss == found.losses[0]


@pytest.mark.slow
def test_captures_on_the_way_change_nothing_that_comes_later() -> None:
    few = ib.diagnose(noisy(), X, Y, capture_at=(4,), optimizer=sgd())
    many = ib.diagnose(noisy(), X, Y, capture_at=(1, 2, 3, 4), optimizer=sgd())
    for name in TABLES:
        last = [getattr(found, name).query("step == 4") for found in (few, many)]
        pd.testing.assert_frame_equal(*(table.reset_index(drop=True) for table in last))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_tells_the_step(name: str) -> None:
    table = getattr(ib.diagnose(sound(), X, Y, capture_at=(2,), optimizer=sgd()), name)
    assert table.columns[0] == "step" and table["step"].unique().tolist() == [0, 2]
    at_start = getattr(ib.diagnose(sound(), X, Y, optimizer=sgd()), name)
    pd.testing.assert_frame_equal(table[table["step"] == 0], at_start)


@pytest.mark.slow
def test_steps_is_the_old_name_of_capture_at() -> None:
    with pytest.warns(FutureWarning, match="steps= is now called capture_at="):
        old = ib.diagnose(sound(), X, Y, steps=(0, 2), optimizer=sgd())
    assert old.losses == ib.diagnose(sound(), X, Y, capture_at=(0, 2), optimizer=sgd()).losses


@pytest.mark.slow
def test_every_face_tells_the_step_and_that_thresholds_are_those_of_step_0() -> None:
    found = ib.diagnose(sound(), X, Y, capture_at=(2,), optimizer=sgd())
    for face in (str(found), found._repr_html_(), found.to_json()):
        assert "calibrated at step 0" in face
    assert (
        "Step 0: Healthy. " in found.summary
        and " Step 2: signal and gradients healthy. " in found.summary
        and "<th>step</th>" in found._repr_html_()
    )
    assert "calibrated" not in str(ib.diagnose(sound(), X, Y))


def test_a_training_that_diverges_ends_there_with_its_evidence() -> None:
    found = ib.diagnose(sound(), X, Y, capture_at=(1, 1000), optimizer=sgd(lr=1e30))
    last = max(found.losses)
    assert 0 < last < 20 and not math.isfinite(found.losses[last])
    assert f"the loss is not finite at step {last}: training ended there" in found.notes
    at_end = found.bad[found.bad["step"] == last]
    assert "nonfinite" in set(at_end["verdict"])


def test_a_caller_without_gradients_sees_them_all_the_same() -> None:
    expected = ib.diagnose(noisy(), X, Y, capture_at=(2,), optimizer=sgd())
    with torch.no_grad():
        found = ib.diagnose(noisy(), X, Y, capture_at=(2,), optimizer=sgd())
    pd.testing.assert_frame_equal(found.profile, expected.profile)
    assert found.losses == expected.losses


SGD = sgd()
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no loss": (
        lambda: ib.diagnose(sound(), X, capture_at=(1,), optimizer=SGD),
        "needs targets or loss_fn: ",
    ),
    "no optimizer": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(0, 1)),
        "needs optimizer, such as",
    ),
    "an optimizer already built": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(1,), optimizer=SGD(sound())),  # type: ignore[arg-type]
        r"optimizer must be a function .* got a SGD",
    ),
    "a name": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(1,), optimizer="sgd"),  # type: ignore[arg-type]
        r"optimizer must be a function .* got 'sgd'",
    ),
    "the model itself": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(1,), optimizer=lambda model: model),  # type: ignore[arg-type,return-value]
        "must return an optimizer, got a Sequential; such as",
    ),
    "a class of torch.optim": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(1,), optimizer=torch.optim.SGD),  # type: ignore[arg-type]
        "a function of the model, such as",
    ),
    "a function of nothing": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(1,), optimizer=lambda: SGD(sound())),  # type: ignore[arg-type,misc]
        "cannot be called with the model: too many positional arguments; .* such as",
    ),
    "of another model": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(1,), optimizer=lambda model: SGD(sound())),
        "the SGD that .* holds no parameter of that model",
    ),
    "one that needs a closure": (
        lambda: ib.diagnose(
            *(sound(), X, Y),
            capture_at=(1,),
            optimizer=lambda model: torch.optim.LBFGS(model.parameters()),
        ),
        "the step of LBFGS needs a closure",
    ),
    "a yes": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(True,), optimizer=SGD),
        r"integers .* got \(True,\)",
    ),
    "before the start": (
        lambda: ib.diagnose(sound(), X, Y, capture_at=(-1,)),
        "integers from 0",
    ),
    "half a step": (lambda: ib.diagnose(sound(), X, Y, capture_at=(0.5,)), r"got \(0.5,\)"),  # type: ignore[arg-type]
    "a word": (lambda: ib.diagnose(sound(), X, Y, capture_at="5"), "integers .* got '5'"),  # type: ignore[arg-type]
}


@pytest.mark.slow
def test_steps_may_be_integers_of_numpy() -> None:
    found = ib.diagnose(sound(), X, Y, capture_at=(np.int64(2),), optimizer=SGD)  # type: ignore[arg-type]
    assert found.losses == ib.diagnose(sound(), X, Y, capture_at=2, optimizer=SGD).losses
    assert {type(step) for step in found.losses} == {int}


@pytest.mark.parametrize("case", BAD)
def test_bad_steps_are_said(case: str) -> None:
    ask, said = BAD[case]
    with pytest.raises(InitBenchError, match=said):
        ask()


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(0,), (2,)])
def test_a_users_own_training_goes_on_with_the_same_bits(steps: tuple[int, ...]) -> None:
    def trained(*, diagnosing: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = noisy()
        update = sgd()(model)
        for step in range(6):
            update.zero_grad()
            loss = nn.functional.cross_entropy(model(X), Y)
            loss.backward()  # type: ignore[no-untyped-call]
            if diagnosing and step % 2 == 0:
                ib.diagnose(model, X, Y, capture_at=steps, optimizer=sgd())
            update.step()
        return state_of(model)

    with torch.random.fork_rng():
        assert same(trained(diagnosing=False), trained(diagnosing=True))


def test_a_diagnosis_between_forward_and_backward_keeps_the_graph() -> None:
    def gradient(*, diagnosing: bool) -> Tensor:
        torch.manual_seed(0)
        model = noisy()
        loss = nn.functional.cross_entropy(model(X), Y)
        if diagnosing:
            ib.diagnose(model, X, Y)
        loss.backward()  # type: ignore[no-untyped-call]
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    with torch.random.fork_rng():
        assert torch.equal(gradient(diagnosing=False), gradient(diagnosing=True))


def test_each_finding_on_the_page_names_its_step() -> None:
    page = ib.diagnose(sound(), X, Y, capture_at=(0, 2), optimizer=sgd()).report()
    assert 'class="head">Step 0, ' in page and 'class="head">Step 2, ' in page
