"""Measure the time that a capture pass adds to a pass. ``python -m benchmarks.hooks``"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.capture_methods import METHODS, available, torchinfo
from benchmarks.interleaved_timing import interleaved, ratios, save, summary


def _convolutional() -> nn.Module:
    from torchvision.models import resnet18

    model: nn.Module = resnet18().eval()
    return model


def _wide() -> nn.Module:
    from init_bench.models import mlp

    return mlp(784, 10, width=1000, depth=5, activation="relu")


def _residual() -> nn.Module:
    from torchvision.models import resnet50

    model: nn.Module = resnet50()
    return model


FORWARD: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "book MLP, 512 samples": (peers.book_mlp, (512, 784)),
    "book MLP, 10 000 samples": (peers.book_mlp, (10_000, 784)),
    "MLP of width 1000, 1024 samples": (_wide, (1024, 784)),
    "ResNet-18, 8 x 3 x 224 x 224": (_convolutional, (8, 3, 224, 224)),
}
"""Forward passes, measured in one process."""

TRAINED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet-50, 8 x 3 x 224 x 224": (_residual, (8, 3, 224, 224)),
    "book MLP, 512 samples, backward too": (peers.book_mlp, (512, 784)),
}
"""Forward and backward passes, each way in a process of its own, as its peak memory is asked."""

UNABLE = {("ResNet-50, 8 x 3 x 224 x 224", "cockpit's gradient histogram")}
"""BackPACK has no gradients of single samples through batch normalization in training."""


def forward(method: str, model: nn.Module, inputs: Tensor, rounds: int) -> float:
    """Return milliseconds of a forward pass with one capture method."""
    with torch.no_grad():
        model(inputs)
        started = time.perf_counter()
        for _ in range(rounds):
            with METHODS[method](model):
                model(inputs)
    return (time.perf_counter() - started) / rounds * 1e3


def summarized(model: nn.Module, inputs: Tensor, rounds: int) -> float:
    """Milliseconds of torchinfo's summary."""
    started = time.perf_counter()
    for _ in range(rounds):
        torchinfo(model, inputs)
    return (time.perf_counter() - started) / rounds * 1e3


def trained(network: str, method: str, rounds: int) -> dict[str, float]:
    """Time a forward and backward pass with a capture method, and its memory growth."""
    import resource

    torch.manual_seed(0)
    make, shape = TRAINED[network]
    model, inputs, targets = make(), torch.rand(shape), torch.arange(shape[0]) % 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(rounds + 1):
        model.zero_grad()
        started = time.perf_counter()
        with METHODS[method](model):
            nn.functional.cross_entropy(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"ms": sum(times[1:]) / rounds * 1e3, "MB": (after - before) / 1024}


def _forward_rows(repeats: int, rounds: int) -> pd.DataFrame:
    contenders: dict[str, Callable[[], float]] = {}
    for name, (make, shape) in FORWARD.items():
        model, inputs = make(), torch.rand(shape)
        for method in METHODS:
            if available(method) and not method.startswith(("delve", "cockpit")):
                contenders[f"{name}: {method}"] = partial(forward, method, model, inputs, rounds)
        contenders[f"{name}: torchinfo"] = (
            lambda model=model, inputs=inputs: summarized(model, inputs, rounds)  # type: ignore[misc]
        )
    return interleaved(contenders, repeats)


def _trained_rows(repeats: int, rounds: int) -> pd.DataFrame:
    rows = []
    for repeat in range(repeats):
        for name in TRAINED:
            for method in filter(available, METHODS):
                if (name, method) in UNABLE:
                    continue
                command = [sys.executable, "-m", "benchmarks.hooks", "--one", name, method]
                said = subprocess.check_output([*command, "--rounds", str(rounds)], text=True)
                found = json.loads(said.splitlines()[-1])
                rows += [
                    {
                        "contender": f"{name}: {method}",
                        "repeat": repeat,
                        "unit": unit,
                        "value": value,
                    }
                    for unit, value in found.items()
                ]
    return pd.DataFrame(rows)


def _print_ratios(rows: pd.DataFrame, names: list[str], what: str) -> None:
    for name in names:
        plain = f"{name}: plain"
        for contender in rows["contender"].unique():
            if contender.startswith(f"{name}: ") and contender != plain:
                ratio = ratios(rows, plain, contender)
                print(f"{contender}: {ratio.median():.2f} x {what}", end=" ")
                print(f"({ratio.min():.2f} to {ratio.max():.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--one",
        nargs=2,
        metavar=("NETWORK", "METHOD"),
        help="one method on one network, as JSON",
    )
    given = parser.parse_args()
    if given.one:
        network, method = given.one
        print(json.dumps(trained(network, method, given.rounds)))
        return
    shallow = _forward_rows(given.repeats, given.rounds)
    print(summary(shallow).round(2).to_string())
    _print_ratios(shallow, list(FORWARD), "the forward pass")
    deep = _trained_rows(given.repeats, given.rounds)
    for unit, rows in deep.groupby("unit"):
        print(summary(rows).round(1).to_string())
        _print_ratios(rows, list(TRAINED), f"the plain pass, {unit}")
    print(save(pd.concat([shallow.assign(unit="ms"), deep]), "hooks"))


if __name__ == "__main__":
    main()
