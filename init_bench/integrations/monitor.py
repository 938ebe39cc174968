"""Diagnose a model at chosen steps of a training, and measure its updates, changing neither."""

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
from torch import Tensor, nn

from init_bench.diagnosis.evidence.updates import parameter_copies, update_ratios
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.result import Diagnosis
from init_bench.errors import InitBenchError, check_int
from init_bench.hooks.module_names import own_parameters

ON_BAD = ("warn", "raise")

NumberSink = Callable[[Mapping[str, float], int], object]
"""Takes numbers by name, and the step that they belong to."""


class Monitor:
    """Diagnose a model before chosen updates of its training, and measure these updates.

    The first is that at step 0; the others come every so many steps. The size of an update is
    ‖ΔW‖ / ‖W‖. An error of the monitor, such as memory that runs out, is a warning: the training
    goes on.

    Args:
        every: steps between two diagnoses; 0 for the first alone.
        on_bad: ``warn`` writes bad findings as warnings; ``raise`` stops the training at step 0,
            before its first update. Later findings only warn, as limits were calibrated at step 0,
            and so does a diagnosis that fails.
        log: where texts go.
        numbers: where numbers go, if anywhere.

    Attributes:
        diagnoses: the ``Diagnosis`` of each such step.

    Raises:
        InitBenchError: an argument is none of these.
    """

    def __init__(
        self,
        *,
        every: int = 0,
        on_bad: str = "warn",
        log: logging.Logger | None = None,
        numbers: NumberSink | None = None,
    ) -> None:
        if on_bad not in ON_BAD:
            raise InitBenchError(f"on_bad must be 'warn' or 'raise', got {on_bad!r}")
        self.every, self.on_bad = check_int(every, "every", minimum=0), on_bad
        self.log = log or logging.getLogger("init_bench")
        self.numbers = numbers
        self.diagnoses: dict[int, Diagnosis] = {}
        self._updates: list[tuple[int, str, float]] = []
        self._before: dict[str, Tensor] = {}
        self._waits = False
        self._shown: set[tuple[str, type[Exception]]] = set()

    @property
    def updates(self) -> pd.DataFrame:
        """A row per measured update and parameter.

        Columns: ``step`` (the number of updates, this one included), ``parameter`` and
        ``update_ratio``, ‖ΔW‖ / ‖W‖.
        """
        return pd.DataFrame(self._updates, columns=["step", "parameter", "update_ratio"])

    def is_due(self, step: int) -> bool:
        """Return whether the update that follows ``step`` others is one to diagnose and measure."""
        return step == 0 or (self.every > 0 and step % self.every == 0)

    def diagnose(
        self, step: int, model: nn.Module, inputs: Any, targets: Any, loss_fn: Loss | None
    ) -> None:
        """Diagnose ``model`` before the update that follows ``step`` others, and report.

        Raises:
            InitBenchError: a finding at step 0 is bad, and ``on_bad`` is ``raise``.
        """
        if loss_fn is not None and _steps_in_backward(model):
            self.log.info("gradients are not judged: hooks of parameters run in a backward pass")
            targets, loss_fn = None, None
        found = None
        with self._errors_as_warnings(step, "the model was not diagnosed"):
            found = diagnose(model, inputs, targets, loss_fn)
        if found is None:
            return
        self.diagnoses[step] = found
        self._send({"init_bench/bad_findings": float(len(found.bad))}, step)
        if step == 0 and not found.healthy and self.on_bad == "raise":
            raise InitBenchError(f"{found}\n(on_bad='warn' would train all the same)")
        self.log.log(logging.INFO if found.healthy else logging.WARNING, "step %d: %s", step, found)

    def before_update(self, step: int, model: nn.Module) -> None:
        """Copy the parameters after ``step`` updates, unless a copy still waits for an update."""
        with self._errors_as_warnings(step, "the parameters were not copied"):
            self._before = self._before or parameter_copies(model)

    def after_update(self, step: int, model: nn.Module) -> None:
        """Compare with the copy after ``step`` updates; report the sizes of the last one.

        Where nothing moved, the copy waits for the next update: gradients were accumulated, or a
        gradient scaler skipped the step because they overflowed.
        """
        before, self._before = self._before, {}
        if before:
            with self._errors_as_warnings(step, "the update was not measured"):
                self._measure(step, model, before)

    def _measure(self, step: int, model: nn.Module, before: dict[str, Tensor]) -> None:
        ratios = update_ratios(before, model)
        if not any(ratios.values()):
            if not self._waits:
                self.log.info("step %d: no parameter moved; the next update is measured", step)
            self._before, self._waits = before, True
            return
        self._waits = False
        self._updates += [(step, name, ratio) for name, ratio in ratios.items()]
        self._report_updates(step, model, ratios)

    def _report_updates(self, step: int, model: nn.Module, ratios: Mapping[str, float]) -> None:
        """Report median, least and greatest update of the matrices, and what did not move."""
        shapes = {name: value.dim() for name, value in own_parameters(model).items()}
        unmoved = [name for name, ratio in ratios.items() if ratio == 0]
        moved = pd.Series({n: r for n, r in ratios.items() if r and shapes[n] > 1}, dtype=float)
        moved = moved[moved < float("inf")]
        if len(moved):
            sizes = {
                "median": float(moved.median()),
                "least": float(moved.min()),
                "greatest": float(moved.max()),
            }
            self.log.info(
                f"step {step}: update sizes ‖ΔW‖/‖W‖: median {sizes['median']:.2g}, "
                f"least {sizes['least']:.2g} ({moved.idxmin()}), "
                f"greatest {sizes['greatest']:.2g} ({moved.idxmax()})"
            )
            self._send({f"init_bench/update_{name}": size for name, size in sizes.items()}, step)
        if unmoved:
            self.log.info("step %d: these parameters did not move: %s", step, ", ".join(unmoved))

    def _send(self, numbers: Mapping[str, float], step: int) -> None:
        if self.numbers is not None:
            with self._errors_as_warnings(step, "numbers were not logged"):
                self.numbers(numbers, step)

    @contextmanager
    def _errors_as_warnings(self, step: int, consequence: str) -> Iterator[None]:
        """Turn an error inside the block into a warning: no training is lost to its monitor.

        What is no ``InitBenchError`` may be a fault of the model, of ``numbers`` or of ours: the
        first of its kind is shown with its traceback.
        """
        try:
            yield
        except InitBenchError as error:
            self.log.warning("step %d: %s: %s", step, consequence, error)
        except Exception as error:
            kind = consequence, type(error)
            # As text: a logger that keeps the error would keep the tensors of its frames.
            text = "" if kind in self._shown else f"\n{traceback.format_exc()}"
            name = type(error).__name__
            self.log.warning("step %d: %s: %s: %s%s", step, consequence, name, error, text)
            self._shown.add(kind)


def _steps_in_backward(model: nn.Module) -> bool:
    """Return whether a backward pass runs hooks that may update parameters."""
    return any(getattr(p, "_post_accumulate_grad_hooks", None) for p in model.parameters())
