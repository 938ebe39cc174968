"""The blocks of docs/where-you-train.md run as they stand, on small models."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from init_bench.testing import WRITE_BASELINES

PAGE = (Path(__file__).parents[2] / "docs" / "where-you-train.md").read_text("utf-8")


def block(heading: str) -> str:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert found, heading
    return found[1]


def loader() -> DataLoader[Any]:
    inputs = torch.randn(16, 20, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(inputs, torch.arange(16) % 3), 8)


def test_the_loop_runs(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Linear(20, 3)
    names = {
        "model": model,
        "loader": loader(),
        "loss_fn": nn.functional.cross_entropy,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }
    exec(block("A loop of your own"), names)
    assert "update_ratio" in capsys.readouterr().out


class Counts(nn.Module):
    """What Hugging Face's Trainer can train: returns its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(20, 3)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.layer(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_the_trainer_of_hugging_face_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    args = library.TrainingArguments(str(tmp_path), max_steps=2, report_to=[], use_cpu=True)
    dataset = [{"x": torch.randn(20), "labels": at % 3} for at in range(16)]
    names = {"model": Counts(), "args": args, "dataset": dataset, "Trainer": library.Trainer}
    exec(block("Hugging Face's Trainer"), names)
    assert "layer.weight" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")  # the library's own: few workers, small epochs
def test_lightning_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("pytorch_lightning")
    monkeypatch.chdir(tmp_path)

    class Classifier(library.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(20, 3)

        def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
            return nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    names: dict[str, Any] = {
        "pytorch_lightning": library,
        "module": Classifier(),
        "loader": loader(),
    }
    exec(block("Lightning"), names)
    assert list(names["callback"].monitor.diagnoses) == [0]


def test_the_test_of_a_project_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inputs, targets = next(iter(loader()))
    names: dict[str, Any] = {"model": nn.Linear(20, 3), "inputs": inputs, "targets": targets}
    exec(block("In the tests of your project"), names)
    test: Callable[[], None] = names["test_the_model_starts_healthy"]
    monkeypatch.setenv(WRITE_BASELINES, "1")
    test()
    monkeypatch.delenv(WRITE_BASELINES)
    test()


def test_every_import_of_the_page_exists() -> None:
    for module, name in re.findall(
        r"^from (init_bench\S*) import (\w+)$", PAGE, flags=re.MULTILINE
    ):
        if "lightning" in module:
            pytest.importorskip("pytorch_lightning")
        assert hasattr(importlib.import_module(module), name)
