"""Deal the cells of a grid among several drivers."""

import os
from collections.abc import Mapping, Sequence

from init_bench.errors import InitBenchError
from init_bench.training.cell import Cell
from init_bench.training.chunks import chunk_name, chunks

Shard = tuple[int, int]
"""Which share of a grid, from 1, and of how many."""


TASK = "SLURM_ARRAY_TASK_ID"
"""The environment variable in which Slurm tells an array task its number."""


WORDS = "a shard is i/n with i from 1 to n, such as 3/8, or slurm/8 in a job array"


def shard_from(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Return the shard that ``i/n`` names; ``slurm/n`` takes i from ``$SLURM_ARRAY_TASK_ID``.

    Raises:
        InitBenchError: the text names no shard, or Slurm has set no number.

    Example:
        >>> shard_from("3/8")
        (3, 8)
        >>> shard_from("slurm/8", {"SLURM_ARRAY_TASK_ID": "5"})
        (5, 8)
    """
    number, _, count = text.partition("/")
    if number == "slurm" and count.isdecimal():
        if TASK not in environment:
            raise InitBenchError(
                f"shard {text!r}: ${TASK} is not set. Submit a job array, "
                f"sbatch --array=1-{count}, or give the shard's number: 1/{count}"
            )
        return _checked(environment[TASK], count, f"shard {text!r} with ${TASK}={{}}")
    return _checked(number, count, f"shard {text!r}")


def check_shard(shard: Sequence[int]) -> Shard:
    """Return a shard given in Python, as two integers.

    Raises:
        InitBenchError: they are no shard.
    """
    number, count = shard if len(shard) == 2 else ("", "")
    return _checked(str(number), str(count), f"shard {tuple(shard)}")


def _checked(number: str, count: str, given: str) -> Shard:
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise InitBenchError(f"{given.format(number)}: {WORDS}")


def cells_of_shard(cells: Sequence[Cell], shard: Shard) -> list[Cell]:
    """Return the cells of one shard: together the shards hold every cell once.

    The whole grid is cut into chunks, the chunks are sorted by their names, which are hashes of
    their cells' keys, and dealt in turn. Neither what is stored nor the device has a say.

    Example:
        >>> from init_bench.training.grid import Grid
        >>> cells = Grid(seed=range(35)).cells
        >>> [len(cells_of_shard(cells, (i, 2))) for i in (1, 2)]
        [18, 17]
    """
    number, count = shard
    by_key = sorted(cells, key=lambda cell: cell.key)
    dealt = sorted(chunks(by_key), key=chunk_name)
    return [cell for chunk in dealt[number - 1 :: count] for cell in chunk]
