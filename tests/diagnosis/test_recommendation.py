"""Recommend: ranks what differs, says so where nothing does, and gives the weights back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import init_bench as ib
from init_bench.errors import InitBenchError
from tests.models_to_diagnose import batch


def model() -> nn.Module:
    layers = [nn.Linear(30, 20), nn.ReLU(), nn.BatchNorm1d(20), nn.Dropout(0.1), nn.Linear(20, 4)]
    return nn.Sequential(*layers)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for three steps, where a test does not ask how well a network learns."""
    monkeypatch.setattr("init_bench.diagnosis.recommendation.STEPS", 3)


@pytest.mark.slow
def test_seeds_are_added_where_no_difference_shows() -> None:
    x, y = batch()
    found = ib.recommend(model(), x, y, inits=["zeros", "he_normal", "he_uniform"]).table
    seeds = found.set_index("init")["seeds"]
    assert seeds["zeros"] == 5 and seeds["he_normal"] == seeds["he_uniform"] > 5
    assert found["init"].iloc[-1] == "zeros" and found["differs"].tolist()[1:] == [False, True]


@pytest.mark.slow
def test_what_learns_is_told_from_what_does_not() -> None:
    found = ib.recommend(model(), *batch(), inits=["zeros", "he_normal"], seeds=3)
    assert found.best == ("he_normal",)
    row = found.table.set_index("init").loc["zeros"]
    assert row["differs"] and row["behind_ci_low"] == row["behind_low"] > 0
    assert found.summary.startswith("he_normal learns fastest: loss")
    first, second = str(found).splitlines()[2:4]
    assert first.split()[0] == "he_normal" and second.split()[0] == "zeros"
    assert first.count("[") == 1 and second.count("[") == 2, "the first is behind nobody"


@pytest.mark.slow
def test_every_face_shows_the_answer(tmp_path: Path) -> None:
    found = ib.recommend(model(), *batch(), inits=["zeros", "he_normal"], seeds=[5, 7, 9])
    assert found.seeds == 3
    assert json.loads(found.to_json())["best"] == ["he_normal"]
    assert found.summary in found._repr_html_() and "<svg" in found._repr_html_()
    labels = [text.get_text() for text in found.figure().axes[0].get_yticklabels()]
    assert labels == found.table["init"].tolist()
    assert all(path.stat().st_size for path in found.save(tmp_path / "new"))


def test_rules_that_are_one_do_not_differ() -> None:
    same = ["xavier_normal", "xavier_normal(gain=1)"]
    found = ib.recommend(model(), *batch(), inits=same, seeds=3)
    assert found.best == ("xavier_normal", "xavier_normal(gain=1)") or len(found.table) == 1
    assert found.summary.startswith("no difference")


def test_too_few_seeds_show_no_difference() -> None:
    """Two rules a hair apart: seeds differ by more than the rules do."""
    found = ib.recommend(model(), *batch(), inits=["he_normal", "he_uniform"], seeds=3)
    assert found.best == tuple(found.table["init"])
    assert (
        found.summary == "no difference shown between 2 initializers with 3 seeds; try more seeds"
    )


@pytest.mark.slow
def test_where_some_are_behind_the_others_are_named_together() -> None:
    inits = ["he_normal", "he_uniform", "zeros"]
    found = ib.recommend(model(), *batch(), inits=inits, seeds=5)
    first, second, last = found.table["init"]
    said = f"no difference shown between {first}, {second}; the others are worse than {first}"
    assert last == "zeros" and found.summary == said


def test_where_all_diverge_there_is_nothing_to_rank() -> None:
    def overflows(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(output, targets) * torch.inf

    found = ib.recommend(model(), *batch(), overflows, inits=["he_normal", "zeros"], seeds=3)
    assert found.summary == "nothing to rank: each diverged for 3 or more of 3 seeds"
    assert not found.table["differs"].any()
    notes = {note for note in found.notes if "seeds" in note}
    assert {note.partition(" at")[0] for note in notes} == {
        f"{init} diverged for 3 of 3 seeds" for init in ("he_normal", "zeros")
    }
    assert "may be better still" not in " ".join(found.notes)


class Scaled(nn.Module):
    """Holds a parameter that no initializer fills."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.body = nn.Parameter(torch.ones(30)), model()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(x * self.scale)
        return logits


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_every_trial_begins_from_the_model_as_it_was_given() -> None:
    net = Scaled()
    alone, after = (
        ib.recommend(net, *batch(), inits=inits, seeds=3).table.set_index("init").loc["he_normal"]
        for inits in (["he_normal"], ["normal(std=10)", "he_normal"])
    )
    assert alone["loss"] == after["loss"]


def test_adam_trains_from_weights_that_sgd_does_not() -> None:
    """Small weights shrink what SGD moves; Adam moves each weight by its rate."""
    worse = {}
    for optimizer in ("sgd", "adam", lambda net: torch.optim.Adam(net.parameters(), lr=0.001)):
        found = ib.recommend(
            model(), *batch(), inits=["he_normal", "normal(std=0.05)"], seeds=3, optimizer=optimizer
        )
        losses = found.table.set_index("init")["loss"]
        worse[found.optimizer] = losses["normal(std=0.05)"] / losses["he_normal"]
        assert f"{found.optimizer}, mean over seeds" in str(found)
    assert worse["sgd"] > 2 * worse["adam"] and worse["Adam"] == worse["adam"]


@pytest.mark.usefixtures("few_steps")
def test_the_rates_of_adam_lie_around_a_thousandth() -> None:
    found = ib.recommend(model(), *batch(), inits=["he_normal"], seeds=3, optimizer="adamw")
    assert found.rates == pytest.approx((1e-4, 1e-3, 1e-2))


def test_an_unknown_optimizer_is_told_with_the_known_ones() -> None:
    with pytest.raises(ib.InitBenchError, match="adamm"):
        ib.recommend(model(), *batch(), inits=["he_normal"], optimizer="adamm")


@pytest.mark.usefixtures("few_steps")
def test_a_single_initializer_is_compared_with_nothing() -> None:
    found = ib.recommend(model(), *batch(), inits=["he_normal"], seeds=3)
    assert found.summary.endswith("it was the only candidate")


@pytest.mark.usefixtures("few_steps")
def test_model_and_streams_are_left_as_they_were() -> None:
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    stream = torch.get_rng_state()
    ib.recommend(net, *batch(), inits=["he_normal"], seeds=3)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(stream, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in net.parameters())


class Counting(nn.Module):
    """Puts another tensor in its buffer's place at each call."""

    calls: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(30, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls = self.calls + 1
        logits: torch.Tensor = self.fc(x)
        return logits


@pytest.mark.usefixtures("few_steps")
def test_a_buffer_that_the_model_replaces_is_given_back() -> None:
    net = Counting()
    before = net.get_buffer("calls")
    ib.recommend(net, *batch(), inits=["he_normal"], seeds=3)
    assert net.get_buffer("calls") is before and before.item() == 0


@pytest.mark.usefixtures("few_steps")
def test_what_does_not_fit_is_said_and_left_out() -> None:
    found = ib.recommend(model(), *batch(), inits=["torch.dirac", "he_normal"], seeds=3)
    assert list(found.refused) == ["torch.dirac"] and "dirac" in str(found)
    assert found.table["init"].tolist() == ["he_normal"]


SEEING = ["lsuv", "krahenbuhl", "gradinit(steps=2)"]


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_what_must_see_a_batch_or_a_loss_is_tried() -> None:
    found = ib.recommend(model(), *batch(), inits=SEEING, seeds=3)
    assert sorted(found.table["init"]) == sorted(SEEING) and found.refused == {}


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_a_caller_without_gradients_gets_the_same_answer() -> None:
    expected = ib.recommend(model(), *batch(), inits=SEEING[-1:], seeds=3)
    with torch.no_grad():
        found = ib.recommend(model(), *batch(), inits=SEEING[-1:], seeds=3)
    assert found.table.equals(expected.table)


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_a_loss_without_targets_is_seen_as_it_is_called() -> None:
    def spread(output: torch.Tensor, targets: None) -> torch.Tensor:
        return output.square().mean()

    found = ib.recommend(model(), batch()[0], loss_fn=spread, inits=SEEING, seeds=3)
    assert found.refused == {}


LOSS = {"loss_fn": nn.functional.mse_loss}


@pytest.mark.parametrize(
    ("arguments", "keywords", "said"),
    [
        ((batch()[0],), {}, "recommend trains the model: pass targets"),
        ((iter([batch()]),), {}, "inputs begin with a list_iterator: pass its first batch"),
        (batch(), {"seeds": 2}, "seeds must be a count, .* at least 3; got 2"),
        (batch(), {"seeds": range(2)}, "seeds must be a count, .* at least 3; got range"),
        (batch(), {"inits": []}, r"inits must be a list of specs, .* got \[\]"),
        (batch(), {"inits": "he_normal"}, "inits must be a list of specs, .* got 'he_normal'"),
        ((torch.full((8, 30), torch.nan), batch()[1][:8]), {}, "inputs .* hold nan"),
        (batch(), {"inits": ["he_norml"]}, "did you mean 'he_normal'"),
        (batch(), {"inits": ["torch.dirac"]}, "no initializer fits"),
        ((torch.ones(8, 7), batch()[1][:8]), {}, r"Sequential does not run on float32 \(8, 7\)"),
        ((batch()[0], torch.full((len(batch()[0]), 4), torch.nan)), LOSS, "targets .* hold nan"),
    ],
)
def test_bad_input_is_said(
    arguments: tuple[object, ...], keywords: dict[str, object], said: str
) -> None:
    with pytest.raises(InitBenchError, match=said):
        ib.recommend(model(), *arguments, **keywords)  # type: ignore[arg-type]


@pytest.mark.usefixtures("few_steps")
def test_the_module_inside_a_wrapper_is_trained() -> None:
    """A compiled model runs without the compiler, which would take most of the time."""
    inner = model()
    compiled: Any = torch.compile(inner, backend=_refuse)
    plain, wrapped = (
        ib.recommend(net, *batch(), inits=["he_normal"], seeds=3) for net in (inner, compiled)
    )
    assert plain.table.equals(wrapped.table)


def _refuse(*_: object) -> None:
    raise AssertionError("compiled")


def test_no_module_is_refused() -> None:
    with pytest.raises(InitBenchError, match=r"model must be a torch\.nn\.Module, got the class"):
        ib.recommend(nn.Linear, *batch())  # type: ignore[arg-type]


@pytest.mark.usefixtures("few_steps")
def test_the_verdicts_are_those_of_diagnose_with_what_is_to_be_watched() -> None:
    with_softmax = nn.Sequential(model(), nn.Softmax(1))
    found = ib.recommend(with_softmax, *batch(), inits=["lecun_normal"], seeds=3)
    assert found.table["verdicts"].tolist() == ["healthy; watch: vanishing_gradient"]
