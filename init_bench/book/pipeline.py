"""The main job: every figure of the book's section 6.2, with a verdict for each of its claims."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from init_bench.book.claims import CLAIMS
from init_bench.book.figures import EQUAL, FIGURES, THREE, BookFigure, Frames
from init_bench.book.initial_activations import first_look
from init_bench.book.verdicts import judge
from init_bench.errors import InitBenchError, lookup
from init_bench.figures.export import save
from init_bench.files import write_whole
from init_bench.hooks.record import capture
from init_bench.models import mlp
from init_bench.training.devices import resolve_device
from init_bench.training.grid import Grid
from init_bench.training.manifest import manifest
from init_bench.training.pipeline import run
from init_bench.training.results import Results
from init_bench.training.store import Store


@dataclass(frozen=True)
class Book:
    """What the job made.

    Attributes:
        claims: a row per claim: value, interval, threshold, verdict.
        folder: where all is stored.
        figures: paths of the PNGs.
        failures: files about chunks that failed.
    """

    claims: pd.DataFrame
    folder: Path
    figures: tuple[Path, ...] = ()
    failures: tuple[Path, ...] = ()


def reproduce(
    out: str | Path = "results/book",
    *,
    only: Collection[str] = (),
    seeds: int = 5,
    steps: int = 2000,
    device: str = "auto",
    progress: bool = True,
) -> Book:
    """Make the section's figures and claims in ``out``; go on where an earlier call stopped.

    Args:
        out: folder of the run.
        only: names of figures (``6-10`` …); empty is all. Claims whose tables are not made are
            left out.
        seeds: seeds 0 … seeds-1 of everything.
        steps: SGD steps of the training runs.
        device, progress: as in ``run``.

    Raises:
        InitBenchError: an unknown figure, ``seeds`` or ``steps`` below 1, a bad device or folder.
    """
    wanted = {name: lookup(FIGURES, name, kind="figure") for name in (only or FIGURES)}
    for name, number in (("seeds", seeds), ("steps", steps)):
        if number < 1:
            raise InitBenchError(f"{name} must be at least 1, got {number}")
    folder, frames = Path(out), {"neuron": _neuron()}
    failures: tuple[Path, ...] = ()
    needs = {need for figure in wanted.values() for need in figure.needs}
    store = Store(folder)
    target = resolve_device(device)
    # Before training: what it allocates is free again by the time that the data is in memory.
    if needs & {"histograms", "look"}:
        frames["histograms"], frames["look"] = first_look(range(seeds))
    if needs & {"cells", "curves", "layers"}:
        training = _train(seeds, steps, folder, device, progress)
        failures = training.failures
        frames |= {kind: getattr(training, kind) for kind in ("cells", "curves", "layers")}
    if failures:
        return Book(pd.DataFrame(), folder, failures=failures)
    if store.manifest() is None:
        store.open(manifest([], target, {}))
    claims = judge([c for c in CLAIMS if not only or c.figure in wanted], frames, steps)
    return Book(claims, folder, _saved(claims, wanted, frames, folder))


def _saved(
    claims: pd.DataFrame, wanted: Mapping[str, BookFigure], frames: Frames, folder: Path
) -> tuple[Path, ...]:
    """Write figures, claims and what was looked at into the folder; return the PNGs' paths."""
    paths = [
        path
        for name, figure in wanted.items()
        if figure.draw
        for path in save(figure.draw(frames), folder, name)
    ]
    tables = {"claims": _with_earlier(claims, folder / "claims.parquet")} | {
        k: frames[k] for k in ("histograms", "look") if k in frames
    }
    for name, table in tables.items():
        write_whole(folder / f"{name}.parquet", table.to_parquet)
    return tuple(path for path in paths if path.suffix == ".png")


def _with_earlier(claims: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return ``claims`` after the stored ones that ``only`` left out: nothing judged is lost."""
    if not path.is_file():
        return claims
    earlier = pd.read_parquet(path)
    kept = earlier[~earlier["claim"].isin(claims["claim"])]
    parts = [part for part in (kept, claims) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else claims


def _train(seeds: int, steps: int, folder: Path, device: str, progress: bool) -> Results:
    """Return the results of the section's training runs: a grid per nonlinearity."""
    looks = tuple(sorted({0, steps // 20, steps // 4, steps // 2, steps}))
    grids = [
        Grid(init=(*THREE, *EQUAL), seed=range(seeds), steps=steps, capture_at=looks),
        Grid(init=("normal(std=1)", *THREE), activation="sigmoid", seed=range(seeds), steps=steps),
    ]
    return run(grids, folder, device=device, progress=progress)


def _neuron() -> pd.DataFrame:
    """Return the worked example, measured by the same capture as everything else."""
    neuron = mlp(3, 1, 1, 2, "tanh")[:2]
    with torch.no_grad():
        neuron.get_parameter("fc1.weight").copy_(torch.tensor([[0.4, 0.5, 0.6]]))
        neuron.get_parameter("fc1.bias").zero_()
        with capture(neuron, keep=True) as record:
            neuron(torch.tensor([[0.1, 0.2, 0.3]]))
    return pd.DataFrame({"a": [record["fc1"].item()], "z": [record["act1"].item()]})
