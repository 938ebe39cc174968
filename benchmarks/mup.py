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
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.mup_networks import GPT, ViT, perceptron
from init_bench import Grid, coord_check, run
from init_bench.randomness import stream

WIDTHS, DEPTHS = (64, 128, 256), (2, 4, 8)
MUP = "mup(base_width=64, start='lecun_normal', zero_readout=True)"
COMPLETEP = "completep(base_width=64, base_depth=2, start='lecun_normal', zero_readout=True)"
RATES = tuple(2.0**k for k in range(-11, -4))
NARROW, WIDE = 64, 512
TRAINED = ("torch.default", f"mup(base_width={NARROW}, zero_readout=True)")
STEPS, AVERAGED = 60, 15
"""Updates of a training, and the last of them whose mean loss counts."""


NOTE = (
    "Over depth a branch's last layer shrinks as 1/depth by CompleteP's design, as it takes over "
    "the multiplier; what a transfer needs is that the end of the stream (`norm`, `head`) does "
    "not follow the depth."
)
"""What to know of the slopes over depth."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="of the coordinate checks")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = _losses()
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
        for init in ("torch.default", MUP):
            yield list(_checked(name, factory, batch, init, seeds, WIDTHS, None))
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
    rows: list[dict[str, Any]]
    rows = check.slopes.drop(columns=["low", "high", "index"]).to_dict("records")  # type: ignore[assignment]
    for row in rows:
        holds = row["ci_low"] <= 0 <= row["ci_high"]
        yield {"what": "slope", "network": name, "init": init, **row, "holds_0": holds}


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


def _page(slopes: pd.DataFrame, losses: pd.DataFrame, seeds: int) -> str:
    """Return both results as Markdown."""
    lines = [
        "Made by `python -m benchmarks.mup`. AdamW at rate 0.001, four steps on one batch, "
        f"{seeds} seeds; widths {WIDTHS} of one block, depths {DEPTHS} at width 64.",
        "",
        "| network | over | init | layers | intervals that hold 0 | slopes | independent |",
        "|---|---|---|---|---|---|---|",
    ]
    for (network, over, init), part in slopes.groupby(["network", "over", "init"], sort=False):
        slope = part["slope"]
        counts = [len(part), part["holds_0"].sum(), f"{slope.min():.2f} to {slope.max():.2f}"]
        counts.append(part["verdict"].str.endswith("independent").sum())
        lines.append(f"| {network} | {over} | `{init}` | {' | '.join(map(str, counts))} |")
    how = f"Best rate of Adam, MNIST, {STEPS} steps of an MLP of 4 layers, 2 seeds:"
    lines += ["", NOTE, "", how, ""]
    lines += ["| init | width | best rate | loss there |", "|---|---|---|---|"]
    for (init, width), part in losses.astype({"width": int}).groupby(["init", "width"], sort=False):
        best = part.sort_values("loss").iloc[0]
        lines.append(f"| `{init}` | {width} | {best['lr']:g} | {best['loss']:.4f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
