"""Train both sides of each pair on the same minibatches and test the differences over seeds."""

import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from init_bench import datasets
from init_bench.comparison.measurements import LOSSES, Row
from init_bench.comparison.pair_verdicts import decided, judge
from init_bench.comparison.paired_tests import sign_flip_p
from init_bench.comparison.pairs_from_names import Pair
from init_bench.comparison.training_setting import RunOptions, cell_of, setting_of
from init_bench.errors import InitBenchError
from init_bench.init import InitSpec
from init_bench.statistics.intervals import t_interval
from init_bench.training.cell import Cell
from init_bench.training.grid import Grid
from init_bench.training.networks import network_of
from init_bench.training.pipeline import run
from init_bench.training.results import Results

SKIPPED = "not trained: from every seed both sides start from the same bits and so train the same"


MakeRow = functools.partial[Row]
"""Makes a row of one pair about training on one network."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Rows about training and the runs behind them.

    Attributes:
        rows: the measured differences, pair by pair.
        curves: loss per step of each run.
        outcomes: a row per run: ``init``, ``seed``, ``status``, ``final_loss``, ``mean_loss``.
        failures: files about runs that failed.
        errors: what those files say, a line per run.
    """

    rows: list[Row]
    curves: pd.DataFrame
    outcomes: pd.DataFrame
    failures: tuple[Path, ...] = ()
    errors: tuple[str, ...] = ()

    def replaced_by(self, later: "Trained") -> "Trained":
        """Return this with the pairs and runs of ``later`` in place of its own."""
        again = {row.pair for row in later.rows}
        return Trained(
            rows=[*(row for row in self.rows if row.pair not in again), *later.rows],
            curves=_joined(self.curves, later.curves),
            outcomes=_joined(self.outcomes, later.outcomes),
            failures=tuple(dict.fromkeys((*self.failures, *later.failures))),
            errors=tuple(dict.fromkeys((*self.errors, *later.errors))),
        )


def _joined(earlier: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of both; of initializers in both, those of ``later``."""
    if earlier.empty or later.empty:
        return earlier if later.empty else later
    others = earlier[~earlier["init"].isin(later["init"].unique())]
    return pd.concat([others, later], ignore_index=True)


def train(pairs: Sequence[Pair], axes: Mapping[str, Any], options: RunOptions) -> Trained:
    """Train both sides of each pair on the same minibatches and return what differs.

    Of several pairs, those that start from the same bits are not trained: they would train to
    the same bits. A single pair is trained all the same, as a check and for its curves. Of several
    planned looks, only the pairs that the looks before left open train from more seeds.
    """
    looks, undecided = options.looks, list(pairs)
    found = Trained(rows=[], curves=pd.DataFrame(), outcomes=pd.DataFrame())
    for number, seeds in enumerate(looks, 1):
        look = f", look {number} of {len(looks)}" if len(looks) > 1 else ""
        setting = setting_of(axes, seeds, look)
        found = found.replaced_by(_train(undecided, axes, options, seeds, setting))
        table = judge(pairs, found.rows, looks=len(looks))
        undecided = [pair for pair in undecided if not decided(table, pair)]
        if not undecided:
            break
    return found


def _train(
    pairs: Sequence[Pair],
    axes: Mapping[str, Any],
    options: RunOptions,
    seeds: Sequence[int],
    setting: str,
) -> Trained:
    """Train the pairs from some seeds and return what differs."""
    refusals = _refusals(pairs, axes)
    starts = _starts([pair for pair in pairs if pair not in refusals], cell_of(axes), seeds)
    trained = [pair for pair, share in starts.items() if share < 1 or len(pairs) == 1]
    results = _run(trained, axes, options, seeds)
    outcomes = _outcomes(results) if results else pd.DataFrame()
    failures = results.failures if results else ()
    failed = dict(error for path in failures for error in _errors(path))
    rows = []
    for pair in pairs:
        row = MakeRow(Row, pair=pair, question="training", setting=setting)
        if pair in starts:
            rows.append(row(quantity="same start", value=starts[pair], n=len(seeds)))
        errors = [e for (init, _), e in failed.items() if init in (str(pair.a), str(pair.b))]
        match (pair in starts, pair in trained, errors):
            case (False, _, _):
                rows.append(_untrainable_row(row, refusals[pair]))
            case (_, False, _):
                rows += _skipped_rows(row)
            case (_, _, [error, *_]):
                rows.append(_failed_row(row, error))
            case _:
                rows += _paired_rows(row, pair, outcomes)
    return Trained(
        rows=rows,
        curves=results.curves if results else pd.DataFrame(),
        outcomes=outcomes,
        failures=failures,
        errors=tuple(f"{init}, seed {seed}: {error}" for (init, seed), error in failed.items()),
    )


def same_start(
    pair: Pair, cell: Cell, seeds: Sequence[int], digest: Callable[[Cell], str | None]
) -> float:
    """Return the share of seeds for which both sides give a network the same bits throughout.

    ``digest``: ``start_of``, possibly with a cache.
    """
    equal = 0
    for seed in seeds:
        a, b = (digest(replace(cell, init=str(spec), seed=seed)) for spec in (pair.a, pair.b))
        equal += a is not None and a == b
    return equal / len(seeds)


def start_of(cell: Cell) -> str | None:
    """Return a digest of the bits that the cell starts from, ``None`` where it cannot start."""
    try:
        state = network_of(cell, datasets.load(cell.dataset)).state_dict()
    except InitBenchError:
        return None
    digest = hashlib.sha256()
    for value in state.values():
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _refusals(pairs: Iterable[Pair], axes: Mapping[str, Any]) -> dict[Pair, str]:
    """Return why the grid refuses a side, for each pair of which it does."""
    refusal = functools.lru_cache(maxsize=None)(functools.partial(_refusal, axes=axes))
    reasons = {pair: [refusal(pair.a), refusal(pair.b)] for pair in pairs}
    return {p: "; ".join(dict.fromkeys(filter(None, r))) for p, r in reasons.items() if any(r)}


def _starts(pairs: Iterable[Pair], cell: Cell, seeds: Sequence[int]) -> dict[Pair, float]:
    """Return each pair's share of seeds with the same start; a start is computed once."""
    digest = functools.lru_cache(maxsize=None)(start_of)
    return {pair: same_start(pair, cell, seeds, digest) for pair in pairs}


def _refusal(spec: InitSpec, axes: Mapping[str, Any]) -> str:
    """Return why a grid refuses an initializer, empty where it takes it."""
    try:
        Grid(**axes, init=str(spec))
    except InitBenchError as reason:
        return str(reason).strip().removeprefix("init: ")
    return ""


def _run(
    pairs: Iterable[Pair], axes: Mapping[str, Any], options: RunOptions, seeds: Sequence[int]
) -> Results | None:
    """Train every initializer of the pairs from every seed; ``None`` where there is no pair."""
    names = list(dict.fromkeys(str(spec) for pair in pairs for spec in (pair.a, pair.b)))
    if not names:
        return None
    grid = Grid(**axes, init=names, seed=seeds)
    return run(grid, options.out, device=options.device, progress=options.progress)


def _outcomes(results: Results) -> pd.DataFrame:
    """Return a row per cell with its status and both losses, nan where it diverged."""
    mean = results.curves.astype({"loss": np.float64}).groupby("key")["loss"].mean()
    cells = results.cells[["key", "init", "seed", "status", "final_loss"]].copy()
    cells["mean_loss"] = cells["key"].map(mean).where(cells["status"] == "ok")
    return cells.drop(columns="key")


def _untrainable_row(row: MakeRow, reason: str) -> Row:
    return row(quantity="same start", note=reason)


def _skipped_rows(row: MakeRow) -> list[Row]:
    return [row(quantity=name, value=0.0, note=SKIPPED) for name in LOSSES]


def _failed_row(row: MakeRow, error: str) -> Row:
    return row(quantity="final loss", note=f"a run failed: {error}")


def _paired_rows(row: MakeRow, pair: Pair, outcomes: pd.DataFrame) -> Iterator[Row]:
    """Yield the differences of both losses and of divergence, paired over seeds."""
    a, b = (outcomes[outcomes["init"] == str(s)].set_index("seed") for s in (pair.a, pair.b))
    for name in LOSSES:
        column = name.replace(" ", "_")
        differences = (a[column] - b[column]).dropna()
        value, low, high = t_interval(differences)
        yield row(
            quantity=name,
            value=value,
            low=low,
            high=high,
            p=sign_flip_p(differences),
            n=len(differences),
            note=_levels(a[column], b[column]) if len(differences) else "no seed trained on both",
        )
    diverged_a, diverged_b = (side["status"] == "diverged" for side in (a, b))
    yield row(
        quantity="diverged",
        value=float(diverged_a.mean() - diverged_b.mean()),
        p=_mcnemar(diverged_a, diverged_b),
        n=len(a),
        note=f"a: {diverged_a.sum()} of {len(a)} seeds, b: {diverged_b.sum()} of {len(b)}",
    )


def _mcnemar(a: pd.Series, b: pd.Series) -> float:
    """Return McNemar's exact p-value that both sides diverge equally often, nan if none does."""
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if not (a.any() or b.any()):
        return math.nan
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def _levels(a: pd.Series, b: pd.Series) -> str:
    return f"a: {a.mean():.4g}, b: {b.mean():.4g}"


def _errors(failure: Path) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield (init, seed) of each cell that a failure file names, and why it failed."""
    report = json.loads(failure.read_text())
    for cell in report["cells"]:
        yield (cell["init"], cell["seed"]), report["error"]
