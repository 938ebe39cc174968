"""Run the verb ``run``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from init_bench.cli.options import (
    AsJson,
    ChunkTimeout,
    Device,
    DryRun,
    Executor,
    ExecutorOption,
    Shard,
    Workers,
    executor_options,
)
from init_bench.cli.report_verb import say_page
from init_bench.cli.stop_signals import stoppable
from init_bench.cli.verb_output import end_if_failed, print_frame, print_json, prints_aside, records
from init_bench.errors import InitBenchError

if TYPE_CHECKING:
    from init_bench.training.results import Results

MANY_CELLS = 1_000_000
"""A grid of more cells is run only if the caller says so."""


def run(
    grid: Annotated[
        Path,
        typer.Argument(
            metavar="GRID.toml",
            exists=True,
            dir_okay=False,
            help="File of the grid, a line per axis, such as lr = [0.01, 0.1].",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run; an earlier run in it is resumed. "
            "Default: results/ and the name of the grid file."
        ),
    ] = None,
    device: Device = "auto",
    executor: Executor = "local",
    workers: Workers = None,
    executor_option: ExecutorOption = None,
    chunk_timeout: ChunkTimeout = None,
    shard: Shard = None,
    dry_run: DryRun = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Run a grid of more than a million cells.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train the networks of a grid file, or resume an earlier run."""
    from init_bench.training.grid import read_grid
    from init_bench.training.pipeline import run as run_grid
    from init_bench.training.shards import shard_from

    cells, folder = read_grid(grid), out or Path("results") / grid.stem
    if cells.size > MANY_CELLS and not yes:
        raise InitBenchError(
            f"{grid} multiplies out to {cells.size:,} cells; if you mean it, add --yes"
        )
    share = shard_from(shard) if shard else None
    kwargs: dict[str, Any] = {"device": device, "executor": executor, "workers": workers}
    kwargs["executor_options"] = executor_options(executor_option, chunk_timeout)
    if dry_run:
        from init_bench.training.forecast import forecast

        expected = forecast(cells, folder, shard=share, **kwargs)
        print_json([expected.to_dict()]) if as_json else print(expected)
        return
    with stoppable():
        with prints_aside():
            results = run_grid(cells, folder, shard=share, **kwargs)
        if as_json:
            print_json(records(results.table))
        else:
            _print_run(results, folder)
        say_page(folder)
    end_if_failed(results.failures)


def _print_run(results: "Results", folder: Path) -> None:
    """Print the summary of a run and where its tables are."""
    from init_bench.training.chunks import CHUNK_CELLS

    if results.cells.empty:
        print(
            f"this shard is empty: the grid has fewer chunks (of up to {CHUNK_CELLS} cells) than "
            f"shards; use fewer shards. Tables: {folder}"
        )
        return
    print_frame(results.table)
    print(f"{results.meaning}\nTables: {folder}")
