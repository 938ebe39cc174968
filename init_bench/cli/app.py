"""The command line: parse, one library call, print."""

import logging
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from init_bench.cli import completion
from init_bench.cli.audit_verb import audit
from init_bench.cli.bench_verb import bench
from init_bench.cli.command import Command
from init_bench.cli.console import (
    end_if_failed,
    print_frame,
    print_json,
    print_rows,
    print_text,
    records,
    say,
    stoppable,
)
from init_bench.cli.early_checks import check_inits
from init_bench.cli.folder_verbs import compact, export
from init_bench.cli.model_verbs import coord_check, diagnose, recommend
from init_bench.cli.options import (
    AsJson,
    ChunkTimeout,
    Device,
    Executor,
    ExecutorOption,
    Out,
    Shard,
    Workers,
    executor_options,
    seed_count,
)
from init_bench.cli.paper_verb import paper
from init_bench.cli.report_verb import report, say_page
from init_bench.errors import InitBenchError, lookup

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="Which initial weights let a network train, and why do the others fail?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


MANY_CELLS = 1_000_000
"""A grid of more cells is run only if the caller says so."""


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"init_bench {version('init_bench')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Which initial weights let a network train, and why do the others fail?"""


@app.command(cls=Command)
def book(
    out: Out = Path("results/book"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE",
            help="A figure to reproduce, such as 6-10; repeat it for several. Default: all.",
        ),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True, metavar="--only FIGURE")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 0 on.")] = 5,
    steps: Annotated[
        int,
        typer.Option(
            help="Steps of SGD of each training run; with fewer, claims about learning fail."
        ),
    ] = 2000,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Reproduce the book's section 6.2 and judge its claims.

    The book is Saito, Deep Learning from Scratch. Figures, tables and a verdict on each claim of
    the section are written to --out.
    """
    if more and not only:
        raise InitBenchError(f"unexpected argument {more[0]!r}: name figures after --only")
    from init_bench.reproduction.book.pipeline import reproduce_book

    figures = [*(only or ()), *(more or ())]
    with stoppable():
        result = reproduce_book(out, only=figures, seeds=seeds, steps=steps, device=device)
    end_if_failed(result.failures)
    for path in result.figures:
        say(f"wrote {path}")
    say_page(out)
    if as_json:
        print_json(records(result.claims))
        return
    print_text(str(result))


@app.command(cls=Command)
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and how long it takes.")
    ] = False,
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
        results = run_grid(cells, folder, shard=share, **kwargs)
    if as_json:
        print_json(records(results.table))
    else:
        _print_run(results.table, folder)
    say_page(folder)
    end_if_failed(results.failures)


def _print_run(summary: "pd.DataFrame", folder: Path) -> None:
    """Print the summary of a run and where its tables are."""
    from init_bench.training.results import MEANING

    if summary.empty:
        print(f"no cell of the grid is in this share. Tables: {folder}")
        return
    print_frame(summary)
    print(f"{MEANING}\nTables: {folder}")


app.command(cls=Command)(compact)
app.command(cls=Command)(export)


@app.command(cls=Command)
def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INIT",
            autocompletion=completion.inits,
            help="Two or more initialisers, such as he_normal 'normal(std=0.01)'. One alone is "
            "compared with torch's function for the same rule. Without any, every initialiser "
            "that torch has too is compared with torch's.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the runs, the table and the figure. Default: none is kept."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Number of training runs of each initialiser, one per seed, or auto: more seeds "
            "where no difference shows yet. Default: 10, and more for many initialisers."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of SGD of each training run.")] = 300,
    activation: Annotated[
        str,
        typer.Option(autocompletion=completion.activations, help="Nonlinearity of the network."),
    ] = "relu",
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 0.01,
    width: Annotated[int, typer.Option(help="Number of units of each hidden layer.")] = 100,
    depth: Annotated[int, typer.Option(help="Number of layers with weights.")] = 5,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Compare initialisers: draws, training and speed.

    Do they draw the same weights, does a network train the same from them, how fast is each? The
    network is an MLP on MNIST.
    """
    check_inits(names or ())
    chosen = None if seeds is None else seed_count(seeds)
    from init_bench.comparison.pipeline import compare as compare_inits

    axes: dict[str, Any] = {"activation": activation, "lr": lr, "width": width, "depth": depth}
    with stoppable() if out else nullcontext():
        result = compare_inits(
            *(names or ()), out=out, seeds=chosen, device=device, steps=steps, **axes
        )
    print(result.to_json()) if as_json else print_text(str(result))
    if out:
        say(f"Tables and figures: {out}")
    end_if_failed(result.failures)
    if result.errors:
        say("failed:\n  " + "\n  ".join(result.errors))
        raise typer.Exit(1)


app.command(cls=Command)(bench)
app.command(cls=Command)(paper)
app.command(cls=Command)(diagnose)
app.command(cls=Command)(audit)
app.command(cls=Command)(recommend)
app.command("coord-check", cls=Command)(coord_check)
app.command(cls=Command)(report)


@app.command("list", cls=Command)
def list_menu(
    what: Annotated[
        str,
        typer.Argument(
            metavar="inits|activations|models|datasets|tasks|executors|verdicts",
            autocompletion=completion.menus,
            help="Which list to print.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """List what there is, such as initialisers or verdicts."""
    from init_bench.cli.menu_listing import MENUS, formatted

    menu = lookup(MENUS, what, kind="menu")
    print_json(menu.rows()) if as_json else print(formatted(menu))


@app.command(cls=Command)
def doctor(as_json: AsJson = False) -> None:
    """Check versions, devices and data of this installation."""
    from init_bench.cli.doctor_checks import checks

    results = checks()
    rows = [{"check": c.name, "ok": "yes" if c.fit else "no", "found": c.found} for c in results]
    print_json(rows) if as_json else print_rows(rows)
    if not all(check.fit for check in results):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an error of the caller's is one message and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app(standalone_mode=True)
    except InitBenchError as error:
        say(f"error: {str(error).strip()}")
        sys.exit(2)
