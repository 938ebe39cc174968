"""Reproduce every figure of the book's section 6.2, with a verdict for each of its claims."""

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from init_bench import datasets
from init_bench.errors import InitBenchError, lookup
from init_bench.figures.export import images_of
from init_bench.files import write_atomic, write_files
from init_bench.hooks.record import capture
from init_bench.models import mlp
from init_bench.reproduction.book.claims import CLAIMS, RATE_SEEDS, RATES
from init_bench.reproduction.book.figures import EQUAL, FIGURES, THREE, BookFigure, Frames
from init_bench.reproduction.book.initial_activations import measure_initial_activations
from init_bench.reproduction.book.loss_after_update import first_noted, losses_around_updates
from init_bench.reproduction.book.result import STEPS, Book
from init_bench.reproduction.claim_verdicts import judge
from init_bench.training.devices import resolve_device
from init_bench.training.engine.kept_weights import weights_kept
from init_bench.training.grid import Grid
from init_bench.training.manifest import manifest
from init_bench.training.pipeline import run
from init_bench.training.results import Results
from init_bench.training.seeds_argument import seeds_from
from init_bench.training.store import Store

NOTED = ("lecun_normal", "he_normal")
"""Initializers whose losses after the update are noted as well, with ReLU."""


FILES = {"histograms": "histograms", "initial_layers": "look", "loss_after": "loss_after_update"}
"""Names of the stored tables beside those of the training runs."""


def reproduce_book(
    out: str | Path = "results/book",
    *,
    only: Collection[str] = (),
    seeds: int | Iterable[int] = 5,
    steps: int = STEPS,
    device: str = "auto",
    progress: bool = True,
) -> Book:
    """Reproduce the section's figures and judge its claims; continue where an earlier call stopped.

    Args:
        out: folder of the run.
        only: names of figures (``6-10`` …); empty is all. Claims whose tables are not made are
            left out.
        seeds: seeds of everything: a count (0 … n-1), or the seeds themselves.
        steps: SGD steps of the training runs.
        device, progress: as in ``run``.

    Raises:
        InitBenchError: an unknown figure, no seeds, ``steps`` below 1, a bad device or folder.

    Example:
        >>> reproduce_book(only=["6-99"])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: unknown figure '6-99'...
    """
    wanted = {name: lookup(FIGURES, name, kind="figure") for name in (only or FIGURES)}
    if steps < 1:
        raise InitBenchError(f"steps must be at least 1, got {steps}")
    folder, target, numbers = Path(out), resolve_device(device), seeds_from(seeds)
    store = Store(folder)
    needs = {need for figure in wanted.values() for need in figure.needs}
    # Before training: what it allocates is free again by the time that the data is in memory.
    frames = {"neuron": _neuron(), **_initial_frames(needs, numbers)}
    if needs & {"cells", "curves", "layers"}:
        trained, failures = _train(needs, numbers, steps, folder, device, progress)
        if failures:
            return Book(judge([], {}), folder, failures=failures)
        frames |= trained
    if store.manifest() is None:
        store.open(manifest([], target, {}))
    claims = judge([c for c in CLAIMS if not only or c.figure in wanted], frames, steps)
    return Book(claims, folder, _save(claims, wanted, frames, folder))


def reproduce(*args: Any, **options: Any) -> Book:
    """Call ``reproduce_book``, the new name of this function."""
    warnings.warn("reproduce is now reproduce_book", FutureWarning, stacklevel=2)
    return reproduce_book(*args, **options)


def _initial_frames(needs: Collection[str], seeds: Sequence[int]) -> Frames:
    """Return the tables of five layers before training, if any of them is needed."""
    if not {"histograms", "initial_layers"} & set(needs):
        return {}
    histograms, layers = measure_initial_activations(seeds)
    return {"histograms": histograms, "initial_layers": layers}


def _train(
    needs: Collection[str],
    seeds: Sequence[int],
    steps: int,
    folder: Path,
    device: str,
    progress: bool,
) -> tuple[Frames, tuple[Path, ...]]:
    """Return the tables of the trained cells, and the files about failures.

    ``rates`` has the sigmoid cells at several learning rates, all others the cells at the book's.
    """
    relu, sigmoid, rates = grids = _grids(seeds, steps)
    noted = [cell for cell in relu.cells if cell.init in NOTED and "loss_after" in needs]
    with weights_kept([cell.key for cell in noted], first_noted(steps)) as kept:
        results = run(grids, folder, device=device, progress=progress)
    if results.failures:
        return {}, results.failures
    frames = {}
    if noted:
        frames["loss_after"] = losses_around_updates(noted, resolve_device(device), kept.states)
    datasets.release()  # else the peak of memory is after training: 0.2 GB of images, and pictures
    book = results.of_cells({cell.key for grid in (relu, sigmoid) for cell in grid.cells})
    frames |= {
        "cells": book.cells,
        "curves": _curves(book),
        "layers": book.layers,
        "rates": results.of_cells({cell.key for cell in rates.cells}).cells,
    }
    return frames, ()


def _grids(seeds: Sequence[int], steps: int) -> list[Grid]:
    """Return the grids of ReLU, of sigmoid, and of sigmoid at several learning rates."""
    captured = tuple(sorted({0, steps // 20, steps // 4, steps // 2, steps}))
    relu = Grid(init=(*THREE, *EQUAL), seed=seeds, steps=steps, capture_at=captured)
    std_1 = "normal(std=1)"
    sigmoid = Grid(init=(std_1, *THREE), activation="sigmoid", seed=seeds, steps=steps)
    rates = Grid(
        init=(std_1, "lecun_normal"),
        activation="sigmoid",
        lr=RATES,
        seed=seeds[:RATE_SEEDS],
        steps=steps,
    )
    return [relu, sigmoid, rates]


def _curves(results: Results) -> pd.DataFrame:
    """Return the columns of the curves that figures and claims read, to save memory."""
    columns = ["init", "activation", "seed", "step", "loss"]
    rows: pd.DataFrame = results.scan("curves", columns=columns).to_table().to_pandas()
    return rows.sort_values(columns[:-1], ignore_index=True)


def _save(
    claims: pd.DataFrame, wanted: Mapping[str, BookFigure], frames: Frames, folder: Path
) -> tuple[Path, ...]:
    """Write figures, claims and the tables of ``FILES`` into the folder; return the PNGs' paths."""
    paths = [
        path
        for name, figure in wanted.items()
        if figure.draw
        for path in write_files(folder / "figures", images_of(figure.draw(frames), name))
    ]
    tables = {"claims": _with_earlier(claims, folder / "claims.parquet")}
    tables |= {file: frames[name] for name, file in FILES.items() if name in frames}
    for file, table in tables.items():
        write_atomic(folder / f"{file}.parquet", table.to_parquet)
    return tuple(path for path in paths if path.suffix == ".png")


def _with_earlier(claims: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return ``claims`` after the stored ones that ``only`` left out, so that none is lost."""
    if not path.is_file():
        return claims
    earlier = pd.read_parquet(path)
    kept = earlier[~earlier["claim"].isin(claims["claim"])]
    parts = [part for part in (kept, claims) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else claims


def _neuron() -> pd.DataFrame:
    """Return the book's worked example, measured by ``capture`` as everything else."""
    neuron = mlp(3, 1, 1, 2, "tanh")[:2]
    with torch.no_grad():
        neuron.get_parameter("fc1.weight").copy_(torch.tensor([[0.4, 0.5, 0.6]]))
        neuron.get_parameter("fc1.bias").zero_()
        with capture(neuron, keep=True) as record:
            neuron(torch.tensor([[0.1, 0.2, 0.3]]))
    return pd.DataFrame({"a": [record["fc1"].item()], "z": [record["act1"].item()]})
