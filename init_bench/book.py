"""The main job: every figure of the book's section 6.2, with a verdict for each of its claims."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.claims import CLAIMS, gradient_profile, judge
from init_bench.devices import resolve_device
from init_bench.errors import InitBenchError, lookup
from init_bench.figures.saving import save
from init_bench.first_look import first_look
from init_bench.grid import Grid
from init_bench.models import mlp
from init_bench.recording import capture
from init_bench.running import manifest, run
from init_bench.store import Results, Store, write_whole

Frames = dict[str, pd.DataFrame]
THREE = ("normal(std=0.01)", "lecun_normal", "he_normal")
EQUAL = ("zeros", "constant(value=0.01)")


@dataclass(frozen=True)
class BookFigure:
    """One figure of the section: how it is drawn, if at all, and the tables it needs."""

    draw: Callable[[Frames], Figure] | None
    needs: tuple[str, ...] = ()


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


def _histograms(activation: str, inits: Collection[str], caption: str) -> BookFigure:
    def draw(frames: Frames) -> Figure:
        rows = frames["histograms"]
        chosen = rows[(rows["activation"] == activation) & rows["init"].isin(inits)]
        return figures.activation_histograms(chosen, caption=caption)

    return BookFigure(draw, ("histograms", "look"))


def _draw_losses(frames: Frames) -> Figure:
    rows = frames["curves"]
    chosen = rows[(rows["activation"] == "relu") & rows["init"].isin(THREE)]
    steps = chosen["step"].max() + 1
    return figures.loss_curves(
        _in_order(chosen, THREE),
        caption="Figure 6-15. Training loss on MNIST of a 784-100-100-100-100-10 MLP with ReLU, "
        f"SGD, lr 0.01, batch 128, {steps} steps, zero biases. The book: std 0.01 learns "
        'nothing, "Xavier" (1/√n, our lecun_normal) and He learn, He faster.',
    )


def _draw_symmetry(frames: Frames) -> Figure:
    inits = (*EQUAL, "he_normal")
    layers, curves = (
        _in_order(f[(f["activation"] == "relu") & f["init"].isin(inits)], inits)
        for f in (frames["layers"], frames["curves"])
    )
    hidden = layers[(layers["kind"] == "weight") & (layers["layer"] != "fc5")]
    return figures.symmetry(
        hidden,
        curves,
        caption="Zero and equal weights against random ones, the network of figure 6-15. Left: "
        "different rows of a hidden layer's weights (equal to 1e-5 counts as the same). The book: "
        "every unit of a layer gets the same update, so the units stay copies of one another. "
        "Measured: with equal weights the loss falls a little, as far as one unit per layer can.",
    )


def _draw_gradients(frames: Frames) -> Figure:
    profile = gradient_profile(frames["layers"])
    # With zero weights the gradient is 0, which a log axis cannot show.
    chosen = profile[~profile["init"].isin(EQUAL)]
    return figures.gradients(
        _in_order(chosen, ("normal(std=1)", *THREE)),
        caption="RMS over 512 MNIST samples and units of the gradient of the mean loss with "
        "respect to each hidden activation, before training. The book: N(0, 1) weights saturate "
        "sigmoid, so gradients vanish. Measured: for std 1 the gradient stays level from layer to "
        "layer, as large weights make up for small φ'; it does vanish for std 0.01 and 1/√n.",
    )


def _draw_expressiveness(frames: Frames) -> Figure:
    look = frames["look"]
    return figures.expressiveness(
        _in_order(look[look["init"].isin(THREE)], THREE),
        caption="Spread of the activations that depends on the input (sample_std), five layers "
        "of 100 units, N(0, 1) input. The book: with N(0, 0.01²) all units say nearly the same. "
        "Sigmoid's sample_std falls for 1/√n (the book's \"Xavier\") too, though its std does not.",
    )


def _in_order(frame: pd.DataFrame, inits: Collection[str]) -> pd.DataFrame:
    """Return the rows with the initialisers in the order of the section."""
    order = {init: position for position, init in enumerate(inits)}
    return frame.sort_values("init", key=lambda names: names.map(order), kind="stable")


_SETTING = "Activations of five layers of 100 units, 1000 samples of N(0, 1) input."
_RANGES = "Left: the book's range, which leaves out what lies outside (0, 1); right: all of it."
_XAVIER = '"Xavier" in the book is 1/√n: lecun_normal.'
FIGURES: dict[str, BookFigure] = {
    "6-10": _histograms(
        "sigmoid",
        ("normal(std=1)",),
        f"Figure 6-10. {_SETTING} Sigmoid, weights N(0, 1). The book: they pile up at 0 and 1.",
    ),
    "6-11": _histograms(
        "sigmoid",
        ("normal(std=0.01)",),
        f"Figure 6-11. {_SETTING} Sigmoid, weights N(0, 0.01²). The book: all near 0.5, so all "
        "units say nearly the same.",
    ),
    "6-13": _histograms(
        "sigmoid",
        ("lecun_normal",),
        f"Figure 6-13. {_SETTING} Sigmoid, weights of std 1/√n. {_XAVIER} The book: well spread. "
        "Mind sample_std, the part of the spread that depends on the input.",
    ),
    "6-14": _histograms(
        "relu",
        THREE,
        f"Figure 6-14. {_SETTING} ReLU. {_RANGES} {_XAVIER} The book: std 0.01 "
        "hardly passes anything on, 1/√n shrinks layer by layer, He stays level.",
    ),
    "6-14-tanh": _histograms(
        "tanh",
        THREE,
        f"The book's exercise to figure 6-14: tanh. {_SETTING} {_RANGES} {_XAVIER} "
        "1/√n keeps tanh spread, He saturates it a little, std 0.01 dies out.",
    ),
    "6-15": BookFigure(_draw_losses, ("cells", "curves")),
    "symmetry": BookFigure(_draw_symmetry, ("cells", "curves", "layers")),
    "gradients": BookFigure(_draw_gradients, ("cells", "layers")),
    "expressiveness": BookFigure(_draw_expressiveness, ("look",)),
    "neuron": BookFigure(draw=None),
}
