"""Run the verb ``book``."""

from pathlib import Path
from typing import Annotated

import typer

from init_bench.cli.options import AsJson, Device, Out
from init_bench.cli.report_verb import say_page
from init_bench.cli.stop_signals import stoppable
from init_bench.cli.verb_output import (
    end_if_failed,
    print_json,
    print_text,
    records,
    say,
)
from init_bench.errors import InitBenchError, check_int


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
    check_int(seeds, "--seeds", minimum=1)
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
