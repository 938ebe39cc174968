"""Looks at a model that a Lightning Trainer trains, in either of its packages."""

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from init_bench.errors import InitBenchError
from tests.integrations.equal_runs import Run, assert_equal, finished, seed_all

lightning = pytest.importorskip("pytorch_lightning")
torchmetrics = pytest.importorskip("torchmetrics")

from init_bench.integrations.pytorch_lightning import DiagnosisCallback  # noqa: E402

pytestmark = [  # the library's own
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning"),
]


class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]
    """Draws, normalizes, counts and logs a metric."""

    def __init__(self, spoilt: bool = False) -> None:
        super().__init__()
        seed_all()
        self.net = nn.Sequential(
            nn.Linear(20, 30), nn.BatchNorm1d(30), nn.Tanh(), nn.Dropout(0.3), nn.Linear(30, 3)
        )
        if spoilt:
            nn.init.zeros_(self.net[0].weight)  # type: ignore[arg-type]
        self.mean, self.steps = torchmetrics.MeanMetric(), 0
        self.losses: list[float] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        inputs, targets = batch
        output = self.net(inputs)
        loss = nn.functional.cross_entropy(output, targets)
        self.steps += 1
        self.mean(output.mean())
        self.losses.append(loss.item())
        self.log("mean", self.mean)
        self.log_dict({"loss": loss})
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Forward(Net):
    """Returns a mapping, takes no index, and calls itself."""

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.net(inputs)
        return output

    def training_step(self, batch: list[Tensor]) -> dict[str, Tensor]:  # type: ignore[override]
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.losses.append(loss.item())
        return {"loss": loss}


class Manual(Net):
    """Calls its optimizer itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return loss


def train(model: Any, folder: Path, callbacks: list[Any], **options: Any) -> tuple[Run, Any]:
    values = torch.randn(32, 20, generator=torch.Generator().manual_seed(0))
    loader = DataLoader(TensorDataset(values, torch.arange(32) % 3), 8, shuffle=True)
    trainer = lightning.Trainer(
        max_epochs=1,
        callbacks=callbacks,
        accelerator="cpu",
        logger=lightning.loggers.CSVLogger(str(folder)),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        **options,
    )
    trainer.fit(model, loader)
    return finished(model.losses, model), trainer


@pytest.mark.parametrize(
    ("kind", "options", "steps"),
    [
        (Net, {}, [0, 2]),
        (Forward, {}, [0, 2]),
        (Net, {"precision": "bf16-mixed", "accumulate_grad_batches": 2}, [0]),
    ],
    ids=["plain", "calls itself", "mixed precision, accumulated"],
)
def test_a_watched_training_has_the_same_bits(
    kind: type[Net], tmp_path: Path, options: dict[str, Any], steps: list[int]
) -> None:
    alone, one = train(kind(), tmp_path, [], **options)
    callback = DiagnosisCallback(every=2)
    model = kind()
    watched, other = train(model, tmp_path, [callback], **options)
    assert_equal(alone, watched)
    own = {name: x for name, x in other.logged_metrics.items() if "init_bench" not in name}
    assert own == one.logged_metrics
    assert model.steps in (0, 4) and len(model.losses) == 4
    assert list(callback.monitor.diagnoses) == steps
    assert callback.monitor.updates["step"].unique().tolist() == [step + 1 for step in steps]
    assert callback.monitor.diagnoses[0].weights["gradient_ratio"].max() > 0


def test_a_bad_start_stops_the_trainer(tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match=r"net\.0"):
        train(Net(spoilt=True), tmp_path, [DiagnosisCallback(on_bad="raise")])


def test_findings_go_to_the_librarys_logger_and_numbers_to_the_trainers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trainer = train(Net(spoilt=True), tmp_path, [DiagnosisCallback()])
    told = [one for one in caplog.records if one.name == "pytorch_lightning"]
    assert any("net.0" in one.getMessage() for one in told if one.levelname == "WARNING")
    trainer.logger.save()
    table = (Path(trainer.logger.log_dir) / "metrics.csv").read_text()
    assert "init_bench/bad_findings" in table and "init_bench/update_median" in table


def test_manual_optimization_is_not_run_twice(tmp_path: Path) -> None:
    alone, _ = train(Manual(), tmp_path, [])
    callback = DiagnosisCallback()
    watched, _ = train(Manual(), tmp_path, [callback])
    assert_equal(alone, watched)
    assert not callback.monitor.diagnoses
    assert callback.monitor.updates["step"].unique().tolist() == [1]


def test_the_callback_for_lightning_is_one_of_its_callbacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The package ``lightning`` is not installed here: what it names ``Callback`` is stood in."""
    package = types.ModuleType("lightning")
    monkeypatch.setitem(sys.modules, "lightning", package)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", lightning)
    monkeypatch.delitem(sys.modules, "init_bench.integrations.lightning", raising=False)
    callback = importlib.import_module("init_bench.integrations.lightning").DiagnosisCallback()
    monkeypatch.delitem(sys.modules, "init_bench.integrations.lightning")
    assert isinstance(callback, lightning.Callback)
    assert callback.monitor.log.name == "lightning.pytorch"
    train(Net(), tmp_path, [callback])
    assert list(callback.monitor.diagnoses) == [0]
