"""Forecast a run: its cells and chunks, what is stored, its memory, and how long it takes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from init_bench.training.cell import Cell
from init_bench.training.chunk_timing import kinds_of
from init_bench.training.device_memory import bytes_of
from init_bench.training.dispatch import Trainer, trainer_for
from init_bench.training.grid import Grid
from init_bench.training.pipeline import cells_of
from init_bench.training.store import Store
from init_bench.words import counted


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Hold what a run would do.

    Attributes:
        cells: of the grid, or of the shard.
        stored: those in the folder already.
        chunks: that the others are cut into.
        kinds: of network, of each of which one chunk was timed.
        seconds: estimate of the training time, from these measurements.
        at_once: chunks trained at the same time.
        worker_bytes: estimate of the memory that the largest chunk takes, by the sizes of its
            tensors: one for each that is trained at once.
    """

    cells: int
    stored: int
    chunks: int
    kinds: int
    seconds: float
    at_once: int
    worker_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    def __str__(self) -> str:
        missing = self.cells - self.stored
        return (
            f"cells   {self.cells}: {self.stored} stored, {missing} to train\n"
            f"chunks  {self.chunks}, {self.at_once} at once\n"
            f"memory  about {math.ceil(self.worker_bytes / 1e6)} MB for each at once, beside torch "
            f"and the data\n"
            f"time    about {duration_text(self.seconds)}, from a few steps of "
            f"{counted(self.kinds, 'kind')} of network, timed here and now"
        )


def forecast(
    grid: Grid,
    out: str | Path,
    *,
    device: str = "auto",
    executor: str = "local",
    workers: int | None = None,
    executor_options: Mapping[str, Any] | None = None,
    shard: tuple[int, int] | None = None,
) -> Forecast:
    """Say what ``run`` with the same arguments would do; train a few steps, write nothing.

    One chunk of every kind of network is timed for one step, then for a second or more. The time of
    a chunk is taken to be linear in its steps and its cells, and chunks at once not to slow each
    other down.

    Raises:
        InitBenchError: what ``run`` raises before it starts.

    Example:
        >>> import tempfile
        >>> grid = Grid(seed=range(12), width=4, depth=2, steps=3)
        >>> found = forecast(grid, tempfile.mkdtemp(), device="cpu", workers=1)
        >>> found.cells, found.stored, found.chunks
        (12, 0, 2)
    """
    cells = cells_of([grid], shard)
    done = Store(Path(out)).done()
    missing = [cell for key, cell in cells.items() if key not in done]
    with trainer_for(
        cells.values(),
        device=device,
        executor=executor,
        workers=workers,
        executor_options=executor_options,
    ) as trainer:
        parts = trainer.chunks(missing)
        kinds = kinds_of(parts)
        return Forecast(
            cells=len(cells),
            stored=len(cells) - len(missing),
            chunks=len(parts),
            kinds=len(kinds),
            seconds=trainer.seconds(parts) / max(1, min(trainer.at_once, len(parts))),
            at_once=trainer.at_once,
            worker_bytes=max((_bytes(chunks, trainer) for chunks in kinds), default=0),
        )


def _bytes(chunks: Sequence[list[Cell]], trainer: Trainer) -> int:
    """Return about how much memory the largest of these chunks of one kind of network takes."""
    largest = max(chunks, key=len)
    return len(largest) * bytes_of(largest[0], trainer.train.loaded[largest[0].dataset])


def duration_text(seconds: float) -> str:
    """Return a time in words.

    Example:
        >>> duration_text(3.2), duration_text(400), duration_text(9000)
        ('3 s', '7 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
