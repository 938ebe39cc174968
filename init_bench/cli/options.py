"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from init_bench.errors import InitBenchError

DEFAULT_INPUT = "8,3,224,224"


EXECUTORS = ("local", "serial")
"""Names that --help shows of the executors' menu, which would load torch; a test compares them."""


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


Out = Annotated[
    Path, typer.Option(help="Folder of the run. If it holds an earlier run, that is resumed.")
]


Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1, mps and so on.")]


Executor = Annotated[
    str,
    typer.Option(
        metavar=f"[{'|'.join(EXECUTORS)}]",
        help="How chunks of the grid are trained; 'init-bench list executors' explains each.",
    ),
]


Workers = Annotated[
    int | None, typer.Option(help="Number of worker threads. Default: one per CPU core.")
]


Shard = Annotated[
    str | None,
    typer.Option(
        metavar="i/n",
        help="Train the i-th of n shares of the grid, counted from 1. slurm/n takes i from "
        "$SLURM_ARRAY_TASK_ID.",
    ),
]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON records and nothing else.")]


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FACTORY",
        help="Function that builds the model, such as torchvision.models:resnet18.",
    ),
]


Inputs = Annotated[
    list[str],
    typer.Option(
        "--input",
        help="Sizes and, if not float32, type of an input, such as 8,128:int64. "
        "Repeat it for a model of several inputs.",
    ),
]
