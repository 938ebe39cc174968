"""Monitor a training loop of your own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from init_bench.diagnosis.default_loss import cross_entropy
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.hooks.model_call import check_is_module
from init_bench.integrations.monitor import Monitor, NumberSink


class TrainingMonitor(Monitor):
    """Diagnose a model in a loop of your own, and measure its updates.

    Put each step of the loop into ``with monitor.step(inputs, targets)``. Before the first, and
    then every so many, the model is diagnosed; when the block ends, ‖ΔW‖ / ‖W‖ of its update is
    measured. The training goes on with the same bits as without: weights, gradients, buffers,
    optimizer and random streams are left as they are. The copy of the weights for the update
    takes their memory once more during such a step.

    The gradients judged come from a backward pass of the diagnosis, of the unscaled loss, so a
    ``GradScaler`` does not matter to them. Where the block only accumulates gradients, or a scaler
    skips the update, the next update is measured.

    Args:
        model: as for ``init_bench.diagnose``.
        loss_fn: takes output and targets, returns a scalar; by default cross-entropy where a step
            has targets.
        every, on_bad, log, numbers: as for ``Monitor``. The logger is by default ``init_bench``.

    Raises:
        InitBenchError: ``model`` is not a module, or another argument is none of these.

    Example:
        >>> import torch
        >>> model = nn.Linear(20, 3)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> monitor = TrainingMonitor(model, every=100)
        >>> x, y = torch.randn(8, 20), torch.arange(8) % 3
        >>> for _ in range(2):
        ...     with monitor.step(x, y):
        ...         optimizer.zero_grad()
        ...         nn.functional.cross_entropy(model(x), y).backward()
        ...         optimizer.step()
        >>> list(monitor.diagnoses), monitor.updates["parameter"].tolist()
        ([0], ['weight', 'bias'])
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Loss | None = None,
        *,
        every: int = 0,
        on_bad: str = "warn",
        log: logging.Logger | None = None,
        numbers: NumberSink | None = None,
    ) -> None:
        check_is_module(model)
        super().__init__(every=every, on_bad=on_bad, log=log, numbers=numbers)
        self.model, self.loss_fn, self.steps = model, loss_fn, 0

    @contextmanager
    def step(self, inputs: Any, targets: Any = None) -> Iterator[None]:
        """Diagnose the model before the block, if it is due, and measure its update after it.

        Args:
            inputs, targets: what the block trains on, as for ``init_bench.diagnose``.

        Raises:
            InitBenchError: a finding at step 0 is bad, and ``on_bad`` is ``raise``.
        """
        if self.is_due(self.steps):
            loss_fn = self.loss_fn or (None if targets is None else cross_entropy)
            self.diagnose(self.steps, self.model, inputs, targets, loss_fn)
            self.before_update(self.steps, self.model)
        yield
        self.steps += 1
        self.after_update(self.steps, self.model)
