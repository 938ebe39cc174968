"""Check what μP and CompleteP promise, and measure whether rates transfer.

``python -m benchmarks.mup`` writes ``results/mup.csv`` and ``results/mup.md``.
"""

import argparse
import tempfile
from typing import Any

import pandas as pd
import torch

from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.mup_slopes import EQUIVALENT, measured
from init_bench import Grid, run

RATES = tuple(2.0**k for k in range(-11, -4))
NARROW, WIDE = 64, 512
TRAINED = ("torch.default", f"mup(base_width={NARROW}, zero_readout=True)")
STEPS, AVERAGED = 60, 15
"""Updates of a training, and the last of them whose mean loss counts."""


NOTE = (
    "*Hold 0*: of how many layers the interval does, all intervals of a row at once (Bonferroni "
    f"over its layers). *Within ±{EQUIVALENT:g}*: of how many the 95 % interval is. "
    "*Independent*: by `coord_check`, whose limit is ±0.2. Over depth the layers before and after "
    "the blocks are judged: each of L blocks moves 1/L of the stream by CompleteP's design."
)
"""How to read the slopes."""


LIMIT = (
    "The laws are laws of wide and deep networks. A step of a finite one has a rest that differs "
    "from seed to seed and falls as 1/√width (`tests/init/module_inits/test_mup.py` measures it), "
    "so a narrow network moves a little more; and the stream of a shallow one starts larger than "
    "that of a deep one, which the last norm divides by. So slopes differ from 0 at small sizes, "
    "and by less and less (rows of larger sizes). To see what is left, a second fit has a term "
    "for this, log change = c + s log size + b / size, over all sizes of a network; its s:"
)
"""What the second table shows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="of the coordinate checks")
    parser.add_argument("--keep-losses", action="store_true", help="those of the last results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = _kept_losses() if given.keep_losses else _losses()
    for rows in measured(given.seeds):
        found = pd.concat([found, pd.DataFrame(rows)])
        save(found, "mup")
        page = _page(found, given.seeds)
        (RESULTS / "mup.md").write_text(page)
        print(page, flush=True)


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


def _page(found: pd.DataFrame, seeds: int) -> str:
    """Return slopes and losses as Markdown."""
    parts = {what: found[found["what"] == what] for what in ("slope", "limit", "loss")}
    lines = [
        "Made by `python -m benchmarks.mup`. AdamW at rate 0.001, four steps on one batch, "
        f"{seeds} seeds; widths with one block, depths at width 64.",
        "",
        *_table(parts["slope"]),
        *("", NOTE, "", LIMIT, ""),
        *_table(parts["limit"]),
        *("", f"Best rate of Adam, MNIST, {STEPS} steps of an MLP of 4 layers, 2 seeds:", ""),
        *("| init | width | best rate | loss there |", "|---|---|---|---|"),
    ]
    losses = parts["loss"].astype({"width": int})
    for (init, width), part in losses.groupby(["init", "width"], sort=False):
        best = part.sort_values("loss").iloc[0]
        lines.append(f"| `{init}` | {width} | {best['lr']:g} | {best['loss']:.4f} |")
    return "\n".join(lines) + "\n"


def _table(slopes: pd.DataFrame) -> list[str]:
    """Return a row for each network, sweep of sizes and initializer."""
    judged = bool(slopes["verdict"].notna().any())
    heads = ["network", "over", "init", "layers", "hold 0", f"within ±{EQUIVALENT:g}", "slopes"]
    heads += ["independent"] if judged else []
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    by = ["network", "over", "sizes", "init"]
    for (network, over, sizes, init), part in slopes.groupby(by, sort=False):
        slope = part["slope"]
        cells = [network, f"{over} {sizes}", f"`{init}`", len(part), part["holds_0"].sum()]
        cells += [part["equivalent_to_0"].sum(), f"{slope.min():.3f} to {slope.max():.3f}"]
        if judged:
            cells.append(part["verdict"].str.endswith("independent").sum())
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


if __name__ == "__main__":
    main()
