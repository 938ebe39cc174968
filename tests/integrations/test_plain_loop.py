"""Looks inside a loop of one's own: what they find, and that they change no bit of the training."""

import logging
import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.integrations import TrainingMonitor
from init_bench.integrations import monitor as monitor_module
from tests.integrations.equal_runs import Run, assert_equal, finished, seed_all


class Noisy(nn.Module):
    """Draws from every stream, counts its calls, collects and normalizes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Dropout(0.3), nn.Linear(30, 3)
        )
        self.calls, self.seen = 0, [0.0]
        self.total = torch.zeros(())
        self.stream = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.total += 1
        self.seen.append(x.sum().item())
        noise = torch.rand(20, generator=self.stream) * 0.01
        scale = 1 + 0.01 * random.random() + 0.01 * float(np.random.rand()) + 0.001 * self.calls
        logits: Tensor = self.layers((x + noise) * scale)
        return logits + 0.001 * self.total


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(12, 20, generator=generator), torch.arange(12) % 3


def train(watched: bool, model: nn.Module, steps: int = 5, rate: float = 0.1) -> Run:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    monitor = TrainingMonitor(model, every=2) if watched else None
    losses = []
    for step in range(steps):
        x, y = batch(step)
        with monitor.step(x, y) if monitor else nullcontext():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
    if monitor:
        assert list(monitor.diagnoses) == [0, 2, 4]
        assert monitor.updates["step"].unique().tolist() == [1, 3, 5]
    return finished(losses, model)


def test_a_watched_training_has_the_same_bits() -> None:
    runs = []
    for watched in (False, True):
        seed_all()
        model = Noisy()
        runs.append(train(watched, model))
        assert model.calls == 5 and len(model.seen) == 6 and model.total == 5
    assert_equal(*runs)


def test_a_distributed_model_has_the_same_bits(process_group: None) -> None:
    runs = []
    for watched in (False, True):
        seed_all()
        model = nn.parallel.DistributedDataParallel(Noisy())
        runs.append(train(watched, model))
    assert_equal(*runs)


def bad_model() -> nn.Module:
    model = nn.Sequential(
        nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3)
    )
    nn.init.zeros_(model[2].weight)  # type: ignore[arg-type]
    return model


def test_a_bad_start_stops_the_training_before_its_first_update() -> None:
    monitor = TrainingMonitor(bad_model(), on_bad="raise")
    ran = []
    with pytest.raises(InitBenchError, match=r'layer "2"'), monitor.step(*batch()):
        ran.append("the block")
    assert not ran


def test_a_bad_start_is_told_to_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    monitor = TrainingMonitor(bad_model(), log=logging.getLogger("mine"))
    with caplog.at_level("INFO", "mine"), monitor.step(*batch()):
        pass
    (told,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert told.name == "mine" and 'layer "2"' in told.getMessage()
    assert not monitor.diagnoses[0].healthy


def test_later_findings_do_not_stop_the_training() -> None:
    model = nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3))
    monitor = TrainingMonitor(model, every=1, on_bad="raise")
    with monitor.step(*batch()):
        nn.init.zeros_(model[0].weight)  # type: ignore[arg-type]
    with monitor.step(*batch()):
        pass
    assert [monitor.diagnoses[step].healthy for step in (0, 1)] == [True, False]


def test_the_update_is_the_one_of_the_optimizer() -> None:
    model = nn.Linear(20, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    sent: list[tuple[dict[str, float], int]] = []
    monitor = TrainingMonitor(model, numbers=lambda found, at: sent.append((dict(found), at)))
    x, y = batch()
    old = model.weight.detach().clone()
    with monitor.step(x, y):
        nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert model.weight.grad is not None
    wanted = (0.5 * model.weight.grad.norm() / old.norm()).item()
    found = monitor.updates.set_index("parameter")["update_ratio"]
    assert found["weight"] == pytest.approx(wanted, rel=1e-5)
    assert sent[-1][0]["init_bench/update_median"] == found["weight"] and sent[-1][1] == 1


def test_what_moves_nothing_is_told_once_and_the_next_update_measured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    model, (x, y) = nn.Linear(20, 3), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    monitor = TrainingMonitor(model)
    for step in range(4):
        with monitor.step(x, y):
            nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            if step == 2:  # gradients of three steps
                optimizer.step()
    assert monitor.updates["step"].unique().tolist() == [3]
    assert caplog.text.count("no parameter moved") == 1


def test_a_gradient_scaler_changes_no_diagnosis() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    model, (x, y) = nn.Linear(20, 3), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    monitor = TrainingMonitor(model, every=1)
    for _ in range(2):
        with monitor.step(x, y):
            optimizer.zero_grad()
            with torch.autocast("cpu"):
                loss = nn.functional.cross_entropy(model(x), y)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
    first, second = (monitor.diagnoses[step].weights["gradient_ratio"].max() for step in (0, 1))
    assert 0.1 < second / first < 10  # the scale is not in it


def test_parameters_that_do_not_move_are_named(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3))
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.5)
    monitor, (x, y) = TrainingMonitor(model), batch()
    with caplog.at_level("INFO"), monitor.step(x, y):
        nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert "did not move: 0.weight, 0.bias" in caplog.text


def test_hooks_that_update_in_the_backward_pass_are_not_run() -> None:
    model, (x, y) = nn.Linear(20, 3), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model.weight.register_post_accumulate_grad_hook(lambda _: optimizer.step())  # type: ignore[no-untyped-call]
    old, monitor = model.weight.detach().clone(), TrainingMonitor(model)
    with monitor.step(x, y):
        assert torch.equal(model.weight, old)
    assert list(monitor.diagnoses) == [0]


def test_a_batch_that_cannot_be_judged_is_told(caplog: pytest.LogCaptureFixture) -> None:
    monitor, (x, y) = TrainingMonitor(nn.Linear(20, 3), on_bad="raise"), batch()
    with monitor.step(x[:1], y[:1]):
        pass
    assert "was not diagnosed" in caplog.text and "1 sample" in caplog.text


@pytest.mark.parametrize("part", ["diagnose", "parameter_copies", "update_ratios"])
def test_no_training_is_lost_to_its_monitor(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(monitor_module, part, fails)
    model, (x, y), trained = nn.Linear(20, 3), batch(), []
    optimizer, monitor = (
        torch.optim.SGD(model.parameters(), lr=0.5),
        TrainingMonitor(model, every=1),
    )
    for step in range(3):
        with monitor.step(x, y):
            nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            trained.append(step)
    assert trained == [0, 1, 2]
    messages = [one.getMessage() for one in caplog.records]
    warnings = [text for text in messages if "no memory left" in text]
    first = int(part == "update_ratios")
    assert [text.partition(":")[0] for text in warnings] == [f"step {first + k}" for k in range(3)]
    assert all("OutOfMemoryError: no memory left" in text.splitlines()[0] for text in warnings)
    assert ["Traceback" in text for text in warnings] == [True, False, False]


def test_a_parameter_that_changed_its_shape_is_not_measured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = nn.Linear(20, 3)
    monitor = TrainingMonitor(model, every=1)
    with monitor.step(*batch()):
        model.weight = nn.Parameter(torch.randn(5, 20))
        model.bias = nn.Parameter(torch.zeros(5))
    with monitor.step(*batch()):
        model.weight.data.mul_(1.5)
    assert "step 1: the update was not measured: RuntimeError: The size of tensor" in caplog.text
    assert monitor.updates["step"].unique().tolist() == [2]


def test_a_bad_start_stops_the_training_where_numbers_cannot_be_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def unreachable(numbers: object, step: int) -> None:
        raise ConnectionError("tracker is away")

    monitor = TrainingMonitor(bad_model(), on_bad="raise", numbers=unreachable)
    with pytest.raises(InitBenchError, match=r'layer "2"'), monitor.step(*batch()):
        pass
    assert "step 0: numbers were not logged: ConnectionError: tracker is away" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"on_bad": "stop"}, "on_bad must be 'warn' or 'raise', got 'stop'"),
        ({"every": -1}, "every must be an integer of at least 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InitBenchError, match=said):
        TrainingMonitor(nn.Linear(2, 1), **wrong)  # type: ignore[arg-type]
    with pytest.raises(InitBenchError, match=r"must be a torch.nn.Module, got int"):
        TrainingMonitor(3)  # type: ignore[arg-type]
