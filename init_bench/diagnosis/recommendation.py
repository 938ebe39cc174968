"""Recommend initializers for a model by short trainings."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.diagnosis.default_loss import cross_entropy
from init_bench.diagnosis.evidence.collection import collect_evidence
from init_bench.diagnosis.input_checks import check_inputs
from init_bench.diagnosis.judgment import judge
from init_bench.diagnosis.learning_rates.optimizers import RatedOptimizer, optimizer_and_rates
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.recommendation_result import STEPS, Recommendation
from init_bench.diagnosis.training_steps import Optimizer
from init_bench.diagnosis.trial_loss import trial_loss
from init_bench.errors import InitBenchError
from init_bench.hooks.isolation import isolated_pass, restored_parameters
from init_bench.hooks.model_call import check_is_module
from init_bench.hooks.module_names import unwrapped
from init_bench.init import Report, initialize, parse
from init_bench.init.progress_bar import progress_bar
from init_bench.statistics.intervals import t_interval
from init_bench.statistics.planned_looks import planned_looks
from init_bench.training.seeds_argument import AUTO, FEWEST_TO_RANK, seeds_from

CANDIDATES = (
    "torch.default",
    "lecun_normal",
    "lecun_uniform",
    "xavier_normal",
    "xavier_uniform",
    "he_normal",
    "he_uniform",
    "torch.orthogonal",
    "lsuv",
    "krahenbuhl",
)
"""Initializers that fit any model and need no argument. Those that minimize a loss take as long as
a training; name them to try them."""


FIRST_SEEDS = 5
"""Seeds of the first look."""


RATE_SEEDS = 2
"""Further seeds on which the learning rate is chosen; one alone may choose a rate that diverges."""


RATES_OF_SGD = (0.01, 0.1, 1.0)
"""Rates that are tried of plain SGD; of other optimizers the middle one and a decade around it."""


OLD_COLUMNS = {
    "low": "ci_low",
    "high": "ci_high",
    "rate": "lr",
    "behind_low": "behind_ci_low",
    "behind_high": "behind_ci_high",
}
"""Old names of columns, kept for one release."""


def recommend(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
    *,
    inits: Sequence[str] = CANDIDATES,
    seeds: int | Iterable[int] | Literal["auto"] = AUTO,
    optimizer: str | Optimizer = "sgd",
) -> Recommendation:
    """Try initializers on ``model`` for a short, fixed budget and rank them by the loss reached.

    Each initializer takes 40 steps of the optimizer on the whole of ``inputs`` from each seed, at
    that of three rates (of SGD 0.01, 0.1 and 1) at which the worse of two seeds more does best. The
    answer holds for that optimizer. Every training begins from the model as it was given:
    parameters that no initializer fills have its values. An initializer that gives parameters rates
    of their own (``mup``) is tried with these.
    Differences are taken seed by seed and given with a t interval of 95 % over all pairs and looks
    together (Bonferroni): who is not set apart by it is not said to be better, and ten candidates
    take more seeds than two. Who is worse at 5 seeds is out; the others go on to 10 and to 20
    (``init_bench.statistics.planned_looks``). Model and random streams are afterwards as they were.
    It says who starts fastest, not who ends best.

    Args:
        model, inputs, targets, loss_fn: as for ``init_bench.diagnose``; a loss is needed.
        inits: specs to try; those that must see a batch or a loss see ``inputs`` and
            ``loss_fn``.
        seeds: ``"auto"``, or 3 or more for all alike, as a count or an iterable.
        optimizer: ``sgd``, ``momentum``, ``adagrad``, ``adam`` or ``adamw``, or a function that
            builds one of the model, as in ``lambda model: torch.optim.AdamW(model.parameters(),
            lr=3e-4)``. Beside its own rate a tenth and ten times of it are tried; of ``adam`` and
            ``adamw`` 0.0001, 0.001 and 0.01.

    Raises:
        InitBenchError: there is nothing to learn from, the inputs are not finite or a single
            sample, seeds is no number from 3, no spec is given or one is unknown, the model does
            not run on the inputs or the loss on what it returns, the optimizer is none, or no
            initializer fits the model.

    Example:
        >>> import init_bench as ib
        >>> model = nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 2))
        >>> x = torch.randn(32, 20, generator=torch.Generator().manual_seed(0))
        >>> result = ib.recommend(model, x, (x[:, 0] > 0).long(), inits=["zeros", "lecun_normal"])
        >>> result.best
        ('lecun_normal',)
    """
    check_is_module(model)
    model = unwrapped(model)
    check_inputs(inputs)
    if targets is None and loss_fn is None:
        raise InitBenchError("recommend trains the model: pass targets, loss_fn or both")
    looks = _looks(seeds)
    specs = _specs(inits)
    loss_fn = loss_fn or cross_entropy
    collect_evidence(model, inputs, targets, loss_fn)  # refuses what does not fit, first
    name, rated, rates = optimizer_and_rates(model, optimizer, None)
    tried = RATES_OF_SGD if optimizer == "sgd" else tuple(rates[2:-2:2])
    learn = _Learner(model, inputs, targets, loss_fn, rated, tried)
    starts: dict[str, _Start] = {}
    refused: dict[str, str] = {}
    with progress_bar(len(specs), "rates chosen", "initializer") as done:
        for spec in specs:
            try:
                starts[spec] = learn.start(spec, beyond=max(looks[-1]))
            except InitBenchError as cause:
                refused[spec] = str(cause)
            done(1)
    if not starts:
        raise InitBenchError(f"no initializer fits this model: {next(iter(refused.values()))}")
    table = _table(learn, starts, looks)
    seeds_taken = int(table["seeds"].max())
    return Recommendation(
        table=table, refused=refused, seeds=seeds_taken, optimizer=name, rates=tried
    )


def _looks(seeds: int | Iterable[int] | Literal["auto"]) -> tuple[tuple[int, ...], ...]:
    """Return the seeds of each look; those of one begin with those of the look before."""
    if isinstance(seeds, str) and seeds == AUTO:
        return tuple(tuple(range(count)) for count in planned_looks(FIRST_SEEDS))
    return (seeds_from(seeds, minimum=FEWEST_TO_RANK, auto=True),)


def _specs(inits: Sequence[str]) -> list[str]:
    """Return the specs as tables spell them, each once."""
    if isinstance(inits, str) or not isinstance(inits, Sequence) or not inits:
        raise InitBenchError(
            f"inits must be a list of specs, such as ['he_normal', 'lsuv'], got {inits!r}"
        )
    return list(dict.fromkeys(str(parse(spec)) for spec in inits))


@dataclass(frozen=True)
class _Start:
    """The verdicts on an initializer at seed 0, and its best rate."""

    verdicts: str
    rate: float


@dataclass(frozen=True)
class _Learner:
    """The model and its data; the model is restored after each training."""

    model: nn.Module
    inputs: Any
    targets: Any
    loss_fn: Loss
    rated: RatedOptimizer
    rates: tuple[float, ...]

    def start(self, spec: str, *, beyond: int) -> _Start:
        """Return the verdicts at seed 0, and the best rate on seeds ``beyond`` those of trials."""

        def worst(rate: float) -> float:
            return max(self._loss(spec, rate, beyond + 1 + more) for more in range(RATE_SEEDS))

        with restored_parameters(self.model):
            self._fill(spec, 0)
            found = judge(collect_evidence(self.model, self.inputs, self.targets, self.loss_fn))
        return _Start(verdicts=_names(found), rate=min(self.rates, key=worst))

    def losses(self, spec: str, rate: float, seeds: Sequence[int]) -> np.ndarray:
        """Return the loss reached from each seed."""
        return np.array([self._loss(spec, rate, seed) for seed in seeds])

    def _loss(self, spec: str, rate: float, seed: int) -> float:
        """Return the loss after the last step; inf where it diverged."""
        with restored_parameters(self.model), isolated_pass(self.model), torch.enable_grad():
            report = self._fill(spec, seed)
            update = report.scale_rates(self.rated(self.model, rate))
            where = f"{spec} at rate {rate:g}, seed {seed}, step "
            for step in range(STEPS):
                update.zero_grad()
                loss = self._measured(f"{where}{step}")
                if not loss.isfinite():
                    return math.inf
                loss.backward()  # type: ignore[no-untyped-call]
                update.step()
            last = self._measured(f"{where}{STEPS}").item()
        return last if math.isfinite(last) else math.inf

    def _fill(self, spec: str, seed: int) -> Report:
        batch = (self.inputs, self.targets)
        return initialize(self.model, spec, batch=batch, loss_fn=self.loss_fn, seed=seed)

    def _measured(self, where: str) -> Tensor:
        return trial_loss(self.model, self.inputs, self.targets, self.loss_fn, where)


def _names(found: pd.DataFrame) -> str:
    """Return the verdicts, each once, and behind ``healthy`` what is to be watched."""
    watched = found["severity"] == "watch"
    names = ", ".join(found.loc[~watched, "verdict"].unique())
    to_watch = ", ".join(found.loc[watched, "verdict"].unique())
    return f"{names}; watch: {to_watch}" if to_watch else names


def _table(
    learn: _Learner, starts: dict[str, _Start], looks: Sequence[Sequence[int]]
) -> pd.DataFrame:
    """Return a row per initializer, best first; who is worse at one look has its row of that."""
    comparisons = max(1, math.comb(len(starts), 2)) * len(looks)  # who is best is not known before
    reached = {spec: np.empty(0) for spec in starts}
    worse: list[pd.DataFrame] = []
    for seeds in looks:
        with progress_bar(len(reached), f"{len(seeds)} seeds", "initializer") as done:
            for spec, before in reached.items():
                more = learn.losses(spec, starts[spec].rate, seeds[len(before) :])
                reached[spec] = np.append(before, more)
                done(1)
        ranked = _ranked(reached, comparisons)
        worse.insert(0, ranked[ranked["differs"]])
        tied = ranked[~ranked["differs"]]
        reached = {spec: reached[spec] for spec in tied["init"]}
        if len(tied) == 1 or not tied["behind_ci_high"].any():
            break
    table = pd.concat([tied, *worse], ignore_index=True)
    table.insert(4, "lr", [starts[spec].rate for spec in table["init"]])
    table["verdicts"] = [starts[spec].verdicts for spec in table["init"]]
    return table.assign(**{old: table[new] for old, new in OLD_COLUMNS.items()})


def _ranked(ends: dict[str, np.ndarray], comparisons: int) -> pd.DataFrame:
    """Return loss and difference to the first of each initializer, best first."""
    order = sorted(ends, key=lambda spec: ends[spec].mean())
    first = ends[order[0]]
    rows = []
    for spec in order:
        mean, low, high = _interval(ends[spec])
        behind = ends[spec] - first if np.isfinite(first).all() else np.zeros(len(first))
        _, behind_low, behind_high = _interval(behind, comparisons)
        rows.append(
            {
                "init": spec,
                "loss": mean,
                "ci_low": low,
                "ci_high": high,
                "behind": behind.mean(),
                "behind_ci_low": behind_low,
                "behind_ci_high": behind_high,
                "differs": bool(behind_low > 0),
                "diverged": int(np.isinf(ends[spec]).sum()),
                "seeds": len(ends[spec]),
            }
        )
    return pd.DataFrame(rows)


def _interval(values: np.ndarray, comparisons: int = 1) -> tuple[float, float, float]:
    """Return mean and interval, widened for several comparisons; inf stays inf."""
    mean, low, high = t_interval(values, comparisons=comparisons)
    return (mean, low, high) if math.isfinite(mean) else (mean, mean, mean)
