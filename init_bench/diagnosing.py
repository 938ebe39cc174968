"""Diagnose: what is wrong with a model's initialisation, layer by layer, and where it starts."""

import html
import io
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from init_bench.errors import InitBenchError
from init_bench.examining import Loss, examine, shapes
from init_bench.figures import diagnosis as draw
from init_bench.judging import judge
from init_bench.watching import first_tensor
from init_bench.wrappers import unwrapped

SHOWN = ("layer", "verdict", "value", "threshold", "cause", "advice")
"""Columns of the text and HTML tables."""

MOST_ROWS = 20
"""Findings that text and HTML show; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is wrong with a model's initialisation.

    Attributes:
        name: class of the model.
        layers: the table of ``capture``, a row per layer and tensor kind.
        profile: a row per layer call, with its input, gradient and weight beside its output.
        verdicts: a row per finding, see ``init_bench.judging.judge``; where faults start comes
            first, then what follows from them (``cause`` names the layer).
        weights: a row per parameter, see ``init_bench.audit.audit``.
        loss: of the initial weights; nan where no loss was given.
        notes: what was looked at otherwise than asked, in words.
    """

    name: str
    layers: pd.DataFrame
    profile: pd.DataFrame
    verdicts: pd.DataFrame
    weights: pd.DataFrame
    loss: float
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether no finding is bad."""
        return not (self.verdicts["severity"] == "bad").any()

    @property
    def bad(self) -> pd.DataFrame:
        """The bad findings."""
        return self.verdicts[self.verdicts["severity"] == "bad"]

    def figure(self) -> Figure:
        """Return activation and gradient profile over depth, coloured by verdict."""
        return draw(self.profile, self.verdicts, caption=self._headline())

    def to_json(self) -> str:
        """Return everything as JSON: ``name``, ``healthy``, ``loss``, ``notes`` and the tables."""
        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records"))
            for name in ("verdicts", "layers", "weights")
        }
        loss = self.loss if math.isfinite(self.loss) else None
        head = {"name": self.name, "healthy": self.healthy, "loss": loss, "notes": self.notes}
        return json.dumps({**head, **tables}, ensure_ascii=False)

    def save(self, folder: Path, name: str) -> list[Path]:
        """Write figure, HTML and JSON into ``folder``, named after ``name``; return the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^\w.=-]+", "-", name).strip("-")
        paths = [folder / f"{stem}.{ending}" for ending in ("png", "html", "json")]
        self.figure().savefig(paths[0], dpi=120)
        paths[1].write_text(f"<!doctype html><meta charset='utf-8'>{self._repr_html_()}")
        paths[2].write_text(self.to_json())
        return paths

    def __str__(self) -> str:
        """Return headline and findings as text."""
        rows = self.verdicts.to_dict("records")
        lines = [self._headline(), *self.notes, *map(_line, rows[:MOST_ROWS])]
        if len(rows) > MOST_ROWS:
            lines.append(f"… and {len(rows) - MOST_ROWS} more findings")
        # Where a fault starts comes first: what only follows adds its definition alone.
        for row in self.verdicts.drop_duplicates(["verdict", "quantity"]).to_dict("records"):
            lines.append(f"{row['verdict']}: {row['quantity']}")
            if row["advice"] and not row["cause"]:
                lines.append(f"  → {row['advice']}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return headline, findings and figure, without script."""
        table = self.verdicts.head(MOST_ROWS)[list(SHOWN)].to_html(
            index=False, float_format="{:.3g}".format, border=0
        )
        svg = io.StringIO()
        self.figure().savefig(svg, format="svg")
        picture = svg.getvalue().partition("<svg")[2]
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<p><b>{html.escape(self._headline())}</b></p>{notes}{table}<svg{picture}"

    def _headline(self) -> str:
        layers = self.profile.drop_duplicates("layer")
        multiply = layers["weight_gain"].notna().sum()
        size = f"{self.name}, {len(layers)} layers, {multiply} with weights"
        if self.healthy:
            return f"{size}: healthy."
        starts = self.bad[self.bad["cause"] == ""]
        names = ", ".join(starts["verdict"].unique())
        return f"{size}: {names}; starts at {starts['layer'].iloc[0]}."


def _line(row: dict[Any, Any]) -> str:
    """Return one finding as one line of the text table."""
    follows = f"  → {row['advice']}" if row["cause"] else ""
    verdict = f"watch: {row['verdict']}" if row["severity"] == "watch" else row["verdict"]
    measured = f"{row['value']:<10.3g} threshold {row['threshold']:.3g}"
    return f"{row['layer']:<32} {verdict:<20} {measured}{follows}"


def diagnose(
    model: nn.Module, inputs: Any, targets: Any = None, loss_fn: Loss | None = None
) -> Diagnosis:
    """Look at ``model`` at its present weights and say what is wrong, where and what helps.

    The model runs once forward, and backward if there is a loss. Weights, gradients, buffers,
    mode and global random streams are afterwards as if nobody had looked.

    Args:
        model: any module with parameters. A compiled one is looked at underneath.
        inputs: a tensor of samples, a tuple of arguments or a mapping of keyword arguments. The
            first dimension is the samples; there must be two or more.
        targets: what ``loss_fn`` takes beside the output. Class indices for an output (samples,
            classes) need no ``loss_fn``: it is cross-entropy.
        loss_fn: takes output and targets, returns a scalar. Without it, and without targets, no
            gradients are judged.

    Raises:
        InitBenchError: the model has no parameters or does not run on ``inputs``, the inputs are
            not finite or a single sample, or the loss does not fit output and targets.

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
    _check_inputs(inputs)
    if targets is not None and loss_fn is None:
        loss_fn = cross_entropy
    evidence = examine(looked, inputs, targets, loss_fn)
    return Diagnosis(
        name=type(looked).__name__,
        layers=evidence.layers,
        profile=evidence.profile,
        verdicts=judge(evidence),
        weights=evidence.weights,
        loss=evidence.loss,
        notes=notes,
    )


def _underneath(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the module that a compiled or distributed model wraps, and a note that says so."""
    inner = unwrapped(model)
    if inner is model:
        return model, ()
    what = "compiled model" if hasattr(model, "_orig_mod") else type(model).__name__
    return inner, (f"the {what} was looked at through the module underneath",)


def _check_inputs(inputs: Any) -> None:
    first = first_tensor(inputs)
    if first is None:
        return
    if len(first) < 2:
        raise InitBenchError(
            f"inputs {shapes(inputs)} hold {len(first)} sample: what distinguishes samples needs "
            f"two or more; give a batch"
        )
    broken = int((~first.isfinite()).sum())
    if broken:
        raise InitBenchError(
            f"inputs {shapes(inputs)} hold {broken} values that are nan or ±inf: no layer can be "
            f"judged behind them; clean the inputs"
        )


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
        raise InitBenchError(
            f"without loss_fn, targets must be class indices and the output a tensor of logits; "
            f"got targets {shapes(targets)} and output {shapes(output)}: give loss_fn"
        )
    loss: Tensor = functional.cross_entropy(logits, targets)
    return loss
