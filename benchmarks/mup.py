"""Check what μP and CompleteP promise, and measure whether rates transfer.

``python -m benchmarks.mup`` writes ``results/mup.csv`` and ``results/mup.md``.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pandas as pd
import torch
from scipy.special import stdtrit
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.mup_networks import GPT, ViT, perceptron
from init_bench import Grid, coord_check, run
from init_bench.diagnosis.width_slopes import IN_BLOCK
from init_bench.hooks.random_streams import stream

WIDTHS, WIDER, DEPTHS = (64, 128, 256), (256, 512, 1024), (2, 4, 8)
MUP = "mup(base_width=64, start='lecun_normal', zero_readout=True)"
COMPLETEP = "completep(base_width=64, base_depth=2, start='lecun_normal', zero_readout=True)"
RATES = tuple(2.0**k for k in range(-11, -4))
NARROW, WIDE = 64, 512
TRAINED = ("torch.default", f"mup(base_width={NARROW}, zero_readout=True)")
STEPS, AVERAGED = 60, 15
"""Updates of a training, and the last of them whose mean loss counts."""


NOTE = (
    "The intervals of a row hold at once (Bonferroni over its layers). Over depth the layers "
    "before and after the blocks are judged: each of L blocks moves 1/L of the stream by "
    "CompleteP's design. Not all intervals hold 0: slopes within ±0.2 count as independent, and "
    "the law is one of wide networks, whose slopes are nearer to 0 (the rows of larger widths)."
)
"""What to know of the slopes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="of the coordinate checks")
    parser.add_argument("--keep-losses", action="store_true", help="those of the last results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = _kept_losses() if given.keep_losses else _losses()
    for rows in _slopes(given.seeds):
        found = pd.concat([found, pd.DataFrame(rows)])
        save(found, "mup")
        page = _page(found[found["what"] == "slope"], found[found["what"] == "loss"], given.seeds)
        (RESULTS / "mup.md").write_text(page)
        print(page, flush=True)


def _slopes(seeds: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each network, one per layer, with torch's default or with the law."""
    draws = stream(0, "mup")
    x, y = torch.randn(32, 64, generator=draws), torch.randint(10, (32,), generator=draws)
    images, classes = torch.randn(8, 1, 28, 28, generator=draws), y[:8]
    tokens = torch.randint(50, (8, 9), generator=draws)
    networks: dict[str, tuple[Callable[..., nn.Module], tuple[Tensor, Tensor]]] = {
        "MLP": (perceptron, (x, y)),
        "GPT": (partial(GPT, depth=1), (tokens[:, :-1], tokens[:, 1:])),
        "ViT": (partial(ViT, depth=1), (images, classes)),
    }
    for name, (factory, batch) in networks.items():
        for widths in (WIDTHS, WIDER):
            for init in ("torch.default", MUP):
                yield list(_checked(name, factory, batch, init, seeds, widths, None))
    for init in ("torch.default", COMPLETEP):
        batch = networks["GPT"][1]
        yield list(_checked("GPT", GPT, batch, init, seeds, (64,), DEPTHS))


def _checked(
    name: str,
    factory: Callable[..., nn.Module],
    batch: tuple[Tensor, Tensor],
    init: str,
    seeds: int,
    widths: tuple[int, ...],
    depths: tuple[int, ...] | None,
) -> Iterator[dict[str, Any]]:
    check = coord_check(
        factory,
        widths,
        batch,
        loss_fn=_cross_entropy,
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=1e-3),
        seeds=seeds,
        steps=4,
        depths=depths,
        init=init,
    )
    slopes = check.slopes[check.slopes["verdict"] != IN_BLOCK].drop(
        columns=["low", "high", "index"]
    )
    wider = _widening(len(slopes), seeds)
    sizes = f"{depths or widths}"
    rows: list[dict[str, Any]]
    rows = slopes.drop(columns=["low", "high", "index"]).to_dict("records")  # type: ignore[assignment]
    for row in rows:
        holds = abs(row["slope"]) <= wider * (row["ci_high"] - row["slope"])
        yield {
            "what": "slope",
            "network": name,
            "init": init,
            "sizes": sizes,
            **row,
            "holds_0": holds,
        }


def _widening(layers: int, seeds: int) -> float:
    """Return how many times as wide intervals are that hold for all layers at once."""
    return float(stdtrit(seeds - 1, 1 - 0.025 / layers) / stdtrit(seeds - 1, 0.975))


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def _losses() -> pd.DataFrame:
    """Return the mean loss at the end of training on MNIST, by width, initializer and rate."""
    shape: dict[str, Any] = {"depth": 4, "optimizer": "adam", "batch_size": 64, "steps": STEPS}
    grid = Grid(
        width=[NARROW, WIDE],
        init=TRAINED,
        lr=RATES,
        seed=range(2),
        capture_at=[STEPS + 1],
        **shape,
    )
    with tempfile.TemporaryDirectory() as folder:
        curves = run(grid, out=folder, device="cpu", workers=1).curves
    last = curves[curves["step"] >= STEPS - AVERAGED]
    mean = last.groupby(["width", "init", "lr"])["loss"].mean().reset_index()
    return mean.assign(what="loss", network="MNIST MLP")


def _kept_losses() -> pd.DataFrame:
    kept = pd.read_csv(RESULTS / "mup.csv")
    columns = ["width", "init", "lr", "loss", "what", "network"]
    return kept.loc[kept["what"] == "loss", columns]


def _page(slopes: pd.DataFrame, losses: pd.DataFrame, seeds: int) -> str:
    """Return both results as Markdown."""
    lines = [
        "Made by `python -m benchmarks.mup`. AdamW at rate 0.001, four steps on one batch, "
        f"{seeds} seeds; widths with one block, depths at width 64.",
        "",
        "| network | over | init | layers | intervals that hold 0 | slopes | independent |",
        "|---|---|---|---|---|---|---|",
    ]
    by = ["network", "over", "sizes", "init"]
    for (network, over, sizes, init), part in slopes.groupby(by, sort=False):
        slope = part["slope"]
        counts = [len(part), part["holds_0"].sum(), f"{slope.min():.2f} to {slope.max():.2f}"]
        counts.append(part["verdict"].str.endswith("independent").sum())
        lines.append(f"| {network} | {over} {sizes} | `{init}` | {' | '.join(map(str, counts))} |")
    how = f"Best rate of Adam, MNIST, {STEPS} steps of an MLP of 4 layers, 2 seeds:"
    lines += ["", NOTE, "", how, ""]
    lines += ["| init | width | best rate | loss there |", "|---|---|---|---|"]
    for (init, width), part in losses.astype({"width": int}).groupby(["init", "width"], sort=False):
        best = part.sort_values("loss").iloc[0]
        lines.append(f"| `{init}` | {width} | {best['lr']:g} | {best['loss']:.4f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
