"""Time training of the book's MLP against peers. ``python -m benchmarks.training``"""

import argparse
import os
from collections.abc import Callable

import pandas as pd

from benchmarks import peers
from benchmarks.interleaved_timing import interleaved, ratios, save, summary

SHARED = "init_bench, 60 cells, 30 per seed"
BOOK = "init_bench, 60 cells, 3 per seed"
OWN = "init_bench, 30 cells, 1 per seed"
THREE = "init_bench, 3 cells of one seed"
LENETS = "init_bench, 16 LeNets"
LOOP = "preloaded loop at its best"
LENET_LOOP = "LeNet, preloaded loop at its best"
PEAK = "dense products at peak"
TARGETS = (
    (SHARED, "DataLoader idiom", 16.0),
    (SHARED, LOOP, 3.0),
    (SHARED, "two processes", 2.1),
    (SHARED, "the book's NumPy", 10.0),
    (SHARED, "JAX vmap + jit + scan", 1.4),
    (SHARED, PEAK, 0.9),
    (BOOK, LOOP, 2.4),
    (OWN, LOOP, 1.7),
    (THREE, LOOP, 1.8),
    (LENETS, LENET_LOOP, 1.0),
    (LENETS, "LeNet, torch.func, 16 models", 1.0),
)


def contenders(device: str, steps: int) -> dict[str, Callable[[], float]]:
    """Return every way to train, as measurements in microseconds per model-step."""
    workers = (os.cpu_count() or 1) if device == "cpu" else 1
    per_group = ((SHARED, 2, 30), (BOOK, 20, 3), (OWN, 30, 1), (THREE, 1, 3))
    mine: dict[str, Callable[[], float]] = {
        name: lambda seeds=seeds, per=per: peers.ours(  # type: ignore[misc]
            peers.cells(seeds, per), steps if seeds * per > 3 else 5 * steps, device, workers
        )
        for name, seeds, per in per_group
    }
    found = mine | {
        "DataLoader idiom": lambda: peers.dataloader_idiom(steps, device),
        LENETS: lambda: peers.ours(peers.lenets(16), steps // 8, device, workers),
        **{
            f"LeNet, preloaded loop, {n} thread{'s' * (n > 1)}": lambda n=n: peers.preloaded_loop(  # type: ignore[misc]
                steps, n, device, peers.image_lenet
            )
            for n in (1, 2)
        },
        "LeNet, torch.func, 16 models": lambda: peers.torch_func(
            16, steps // 20, device, make=peers.image_lenet
        ),
        "preloaded loop, 1 thread": lambda: peers.preloaded_loop(5 * steps, 1, device),
        "preloaded loop, 2 threads": lambda: peers.preloaded_loop(5 * steps, 2, device),
        "torch.func, 30 models": lambda: peers.torch_func(30, steps // 2, device),
        PEAK: lambda: peers.products_at_peak(device, workers),
    }
    if device == "cpu":
        found |= {
            "two processes": lambda: peers.two_processes(5 * steps),
            "the book's NumPy": lambda: peers.numpy_book(steps),
            "JAX vmap + jit + scan": peers.jax_scan(2, 30, steps),
        }
    return found


def with_best_loop(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the preloaded loops at the thread counts whose medians are least."""
    for name in (LOOP, LENET_LOOP):
        loops = rows[rows["contender"].str.startswith(name.replace(" at its best", ","))]
        best = loops.groupby("contender")["value"].median().idxmin()
        rows = pd.concat([rows, loops[loops["contender"] == best].assign(contender=name)])
    return rows


def against_targets(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ratios that have a target: median, least, greatest, and whether it is met."""
    measured = set(rows["contender"])
    table = []
    for ours, peer, target in TARGETS:
        if peer in measured:
            found = ratios(rows, ours, peer)
            table.append(
                {
                    "ours": ours,
                    "peer": peer,
                    "target": target,
                    "ratio": found.median(),
                    "min": found.min(),
                    "max": found.max(),
                    "met": bool(found.median() >= target),
                }
            )
    return pd.DataFrame(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    peers.choose(given.device)
    rows = with_best_loop(interleaved(contenders(given.device, given.steps), given.repeats))
    targets = against_targets(rows)
    print(summary(rows).round(0).to_string(), targets.round(2).to_string(), sep="\n\n")
    suffix = "" if given.device == "cpu" else f"-{given.device.partition(':')[0]}"
    print(save(rows, f"training{suffix}"), save(targets, f"training-targets{suffix}"))


if __name__ == "__main__":
    main()
