"""Compare initializers: draws, training and speed of each pair, with a verdict in words."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Unpack

import pandas as pd

from init_bench.comparison.network_draws import fills_networks, layer_quantiles, layer_rows
from init_bench.comparison.pair_verdicts import judge, verdict_of
from init_bench.comparison.pairs_from_names import Pair, pairs_of, without_counterpart
from init_bench.comparison.result import Comparison
from init_bench.comparison.tensor_draws import distribution_rows, quantiles
from init_bench.comparison.timing import network_speed_rows, speed_rows
from init_bench.comparison.training import train
from init_bench.comparison.training_setting import RunOptions, cell_of, planned_seeds
from init_bench.training.axes import GridAxes
from init_bench.training.cell import Cell
from init_bench.training.devices import resolve_device
from init_bench.training.manifest import manifest
from init_bench.training.store import Store

STEPS = 300
"""Steps of a run unless given: enough for the book's network to tell its initializers apart."""


def compare(
    *names: str,
    out: str | Path | None = None,
    seeds: int | Iterable[int] | Literal["auto"] | None = None,
    device: str = "auto",
    progress: bool = True,
    **axes: Unpack[GridAxes],
) -> Comparison:
    """Compare initializers: do they draw the same, train the same, and how fast is each?

    *Draws*: bits from the same generator; entries by two-sample Kolmogorov-Smirnov; standard
    deviation and spectrum of whole weights; moments against the distribution that each states, on
    square, tall, wide and convolutional weights. *Training*: final loss and mean loss (the area
    under the curve over its steps), paired over seeds that see the same minibatches, with Student's
    95 % intervals and sign-flip tests; diverged seeds are counted and reported. *Speed*:
    time of a fill, both sides in alternation; one side is called faster only where the whole
    interval of the ratio is beyond 10 %. Holm's adjustment keeps the chance of any false
    "differs" below 0.001 among all tests of draws and below 0.05 among all tests of training. An
    initializer of a whole network is compared on the network that is trained, layer by layer.

    Args:
        names: specs of initializers. Several: every two of them are compared; one: it is
            compared with its counterpart in torch; none: all that have a counterpart are.
        out: folder for the runs and for what ``Comparison.save`` writes; a second call there
            trains only what is missing, and replaces an earlier comparison. ``None``: nothing is
            kept.
        seeds: a count, for seeds 0 … count - 1, or the seeds themselves. A sign-flip test of n
            seeds has no p below 2/2ⁿ, so 5 seeds can never show a difference at 0.05; ``None``
            is 10, or as many as Holm's adjustment needs for the number of pairs. ``"auto"`` begins
            with about as many and doubles them, twice at most, for the pairs that differ in
            nothing yet; each of the three looks takes a third of the 0.05.
        device: where to train (``auto``, ``cpu``, ``cuda`` …); weights are drawn on the CPU.
        progress: show a progress line.
        axes: what is trained, as in ``Grid``, one value each: ``activation``, ``lr``, ``width``,
            ``depth``, ``steps`` (300 unless given), ``optimizer``, ``dataset`` … By default the
            book's network.

    Raises:
        InitBenchError: a bad name, axis, number of seeds, device or folder, before any work.

    Example:
        >>> comparison = compare("he_normal", "torch.kaiming_normal",
        ...                      seeds=2, steps=5, width=16, depth=2, device="cpu", progress=False)
        >>> comparison.verdicts
        {'he_normal vs torch.kaiming_normal': 'the same bits'}
    """
    pairs = pairs_of(names)
    setting = {"steps": STEPS, **axes}
    cell = cell_of(setting)
    target = resolve_device(device)
    looks = planned_seeds(seeds, pairs=len(pairs))
    with _folder(out) as folder:
        store = Store(folder)
        if store.manifest() is None:
            store.open(manifest([], target, {}))
        networks = [pair for pair in pairs if fills_networks(pair)]
        single = [pair for pair in pairs if pair not in networks]
        drawn = [*distribution_rows(single), *layer_rows(networks, cell)]
        timed = [*speed_rows(single), *network_speed_rows(networks, cell)]
        options = RunOptions(looks=looks, out=folder, device=device, progress=progress)
        trained = train(pairs, setting, options)
        table = judge(pairs, [*drawn, *trained.rows, *timed], looks=len(looks))
        comparison = Comparison(
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
            comparison.save(folder)
    return comparison


def _quantiles(pair: Pair, cell: Cell) -> pd.DataFrame:
    return layer_quantiles(pair, cell) if fills_networks(pair) else quantiles(pair)


@contextlib.contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """Yield the folder of the run, a temporary one where nothing is to be kept."""
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="init_bench-") as name:
        yield Path(name)
