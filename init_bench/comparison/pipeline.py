"""The job of a comparison: draws, training and time of each pair, with a verdict in words."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from init_bench.comparison.draws import distribution_rows, quantiles
from init_bench.comparison.network_draws import fills_networks, layer_quantiles, layer_rows
from init_bench.comparison.pairs import Pair, pairs_of, without_counterpart
from init_bench.comparison.result import Comparison
from init_bench.comparison.timing import network_speed_rows, speed_rows
from init_bench.comparison.training import cell_of, seeds_by_default, train
from init_bench.comparison.verdicts import judge, verdict_of
from init_bench.errors import check_int
from init_bench.figures.export import save
from init_bench.files import write_whole
from init_bench.training.cell import Cell
from init_bench.training.devices import resolve_device
from init_bench.training.manifest import manifest
from init_bench.training.store import Store

STEPS = 300
"""Steps of a run unless given: enough for the book's network to tell its initialisers apart."""


def compare(
    *names: str,
    out: str | Path | None = None,
    seeds: int | None = None,
    device: str = "auto",
    progress: bool = True,
    **axes: Any,
) -> Comparison:
    """Compare initialisers: do they draw the same, train the same, and how fast is each?

    *Draws*: bits from the same generator; entries by two-sample Kolmogorov-Smirnov, standard
    deviation and spectrum over whole weights, moments against the distribution each states, on
    square, tall, wide and convolutional weights. *Training*: final loss and mean loss (the area
    under the curve over its steps), paired over seeds that see the same minibatches, with 95 %
    bootstrap intervals and sign-flip tests; diverged seeds are counted, never dropped unsaid.
    *Speed*: time of a fill, in turn. Holm's adjustment keeps the chance of any false "differs"
    below 0.001 among all tests of draws and below 0.05 among all tests of training. An
    initialiser of a whole network is compared on the network that is trained, layer by layer.

    Args:
        names: specs of initialisers. None: each of ours against torch's counterpart; one: that
            one against its counterpart; several: every two of them.
        out: folder for the runs, ``comparison.parquet`` and ``figures/compare.png`` and ``.svg``;
            a second call goes on there. ``None``: nothing is kept.
        seeds: seeds 0 … seeds - 1. A sign-flip test of n seeds has no p below 2/2ⁿ, so 5 seeds
            can never tell a difference at 0.05; ``None`` is 10, or as many as Holm's adjustment
            needs for so many pairs.
        device: trains there (``auto``, ``cpu``, ``cuda`` …); weights are drawn on the CPU.
        progress: show what is going on.
        axes: what is trained, as in ``Grid``, one value each: ``activation``, ``lr``, ``width``,
            ``depth``, ``steps`` (300 unless given), ``optimizer``, ``dataset`` … By default the
            book's network.

    Raises:
        InitBenchError: a bad name, axis, number of seeds, device or folder, before any work.

    Example:
        >>> found = compare("he_normal", "torch.kaiming_normal",
        ...                 seeds=2, steps=5, width=16, depth=2, device="cpu", progress=False)
        >>> found.verdicts
        {'he_normal vs torch.kaiming_normal': 'the same bits'}
    """
    pairs = pairs_of(names)
    axes = {"steps": STEPS} | axes
    cell = cell_of(axes)
    target = resolve_device(device)
    seeds = seeds_by_default(len(pairs)) if seeds is None else check_int(seeds, "seeds", minimum=1)
    with _folder(out) as folder:
        store = Store(folder)
        if store.manifest() is None:
            store.open(manifest([], target, {}))
        networks = [pair for pair in pairs if fills_networks(pair)]
        single = [pair for pair in pairs if pair not in networks]
        drawn = [*distribution_rows(single), *layer_rows(networks, cell)]
        timed = [*speed_rows(single), *network_speed_rows(networks, cell)]
        trained = train(pairs, axes, seeds=seeds, out=folder, device=device, progress=progress)
        table = judge(pairs, [*drawn, *trained.rows, *timed])
        found = Comparison(
            table=table,
            verdicts={str(p): verdict_of(table[table["pair"] == str(p)]) for p in pairs},
            quantiles=_quantiles(pairs[0], cell) if len(pairs) == 1 else pd.DataFrame(),
            curves=trained.curves,
            outcomes=trained.outcomes,
            left_out=() if names else without_counterpart(),
            folder=folder if out is not None else None,
            failures=trained.failures if out is not None else (),
            errors=trained.errors,
        )
        if out is not None:
            write_whole(folder / "comparison.parquet", table.to_parquet)
            save(found.figure(), folder, "compare")
    return found


def _quantiles(pair: Pair, cell: Cell) -> pd.DataFrame:
    return layer_quantiles(pair, cell) if fills_networks(pair) else quantiles(pair)


@contextlib.contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """Give the folder of the run, a temporary one where nothing is to be kept."""
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="init_bench-") as name:
        yield Path(name)
