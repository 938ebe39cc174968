"""Define what an executor is: a function that runs work, and a few facts about it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from init_bench.errors import InitBenchError, lookup
from init_bench.training.cell import Cell
from init_bench.training.progress import ProgressCallback
from init_bench.training.shards import Shard
from init_bench.training.tables import CellResult

T = TypeVar("T")


TrainChunk = Callable[[Sequence[Cell], ProgressCallback], list[CellResult]]
"""Trains the cells of one chunk with one intra-op thread: the same bits anywhere."""


ChunkOutcome = tuple[list[Cell], list[CellResult] | Exception]
"""A chunk and its results, or the error that it ended with."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Hold what a run was told to use.

    Attributes:
        device: kind of device to train on.
        workers: chunks at once; ``None`` leaves it to the executor.
        options: values of the executor's options, those that were given.
    """

    device: str
    workers: int | None
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Hold what jobs need that are drivers of their own and see the folder of the run.

    Attributes:
        folder: of the run.
        train_share: ``train_share((i, n), workers)`` trains what is missing of the i-th of n shares
            of the grid, on so many workers, and stores it. It can be pickled.
        seconds: estimates by a short measurement how long all that is missing takes one core, or
            one accelerator.
    """

    folder: Path
    train_share: Callable[[Shard, int | None], None]
    seconds: Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Work:
    """Hold what an executor is to do.

    Attributes:
        chunks: to be trained.
        train: trains one of them. It can be pickled; in another process, on any machine, it finds
            the device and loads the data anew.
        progress: is told of cell-steps that are done; may raise to stop.
        workers: chunks at once.
        resources: what the caller asked for.
        jobs: what the jobs of an executor that ``stores`` need; others get none.
    """

    chunks: list[list[Cell]]
    train: TrainChunk
    progress: ProgressCallback
    workers: int
    resources: Resources
    jobs: Jobs | None = None


RunChunks = Callable[[Work], Iterator[ChunkOutcome]]
"""Runs the work and yields the outcome of each chunk as it comes."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """Describe an option of an executor.

    Attributes:
        parse: turns text, or the value given in Python, into the option's value; raises
            ``ValueError``.
        help: what the option is.
    """

    parse: Callable[[Any], Any]
    help: str


@contextmanager
def _workers_asked_for(resources: Resources) -> Iterator[int]:
    yield resources.workers or 1


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Describe a way to run the chunks of a grid.

    Attributes:
        run: runs the work.
        parallel: whether it trains several chunks at once. A grid is then cut into at least as
            many chunks as there are workers.
        help: a line about it.
        options: what ``--executor-option`` may set, by name.
        connect: holds the engine while the block runs and yields how many chunks it trains at
            once. It raises an ``InitBenchError`` if the engine is not there: before any work.
        elsewhere: whether the chunks are trained on other machines, by their devices.
        stores: whether its jobs call ``train_share``. Then it yields nothing, calls
            ``progress(0)`` from time to time, and returns when all jobs have ended.
    """

    run: RunChunks
    parallel: bool
    help: str
    options: Mapping[str, Option] = field(default_factory=dict)
    connect: Callable[[Resources], AbstractContextManager[int]] = _workers_asked_for
    elsewhere: bool = False
    stores: bool = False


def outcome_of(work: Callable[[], T]) -> T | Exception:
    """Return what ``work`` returns or raises: an error in one chunk must not stop the others."""
    try:
        return work()
    except Exception as error:
        return error


def number(kind: type[int] | type[float], *, minimum: float) -> Callable[[Any], Any]:
    """Return a parser of numbers of at least ``minimum``.

    Example:
        >>> number(int, minimum=1)("3")
        3
    """

    def parse(value: Any) -> Any:
        name = "a whole number" if kind is int else "a number"
        problem = f"must be {name} of at least {minimum:g}"
        try:
            found = kind(value)
        except (ValueError, TypeError):
            raise ValueError(problem) from None
        cut = not isinstance(value, str) and found != value
        if isinstance(value, bool) or cut or not minimum <= found < math.inf:
            raise ValueError(problem)
        return found

    return parse


def one_of(*words: str) -> Callable[[Any], str]:
    """Return a parser of one of these words.

    Example:
        >>> one_of("slurm", "local")("local")
        'local'
    """

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return str(value)

    return parse


COMMON = {
    "chunk_timeout": Option(
        parse=number(float, minimum=0.01), help="seconds that a chunk may take"
    ),
}
"""Options of every executor."""


def checked_options(name: str, executor: Executor, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options given to an executor, parsed.

    Raises:
        InitBenchError: it has no such option, or the value does not fit.

    Example:
        >>> cpus = Option(parse=int, help="CPUs of a task")
        >>> mine = Executor(run=iter, parallel=True, help="mine", options={"cpus": cpus})
        >>> checked_options("mine", mine, {"cpus": "2"})
        {'cpus': 2}
    """
    parsed = {}
    for key, value in given.items():
        option = lookup({**executor.options, **COMMON}, key, kind=f"option of executor {name!r}:")
        try:
            parsed[key] = option.parse(value)
        except (ValueError, TypeError) as cause:
            raise InitBenchError(
                f"option {key!r} of executor {name!r} ({option.help}): {cause}, got {value!r}"
            ) from None
    return parsed


def imported(module: str, *, extra: str) -> Any:
    """Return a module that one of the package's extras installs.

    Raises:
        InitBenchError: it cannot be imported; the message says what to install.
    """
    try:
        return import_module(module)
    except ImportError as cause:
        raise InitBenchError(
            f"executor {extra!r} needs {module}: {cause}. Install it with\n"
            f"  pip install 'init_bench[{extra}]'"
        ) from None
