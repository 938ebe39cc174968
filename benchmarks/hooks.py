"""What a look costs on top of the forward pass it looks at. ``python -m benchmarks.hooks``"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.turns import in_turns, ratios, save, summary
from init_bench.recording import capture


def _convolutional() -> nn.Module:
    from torchvision.models import resnet18

    model: nn.Module = resnet18().eval()
    return model


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "book MLP, 512 samples": (peers.book_mlp, (512, 784)),
    "book MLP, 10 000 samples": (peers.book_mlp, (10_000, 784)),
    "MLP of width 1000, 1024 samples": (lambda: _wide(), (1024, 784)),
    "ResNet-18, 8 x 3 x 224 x 224": (_convolutional, (8, 3, 224, 224)),
}


def _wide() -> nn.Module:
    from init_bench.models import mlp

    return mlp(784, 10, width=1000, depth=5, activation="relu")


def plain(model: nn.Module, inputs: Tensor, rounds: int) -> float:
    """Milliseconds of a forward pass."""
    with torch.no_grad():
        model(inputs)
        started = time.perf_counter()
        for _ in range(rounds):
            model(inputs)
    return (time.perf_counter() - started) / rounds * 1e3


def looked_at(model: nn.Module, inputs: Tensor, rounds: int) -> float:
    """Milliseconds of a forward pass with every statistic of every layer."""
    with torch.no_grad():
        started = time.perf_counter()
        for _ in range(rounds):
            with capture(model) as record:
                model(inputs)
            record.table()
    return (time.perf_counter() - started) / rounds * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    contenders: dict[str, Callable[[], float]] = {}
    for name, (make, shape) in NETWORKS.items():
        model, inputs = make(), torch.rand(shape)
        for label, way in (("forward", plain), ("captured", looked_at)):
            contenders[f"{name}: {label}"] = (
                lambda way=way, model=model, inputs=inputs: way(model, inputs, given.rounds)  # type: ignore[misc]
            )
    rows = in_turns(contenders, given.repeats)
    print(summary(rows).round(2).to_string())
    for name in NETWORKS:
        extra = ratios(rows, f"{name}: forward", f"{name}: captured").median() - 1
        print(f"{name}: {extra:+.0%} on top of the forward pass")
    print(save(rows, "hooks"))


if __name__ == "__main__":
    main()
