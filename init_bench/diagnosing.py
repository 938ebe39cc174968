"""Diagnose: what is wrong with a model's initialisation, layer by layer, and where it starts."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from init_bench import telling
from init_bench.errors import InitBenchError
from init_bench.examining import Loss, shapes
from init_bench.figures import diagnosis as draw
from init_bench.following import Optimizer, follow
from init_bench.inputs import check_inputs
from init_bench.judging import judge
from init_bench.noting import notes_on_inputs, notes_on_looks
from init_bench.tensors import first_tensor
from init_bench.theory.covered import expected_of
from init_bench.wrappers import unwrapped


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is wrong with a model's initialisation.

    All tables have a column ``step``: how many updates were done before the look, 0 unless asked.

    Attributes:
        name: class of the model.
        layers: the table of ``capture``, a row per layer and tensor kind.
        profile: a row per layer call, with its input, gradient and weight beside its output.
        histograms: how each output's values are spread, see ``Record.histograms``.
        verdicts: a row per finding, see ``init_bench.judging.judge``; where faults start comes
            first, then what follows from them (``cause`` names the layer).
        weights: a row per parameter, see ``init_bench.audit.audit``.
        expected: what mean field expects of each layer at step 0, see
            ``theory.covered.expected_of``; ``None`` where it does not cover the model.
        losses: the loss by step; nan where no loss was given.
        notes: what is otherwise than asked or to be read with care, in words.
    """

    name: str
    layers: pd.DataFrame
    profile: pd.DataFrame
    verdicts: pd.DataFrame
    weights: pd.DataFrame
    histograms: pd.DataFrame
    expected: pd.DataFrame | None
    losses: dict[int, float]
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether no finding is bad."""
        return not (self.verdicts["severity"] == "bad").any()

    @property
    def bad(self) -> pd.DataFrame:
        """The bad findings."""
        return self.verdicts[self.verdicts["severity"] == "bad"]

    @property
    def loss(self) -> float:
        """The loss of the initial weights; nan where no loss was given."""
        return self.losses[0]

    @property
    def headline(self) -> str:
        """What is wrong and where it starts, in a line, and the loss of each step."""
        head = telling.headline(self.name, self.profile, self.weights, self.verdicts)
        if len(self.losses) == 1:
            return head if math.isnan(self.loss) else f"{head} Loss: {self.loss:#.3g}."
        told = ", ".join(f"{loss:#.3g} (step {step})" for step, loss in self.losses.items())
        return f"{head} Loss: {told}."

    def figure(self) -> Figure:
        """Draw signal, values and gradient over depth, what is wrong marked, theory beside.

        Of several steps the first and the last are drawn.
        """
        return draw(
            self.profile, self.verdicts, self.histograms, self.expected, caption=self.headline
        )

    def to_json(self) -> str:
        """Return everything as JSON: ``name``, ``healthy``, ``loss``, ``notes`` and the tables."""
        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records"))
            for name in ("verdicts", "layers", "weights")
        }
        losses = {s: loss if math.isfinite(loss) else None for s, loss in self.losses.items()}
        head = {
            "name": self.name,
            "healthy": self.healthy,
            "loss": losses[0],
            "losses": losses,
            "notes": self.notes,
        }
        return json.dumps({**head, **tables}, ensure_ascii=False)

    def save(self, folder: Path, name: str) -> list[Path]:
        """Write figure, HTML and JSON into ``folder``, named after ``name``; return the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^\w.=-]+", "-", name).strip("-")
        paths = [folder / f"{stem}.{ending}" for ending in ("png", "html", "json")]
        self.figure().savefig(paths[0], dpi=120)
        paths[1].write_text(telling.document(self.name, self._repr_html_()), "utf-8")
        paths[2].write_text(self.to_json(), "utf-8")
        return paths

    def __str__(self) -> str:
        """Return headline and findings as text."""
        return telling.text(self.headline, self.notes, self.verdicts)

    def _repr_html_(self) -> str:
        """Return headline, findings and figure, without script."""
        return telling.page(self.headline, self.notes, self.verdicts, self.figure())


def diagnose(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
    *,
    steps: Sequence[int] = (0,),
    optimizer: Optimizer | None = None,
) -> Diagnosis:
    """Look at ``model`` at its present weights and say what is wrong, where and what helps.

    The model runs once forward, and backward if there is a loss. Weights, gradients, buffers,
    mode and global random streams are afterwards as if nobody had looked, so it may be called at
    any step of a training loop of your own, which goes on with the same bits. Dropout lets
    everything pass while one looks: its noise would tell equal samples apart.

    With ``steps`` beyond 0 the model is trained on ``inputs`` and ``targets``, as often as the
    largest says, looked at again on the way and then given back untrained. A loss that is not
    finite is a result: training ends there, with a last look. The thresholds were calibrated at
    step 0, what is found later is measured by the same ones: a network that has learnt its batch
    by heart has a vanishing gradient and nothing wrong.

    Args:
        model: any module with parameters. A compiled one is looked at underneath.
        inputs: a tensor of samples, a tuple of arguments or a mapping of keyword arguments. The
            first dimension is the samples, or a list has one each; there must be two or more.
        targets: what ``loss_fn`` takes beside the output. Class indices for an output (samples,
            classes) need no ``loss_fn``: it is cross-entropy.
        loss_fn: takes output and targets, returns a scalar. Without it, and without targets, no
            gradients are judged.
        steps: after how many updates to look, beside step 0.
        optimizer: builds the optimiser that does the updates, as in
            ``lambda model: torch.optim.SGD(model.parameters(), lr=0.1)``.

    Raises:
        InitBenchError: the model has no parameters or does not run on ``inputs``, these are not
            finite or a single sample, the loss does not fit output and targets or is no number
            because of targets, or steps beyond 0 lack a loss or an optimiser.

    Example:
        >>> import torch, init_bench as ib
        >>> model = nn.Sequential(
        ...     nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 2)
        ... )
        >>> report = ib.initialize(model, "he_normal")
        >>> x = torch.randn(64, 50, generator=torch.Generator().manual_seed(0))
        >>> ib.diagnose(model, x).healthy
        True
        >>> _ = model[2].weight.data.zero_()
        >>> ib.diagnose(model, x).verdicts[["layer", "verdict"]].to_numpy().tolist()[0]
        ['2', 'vanishing_signal']
    """
    if not isinstance(model, nn.Module):
        raise InitBenchError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    looked, notes = _underneath(model)
    check_inputs(inputs)
    if targets is not None and loss_fn is None:
        loss_fn = cross_entropy
    found = follow(looked, inputs, targets, loss_fn, steps, optimizer)
    verdicts = {step: judge(one) for step, one in found.items()}
    last, with_loss = max(steps, default=0), loss_fn is not None
    of_looks = notes_on_looks(found, verdicts, last, with_loss=with_loss)
    return Diagnosis(
        name=type(looked).__name__,
        layers=_by_step({step: one.layers for step, one in found.items()}),
        profile=_by_step({step: one.profile for step, one in found.items()}),
        histograms=_by_step({step: one.histograms for step, one in found.items()}),
        verdicts=_by_step(verdicts),
        weights=_by_step({step: one.weights for step, one in found.items()}),
        expected=expected_of(looked, inputs),
        losses={step: one.loss for step, one in found.items()},
        notes=(*notes, *notes_on_inputs(inputs), *of_looks),
    )


def _by_step(tables: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of all steps as one, ``step`` in front."""
    named = [table.assign(step=step) for step, table in tables.items()]
    rows = pd.concat(named, ignore_index=True)
    return rows[["step", *rows.columns.drop("step")]]


def _underneath(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the module that a compiled or distributed model wraps, and a note that says so."""
    inner = unwrapped(model)
    if inner is model:
        return model, ()
    what = "compiled model" if hasattr(model, "_orig_mod") else type(model).__name__
    return inner, (f"the {what} was looked at through the module underneath",)


def cross_entropy(output: Any, targets: Any) -> Tensor:
    """Return the mean cross-entropy of a classifier's logits to class indices.

    Raises:
        InitBenchError: ``output`` and ``targets`` are something else: they bring their own loss.

    Example:
        >>> import torch
        >>> round(cross_entropy(torch.zeros(2, 10), torch.tensor([1, 2])).item(), 4)
        2.3026
    """
    logits = first_tensor(output)
    fits = isinstance(targets, Tensor) and not targets.is_floating_point()
    if logits is None or not fits:
        raise _unfit(output, targets)
    try:
        loss: Tensor = functional.cross_entropy(logits, targets)
    except (RuntimeError, ValueError, IndexError) as cause:
        raise _unfit(output, targets, f" ({type(cause).__name__}: {cause})") from cause
    return loss


def _unfit(output: Any, targets: Any, why: str = "") -> InitBenchError:
    return InitBenchError(
        f"without loss_fn, targets must be class indices, one for each sample, and the output a "
        f"tensor of logits; got targets {shapes(targets)} and output {shapes(output)}{why}: "
        f"{_remedy(output, targets)}"
    )


def _remedy(output: Any, targets: Any) -> str:
    """Return what to do about targets that do not fit, by their type and shapes."""
    logits = first_tensor(output)
    if logits is None or not isinstance(targets, Tensor):
        return "give such targets or loss_fn"
    if targets.is_floating_point():
        return "of targets that are no classes give loss_fn, such as nn.functional.mse_loss"
    if targets.shape == logits.shape[:-1] and logits.dim() > 2:
        return (
            "where classes lie last, give loss_fn=lambda output, targets: "
            "nn.functional.cross_entropy(output.flatten(0, -2), targets.flatten())"
        )
    if targets.shape == logits.shape:
        return "of one-hot targets, targets.argmax(1) are such indices; else give loss_fn"
    if targets.dim() == logits.dim() and targets.shape[1:2] == (1,):
        return "targets.squeeze(1) takes the dimension of size 1 away"
    if targets.dtype in (torch.int8, torch.int16, torch.int32):
        return "targets.long() are such indices"
    return "give such targets or loss_fn"
