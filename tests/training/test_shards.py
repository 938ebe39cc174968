"""Shards: every cell in one of them, whatever is stored; bad ones told in a line."""

from collections import Counter
from pathlib import Path

import pytest

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.training.shards import cells_of_shard, check_shard, shard_from

GRID = ib.Grid(init=["he_normal", "zeros"], width=[4, 8], depth=2, steps=2, seed=range(13))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_shards_hold_every_cell_once(count: int) -> None:
    dealt = [cells_of_shard(GRID.cells, (i, count)) for i in range(1, count + 1)]
    assert Counter(cell.key for part in dealt for cell in part) == Counter(
        cell.key for cell in GRID.cells
    )


def test_a_shard_does_not_depend_on_the_order_of_the_cells() -> None:
    keys = {cell.key for cell in cells_of_shard(GRID.cells, (2, 3))}
    assert keys == {cell.key for cell in cells_of_shard(GRID.cells[::-1], (2, 3))}


@pytest.mark.slow
def test_the_shards_of_a_run_fill_one_folder(tmp_path: Path) -> None:
    whole = ib.run(GRID, tmp_path / "whole", device="cpu", progress=False)
    parts = [
        ib.run(GRID, tmp_path / "dealt", device="cpu", progress=False, shard=(i, 3))
        for i in (3, 1, 2)
    ]
    assert sum(len(part.cells) for part in parts) == len(GRID.cells)
    dealt = ib.load(tmp_path / "dealt")
    assert dealt.curves.equals(whole.curves)
    assert dealt.cells["key"].equals(whole.cells["key"])


@pytest.mark.parametrize("text", ["3/2", "0/2", "1/0", "-1/2", "1", "1/2/3", "a/b", "", "slurm/x"])
def test_a_bad_shard_is_told(text: str) -> None:
    with pytest.raises(InitBenchError, match=f"shard '{text}': a shard is i/n with i from 1 to n"):
        shard_from(text)


@pytest.mark.parametrize("shard", [(3, 2), (0, 2), (1,), (1, 2, 3)])
def test_a_bad_shard_in_python_is_told(shard: tuple[int, ...]) -> None:
    with pytest.raises(InitBenchError, match=r"shard \(.*\): a shard is i/n"):
        check_shard(shard)


def test_slurm_tells_the_number_of_the_shard() -> None:
    assert shard_from("slurm/8", {"SLURM_ARRAY_TASK_ID": "8"}) == (8, 8)
    with pytest.raises(InitBenchError, match="ARRAY_TASK_ID=9: a shard is i/n"):
        shard_from("slurm/8", {"SLURM_ARRAY_TASK_ID": "9"})
    with pytest.raises(InitBenchError, match=r"is not set.* --array=1-8"):
        shard_from("slurm/8", {})
