"""The verb ``paper``."""

from pathlib import Path
from typing import Annotated

import typer

from init_bench.cli.options import AsJson
from init_bench.cli.stop_signals import stoppable
from init_bench.cli.verb_output import print_json, print_rows, records
from init_bench.errors import InitBenchError, check_int, lookup


def paper(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A paper, such as he2015.")
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the papers and what each is.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to. Default: results/papers/NAME.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Number of seeds, from 0 on. Default: the paper's own.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes, in seconds; the verdicts mean little.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recheck the claims of a paper by number.

    Figures with theory drawn over the measurement, tables, and a verdict on each claim are written
    to --out.
    """
    from init_bench.reproduction.papers.menu import PAPERS

    if listed:
        rows = [{"name": key, "paper": title} for key, title in PAPERS.items()]
        print_json(rows) if as_json else print_rows(rows)
        return
    if name is None:
        raise InitBenchError(f"name a paper: {', '.join(PAPERS)}")
    lookup(PAPERS, name, kind="paper")  # before torch is loaded, which takes seconds
    if seeds is not None:
        check_int(seeds, "--seeds", minimum=1)
    from init_bench.reproduction.papers.pipeline import paper as recheck

    with stoppable():
        result = recheck(name, out, seeds=seeds, quick=quick)
    print_json(records(result.claims)) if as_json else print(result)
