"""Do two initialisers train the same? Paired over seeds: the same minibatches on both sides."""

import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from init_bench import datasets
from init_bench.comparison.measurements import TRAIN_ALPHA, Row
from init_bench.comparison.paired import bootstrap_interval, seeds_for, sign_flip_p
from init_bench.comparison.pairs import Pair
from init_bench.errors import InitBenchError
from init_bench.init import InitSpec
from init_bench.training.cell import Cell
from init_bench.training.grid import Grid
from init_bench.training.networks import network_of
from init_bench.training.pipeline import run
from init_bench.training.results import Results

LOSSES = ("final loss", "mean loss")


SKIPPED = "not trained: both sides start from the same bits for every seed and so train to the same"


LEAST_SEEDS = 10


TESTS = 3
"""Tests of a pair that Holm counts: final loss, mean loss, and divergence where there is any."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Rows about training, the curves and outcomes (a row per run) behind them, what failed.

    ``failures`` are the files about runs that failed, ``errors`` what they say.
    """

    rows: list[Row]
    curves: pd.DataFrame
    outcomes: pd.DataFrame
    failures: tuple[Path, ...] = ()
    errors: tuple[str, ...] = ()


def cell_of(axes: Mapping[str, Any]) -> Cell:
    """Return the cell, seed and initialiser aside, that all sides train.

    Raises:
        InitBenchError: an unknown axis, a bad value, or more than one value of an axis.

    Example:
        >>> cell_of({"steps": 300}).width
        100
    """
    taken = sorted(axes.keys() & {"init", "seed"})
    if taken:
        raise InitBenchError(f"{taken[0]} is no axis of a comparison; pass names and seeds=")
    cells = Grid(**axes).cells
    if len(cells) > 1:
        many = [name for name in axes if len(getattr(Grid(**axes), name)) > 1]
        raise InitBenchError(
            f"a comparison trains one network, got several values of {', '.join(many)}; "
            f"compare once for each"
        )
    return cells[0]


def seeds_by_default(pairs: int) -> int:
    """Return 10, or more where Holm over so many pairs could reach no verdict with 10 seeds.

    Example:
        >>> seeds_by_default(1), seeds_by_default(30)
        (10, 12)
    """
    return max(LEAST_SEEDS, seeds_for(TESTS * pairs, TRAIN_ALPHA))


def train(
    pairs: Iterable[Pair],
    axes: Mapping[str, Any],
    *,
    seeds: int,
    out: Path,
    device: str,
    progress: bool,
) -> Trained:
    """Train both sides of each pair on the same minibatches and return what differs.

    Of several pairs, those that start from the same bits are not trained: they would train to
    the same bits. A single pair is trained all the same, as a check and for its curves.
    """
    pairs = list(pairs)
    refusals = {spec: _refusal(spec, axes) for pair in pairs for spec in (pair.a, pair.b)}
    open_pairs = [pair for pair in pairs if not (refusals[pair.a] or refusals[pair.b])]
    look = functools.lru_cache(maxsize=None)(start_of)
    starts = {pair: same_start(pair, cell_of(axes), seeds, look) for pair in open_pairs}
    trained = [pair for pair in open_pairs if starts[pair] < 1 or len(pairs) == 1]
    results = _run(trained, axes, seeds, out, device, progress)
    outcomes = _outcomes(results) if results else pd.DataFrame()
    failures = results.failures if results else ()
    failed = dict(error for path in failures for error in _errors(path))
    rows = []
    for pair in pairs:
        row = partial(Row, pair=pair, question="training", setting=_setting(axes))
        if pair not in starts:
            reasons = [reason for spec in (pair.a, pair.b) if (reason := refusals[spec])]
            rows.append(row(quantity="same start", note="; ".join(dict.fromkeys(reasons))))
            continue
        rows.append(row(quantity="same start", value=starts[pair], n=seeds))
        if pair not in trained:
            rows += [row(quantity=name, value=0.0, note=SKIPPED) for name in LOSSES]
        elif reasons := [e for (i, _), e in failed.items() if i in (str(pair.a), str(pair.b))]:
            rows.append(row(quantity="final loss", note=f"a run failed: {reasons[0]}"))
        else:
            rows += list(_paired_rows(pair, outcomes, row))
    curves = results.curves if results else pd.DataFrame()
    errors = tuple(f"{init}, seed {seed}: {error}" for (init, seed), error in failed.items())
    return Trained(rows=rows, curves=curves, outcomes=outcomes, failures=failures, errors=errors)


def same_start(pair: Pair, cell: Cell, seeds: int, look: Callable[[Cell], str | None]) -> float:
    """Return the share of seeds for which both sides give a network the same bits throughout.

    ``look``: ``start_of``, which may remember what it saw.
    """
    equal = 0
    for seed in range(seeds):
        a, b = (look(replace(cell, init=str(spec), seed=seed)) for spec in (pair.a, pair.b))
        equal += a is not None and a == b
    return equal / seeds


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


def _refusal(spec: InitSpec, axes: Mapping[str, Any]) -> str:
    """Return why a grid takes no such initialiser, empty where it does."""
    try:
        Grid(**axes, init=str(spec))
    except InitBenchError as reason:
        return str(reason).strip().removeprefix("init: ")
    return ""


def _run(
    pairs: Iterable[Pair],
    axes: Mapping[str, Any],
    seeds: int,
    out: Path,
    device: str,
    progress: bool,
) -> Results | None:
    names = list(dict.fromkeys(str(spec) for pair in pairs for spec in (pair.a, pair.b)))
    if not names:
        return None
    grid = Grid(**axes, init=names, seed=range(seeds))
    return run(grid, out, device=device, progress=progress)


def _outcomes(results: Results) -> pd.DataFrame:
    """Return a row per cell with its status and both losses, nan where it diverged."""
    mean = results.curves.astype({"loss": np.float64}).groupby("key")["loss"].mean()
    cells = results.cells[["key", "init", "seed", "status", "final_loss"]].copy()
    cells["mean_loss"] = cells["key"].map(mean).where(cells["status"] == "ok")
    return cells.drop(columns="key")


def _paired_rows(pair: Pair, outcomes: pd.DataFrame, row: partial[Row]) -> Iterator[Row]:
    a, b = (outcomes[outcomes["init"] == str(s)].set_index("seed") for s in (pair.a, pair.b))
    for name in LOSSES:
        column = name.replace(" ", "_")
        differences = (a[column] - b[column]).dropna()
        low, high = bootstrap_interval(differences)
        yield row(
            quantity=name,
            value=float(differences.mean()),
            low=low,
            high=high,
            p=sign_flip_p(differences),
            n=len(differences),
            note=_levels(a[column], b[column]) if len(differences) else "no seed trained on both",
        )
    gone = [side["status"] == "diverged" for side in (a, b)]
    yield row(
        quantity="diverged",
        value=float(gone[0].mean() - gone[1].mean()),
        p=_mcnemar(gone[0], gone[1]),
        n=len(a),
        note=f"a: {gone[0].sum()} of {len(a)} seeds, b: {gone[1].sum()} of {len(b)}",
    )


def _mcnemar(a: pd.Series, b: pd.Series) -> float:
    """Return the exact p-value of as many seeds diverging on one side alone as on the other."""
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if not (a.any() or b.any()):
        return math.nan
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def _levels(a: pd.Series, b: pd.Series) -> str:
    return f"a: {a.mean():.4g}, b: {b.mean():.4g}"


def _setting(axes: Mapping[str, Any]) -> str:
    cell = cell_of(axes)
    return (
        f"{cell.dataset} {cell.model} width {cell.width} depth {cell.depth} {cell.activation}, "
        f"{cell.optimizer} lr {cell.lr:g}, {cell.steps} steps"
    )


def _errors(failure: Path) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield (init, seed) of each cell that a failure file names, and why it failed."""
    told = json.loads(failure.read_text())
    for cell in told["cells"]:
        yield (cell["init"], cell["seed"]), told["error"]
