"""Looks at a model that Hugging Face's Trainer trains: same bits, findings in its own logger."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from init_bench.errors import InitBenchError
from tests.integrations.equal_runs import Run, assert_equal, finished, seed_all

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from init_bench.integrations.huggingface import DiagnosisCallback  # noqa: E402 - needs the library


class Sentences(Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        words = torch.randint(0, 50, (12,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": words, "labels": words}


def gpt2() -> Any:
    """A small GPT-2, with dropout as it comes."""
    seed_all()
    sizes = {"vocab_size": 50, "n_positions": 16, "n_embd": 32, "n_layer": 1, "n_head": 2}
    names = {"bos_token_id": 0, "eos_token_id": 0, "loss_type": "ForCausalLM"}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **names))


def train(model: Any, folder: Path, callbacks: list[Any], **options: Any) -> tuple[Run, Any]:
    arguments = transformers.TrainingArguments(
        str(folder),
        per_device_train_batch_size=4,
        max_steps=4,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        **options,
    )
    trainer = transformers.Trainer(model, arguments, train_dataset=Sentences(), callbacks=callbacks)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return finished(losses, model), trainer


@pytest.mark.parametrize(
    "options",
    [{}, {"bf16": True, "gradient_accumulation_steps": 2}],
    ids=["plain", "mixed precision, accumulated"],
)
def test_a_watched_training_has_the_same_bits(tmp_path: Path, options: dict[str, Any]) -> None:
    alone, _ = train(gpt2(), tmp_path, [], **options)
    callback = DiagnosisCallback(every=2)
    watched, trainer = train(gpt2(), tmp_path, [callback], **options)
    assert_equal(alone, watched)
    assert list(callback.monitor.diagnoses) == [0, 2]
    assert callback.monitor.updates["step"].unique().tolist() == [1, 3]
    numbers = [row for row in trainer.state.log_history if "init_bench/update_median" in row]
    assert [row["step"] for row in numbers] == [1, 3]


def test_gradients_are_judged_by_the_models_own_loss(tmp_path: Path) -> None:
    callback = DiagnosisCallback()
    run, _ = train(gpt2(), tmp_path, [callback])
    found = callback.monitor.diagnoses[0]
    assert found.healthy and found.loss == pytest.approx(run.losses[0], rel=0.05)  # dropout is off
    assert found.weights["gradient_ratio"].max() > 0


def test_a_bad_start_stops_the_trainer(tmp_path: Path) -> None:
    model = gpt2()
    nn.init.constant_(model.transformer.h[0].mlp.c_fc.weight, torch.nan)
    with pytest.raises(InitBenchError, match="nonfinite"):
        train(model, tmp_path, [DiagnosisCallback(on_bad="raise")])


def test_findings_go_to_the_trainers_logger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = gpt2()
    nn.init.zeros_(model.transformer.h[0].mlp.c_fc.weight)
    logger = transformers.utils.logging.get_logger("transformers")
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level("WARNING", logger.name)
    train(model, tmp_path, [DiagnosisCallback()])
    told = [one for one in caplog.records if one.name == "transformers.trainer"]
    assert any("transformer.h.0.mlp.c_fc" in one.getMessage() for one in told)


def test_a_loss_outside_of_the_model_is_not_judged(tmp_path: Path) -> None:
    callback = DiagnosisCallback()
    train(gpt2(), tmp_path, [callback], label_smoothing_factor=0.1)
    assert callback.monitor.diagnoses[0].weights["gradient_ratio"].isna().all()
