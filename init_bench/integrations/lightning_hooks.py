"""Monitor a training by Lightning, whichever of its two packages it comes from."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from init_bench.errors import misfit
from init_bench.integrations.monitor import Monitor


class LightningHooks:
    """Diagnose the model that a Lightning ``Trainer`` trains, and measure its updates.

    To diagnose, ``training_step`` is run once more on the batch that comes next, forward and
    backward, with ``self.log`` silent; the training goes on with the same bits as without. What it
    does beyond the module (writes a file, asks the logger's ``experiment``) happens once more.
    With manual optimization it would train, so only updates are measured then. The gradients judged
    are those of the unscaled loss, whatever the precision.

    Texts go to the library's own Python logger, numbers to the loggers of the trainer. Of several
    processes only the main one diagnoses and measures.

    Args:
        every: steps between two diagnoses; 0 for the first alone.
        on_bad: ``warn`` or ``raise``, as for ``init_bench.integrations.monitor.Monitor``.

    Attributes:
        monitor: its ``diagnoses`` and ``updates`` hold what was found.
    """

    library = "pytorch_lightning"
    """Name of the library's logger."""

    def __init__(self, *, every: int = 0, on_bad: str = "warn") -> None:
        super().__init__()
        self.monitor = Monitor(every=every, on_bad=on_bad, log=logging.getLogger(self.library))
        self._diagnosed_step = -1

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        """Diagnose the model, if it is due; once per step, which may have several batches."""
        step = trainer.global_step
        is_due = self.monitor.is_due(step) and step != self._diagnosed_step
        if not (is_due and trainer.is_global_zero):
            return
        self._diagnosed_step = step
        self.monitor.numbers = lambda numbers, at: [
            logger.log_metrics(dict(numbers), at) for logger in trainer.loggers
        ]
        if not module.automatic_optimization:
            self.monitor.log.info("manual optimization: updates are measured, nothing diagnosed")
            return
        with _runs_training_step(trainer, module, index):
            self.monitor.diagnose(step, module, (batch,), None, _loss)

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        """Copy the parameters, if this update is to be measured."""
        if self.monitor.is_due(trainer.global_step) and trainer.is_global_zero:
            self.monitor.before_update(trainer.global_step, module)

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        """Measure the update."""
        self.monitor.after_update(trainer.global_step, module)


@contextmanager
def _runs_training_step(trainer: Any, module: Any, index: int) -> Iterator[None]:
    """Let a call of ``module`` run its training step, and ``self.log`` do nothing."""
    forward = module.forward

    def step(batch: Any) -> Any:
        module.forward = forward  # a training step calls its module
        takes_index = not misfit(module.training_step, batch, index)
        try:
            with trainer.precision_plugin.train_step_context():
                return module.training_step(batch, *[index] * takes_index)
        finally:
            module.forward = step

    with _replaced(module, forward=step, log=_nothing, log_dict=_nothing):
        yield


@contextmanager
def _replaced(module: nn.Module, **attributes: Callable[..., Any]) -> Iterator[None]:
    """Give a module other methods inside the block."""
    own = vars(module)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del own[name]
        own.update(before)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Log nothing."""


def _loss(output: Any, targets: None) -> Tensor:
    """Return the loss in what a training step returns."""
    loss: Tensor = output["loss"] if isinstance(output, Mapping) else output
    return loss
