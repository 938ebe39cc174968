"""Monitor a training by Hugging Face's ``Trainer``. Needs the package ``transformers``."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from init_bench.integrations.monitor import Monitor


class DiagnosisCallback(TrainerCallback):  # type: ignore[misc]
    """Diagnose the model that a ``Trainer`` trains, and measure its updates.

    At step 0, and then every ``every`` steps, the model is diagnosed on the first batch that it is
    called with. The loss is the model's own (``output.loss``); where the ``Trainer`` computes it
    outside of the model, as for label smoothing, gradients are not judged. Texts go to the logger
    ``transformers.trainer``, numbers into ``trainer.state.log_history``. The training goes on with
    the same bits as without. Mixed precision with a gradient scaler does not matter to the
    gradients judged: they come from a pass of the unscaled loss.

    Of several processes only the main one diagnoses and measures. Where parameters are sharded
    (FSDP, DeepSpeed's ZeRO-3), call ``init_bench.diagnose`` before the training instead. A compiled
    model is not diagnosed.

    Args:
        every: steps between two diagnoses; 0 for the first alone.
        on_bad: ``warn`` or ``raise``, as for ``init_bench.integrations.monitor.Monitor``.

    Attributes:
        monitor: its ``diagnoses`` and ``updates`` hold what was found.

    Example:
        >>> callback = DiagnosisCallback(every=500)
        >>> # Trainer(model, args, train_dataset=data, callbacks=[callback])
        >>> callback.monitor.is_due(0), callback.monitor.is_due(1)
        (True, False)
    """

    def __init__(self, *, every: int = 0, on_bad: str = "warn") -> None:
        log = logging.getLogger("transformers.trainer")
        self.monitor = Monitor(every=every, on_bad=on_bad, log=log)
        self._remove: Callable[[], None] = lambda: None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Diagnose the model when it is called next, if that is due."""
        model, step = kwargs["model"], state.global_step
        self._remove()
        if not (self.monitor.is_due(step) and state.is_world_process_zero):
            return
        self.monitor.numbers = lambda numbers, at: state.log_history.append({**numbers, "step": at})

        def diagnose(module: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
            if torch.compiler.is_compiling() or not module.training:
                return
            self._remove()
            inputs = named if not positional else positional
            has_loss = named.get("labels") is not None
            self.monitor.diagnose(step, module, inputs, None, _loss if has_loss else None)

        handle = model.register_forward_pre_hook(diagnose, with_kwargs=True)
        self._remove = handle.remove

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Copy the parameters, if this update is to be measured."""
        if self.monitor.is_due(state.global_step) and state.is_world_process_zero:
            self.monitor.before_update(state.global_step, kwargs["model"])

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the update."""
        self.monitor.after_update(state.global_step + 1, kwargs["model"])

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop waiting for a call."""
        self._remove()


def _loss(output: Any, targets: None) -> Tensor:
    """Return the loss that a model of transformers returns with its output."""
    loss: Tensor = output["loss"] if isinstance(output, Mapping) else output[0]
    return loss
