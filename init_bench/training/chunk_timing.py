"""Estimate the time of chunks from a few steps of each kind of network."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from init_bench.training.cell import Cell
from init_bench.training.chunk_trainer import ChunkTrainer

SECONDS = 1.0
"""Steps of one kind of network are timed for at least this long, unless there are fewer."""


GROWTH = 4
"""Each timing has this many times the steps of the one before."""


def kinds_of(chunks: Iterable[list[Cell]]) -> list[list[list[Cell]]]:
    """Return the chunks by kind of network: those of a kind differ in number of steps at most."""
    kinds: dict[tuple[Any, ...], list[list[Cell]]] = {}
    for chunk in chunks:
        kinds.setdefault(_shortened(chunk[0], 1).cohort, []).append(chunk)
    return list(kinds.values())


def seconds_of(chunks: Iterable[list[Cell]], train: ChunkTrainer) -> float:
    """Return about how long the chunks take, one after another.

    One chunk of every kind of network is timed for one step, then for a second or more. The time of
    a chunk is taken to be linear in its steps and its cells.
    """
    return sum(_seconds(kind, train) for kind in kinds_of(chunks))


def _shortened(cell: Cell, steps: int) -> Cell:
    # A capture may take longer than a step: none stay none, any others shrink to the default's.
    captured = () if cell.capture_at == () else None
    return replace(cell, steps=steps, capture_at=captured)


def _seconds(chunks: Sequence[list[Cell]], train: ChunkTrainer) -> float:
    """Return the time of chunks of one kind of network, from the first steps of one of them."""
    first = max(chunks, key=lambda chunk: chunk[0].steps)
    start, step = time_start_and_step(first, train)
    return sum(len(chunk) / len(first) * (start + step * (chunk[0].steps - 1)) for chunk in chunks)


def time_start_and_step(chunk: Sequence[Cell], train: ChunkTrainer) -> tuple[float, float]:
    """Return the seconds of a chunk's start, first step and test included, and of a later step."""
    _timed(chunk, 1, train)  # not counted: data are loaded and kernels chosen once
    start = _timed(chunk, 1, train)
    return start, _seconds_per_step(chunk, start, train)


def _seconds_per_step(chunk: Sequence[Cell], start: float, train: ChunkTrainer) -> float:
    """Time more and more steps, until they stand out from the time of the first one."""
    steps, spent = 0, 0.0
    while steps < chunk[0].steps - 1 and spent < max(SECONDS, start):
        steps = min(max(1, GROWTH * steps), chunk[0].steps - 1)
        spent = _timed(chunk, 1 + steps, train) - start
    return max(0.0, spent / max(1, steps))


def _timed(chunk: Sequence[Cell], steps: int, train: ChunkTrainer) -> float:
    started = time.perf_counter()
    train([_shortened(cell, steps) for cell in chunk], lambda steps: None)
    return time.perf_counter() - started
