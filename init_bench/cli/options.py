"""Options that several verbs share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from init_bench.cli import completion
from init_bench.cli.verb_help import EXECUTOR
from init_bench.errors import InitBenchError
from init_bench.training.seeds_argument import AUTO

DEFAULT_INPUT = "8,3,224,224"


def integers(text: str, option: str, *, minimum: int, example: str) -> list[int]:
    """Return the integers of a comma-separated list.

    Raises:
        InitBenchError: a part is not an integer, or below ``minimum``.

    Example:
        >>> integers("0,10", "--capture-at", minimum=0, example="0,10,100")
        [0, 10]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= minimum for part in parts):
        raise InitBenchError(
            f"{option} must be integers from {minimum}, such as {example}: got {text!r}"
        )
    return [int(part) for part in parts]


def seed_count(text: str, *, minimum: int = 1) -> int | Literal["auto"]:
    """Return the number of seeds, or ``auto``.

    Raises:
        InitBenchError: it is neither, or fewer seeds than ``minimum``.

    Example:
        >>> seed_count("10"), seed_count("auto")
        (10, 'auto')
    """
    if text == AUTO:
        return AUTO
    if not text.isdecimal() or int(text) < minimum:
        raise InitBenchError(
            f"--seeds must be a count of at least {minimum}, such as 10, or auto: got {text!r}"
        )
    return int(text)


Out = Annotated[Path, typer.Option(help="Folder to write to; an earlier run in it is resumed.")]


def inits_option(words: str) -> Any:
    """Return an option that takes initializers, explained by ``words``."""
    return typer.Option(metavar="INIT", autocompletion=completion.inits, help=words)


Device = Annotated[
    str,
    typer.Option(
        autocompletion=completion.devices,
        help="Where to train: cpu, cuda, cuda:1, mps, … or auto, this machine's accelerator if it "
        "has one.",
    ),
]


Executor = Annotated[
    str,
    typer.Option(
        metavar=EXECUTOR,
        help="Where the networks are trained; 'init-bench list executors' explains each.",
    ),
]


Workers = Annotated[
    int | None,
    typer.Option(
        help="Chunks that are trained at once: worker threads, tasks or jobs. Default: one per CPU "
        "core, on a cluster as many as it takes."
    ),
]


ExecutorOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Option of the executor, such as partition=gpu; repeat it for several. "
        "docs/clusters.md lists them.",
    ),
]


ChunkTimeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Stop a chunk that takes longer; it counts as failed."),
]


def executor_options(pairs: Sequence[str] | None, chunk_timeout: float | None) -> dict[str, Any]:
    """Return the options of an executor by name.

    Raises:
        InitBenchError: one is no ``key=value``.

    Example:
        >>> executor_options(["partition=gpu", "setup=export A=1"], 60.0)
        {'partition': 'gpu', 'setup': 'export A=1', 'chunk_timeout': 60.0}
    """
    found: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise InitBenchError(f"--executor-option is KEY=VALUE, such as cpus=4: got {pair!r}")
        found[key] = value
    return found if chunk_timeout is None else {**found, "chunk_timeout": chunk_timeout}


Shard = Annotated[
    str | None,
    typer.Option(
        metavar="i/n",
        help="Train the i-th of n shards of the grid, counted from 1. A shard is made of "
        "whole chunks of up to 10 cells. slurm/n takes i from $SLURM_ARRAY_TASK_ID.",
    ),
]


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes.")
]


AsJson = Annotated[bool, typer.Option("--json", help="Print the table as JSON instead.")]


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FACTORY",
        help="Function without required arguments that builds the model, such as "
        "torchvision.models:resnet18, or mine:net for net() in mine.py.",
    ),
]


WidthModel = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FACTORY",
        help="Function of a width that builds the model, such as mine:net for net(width) in "
        "mine.py.",
    ),
]


Inputs = Annotated[
    list[str],
    typer.Option(
        "--input",
        metavar="SIZES",
        help="Sizes of a random input, the batch first; a type, if it is not float32, follows a "
        "colon: 8,128:int64. Repeat it for a model of several inputs.",
    ),
]
