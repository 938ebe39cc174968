"""Run the verb about the benchmark of initializers."""

from pathlib import Path
from typing import Annotated

import typer

from init_bench.cli.early_checks import check_inits
from init_bench.cli.options import AsJson, Device, Out, Workers, inits_option
from init_bench.cli.verb_output import end_if_failed, print_json, records, say, stoppable


def bench(
    out: Out = Path("results/bench"),
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Fewer steps, seeds and initializers: five minutes instead of an hour."
        ),
    ] = False,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK",
            help="A task, such as lenet; a TOML file that describes some; or MODULE:FACTORY of a "
            "model. Repeat it for several. Default: all.",
        ),
    ] = None,
    inits: Annotated[
        list[str] | None,
        inits_option(
            "An initializer, such as he_normal; repeat it for several. Default: all of the "
            "menu that are meant for the architecture."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Number of final runs of each initializer. Default: 10; 3 with --quick."),
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare initializers on several architectures.

    Every initializer is trained at its own best learning rate from the same seeds. Tables, figures
    and a README say for each architecture what to use and what to avoid.
    """
    check_inits(inits or ())
    if dry_run:
        from init_bench.comparison.bench.forecast import forecast_bench
        from init_bench.comparison.bench.pipeline import planned

        plan = planned(tasks, inits, out=out, quick=quick, seeds=seeds)
        expected = forecast_bench(plan, device, workers)
        print_json(records(expected.table)) if as_json else print(expected)
        return
    from init_bench.comparison.bench.pipeline import bench as run_bench

    with stoppable():
        result = run_bench(
            tasks, inits, out=out, quick=quick, seeds=seeds, device=device, workers=workers
        )
    print_json(records(result.summary)) if as_json else print(result)
    say(f"wrote {out / 'report.html'}")
    end_if_failed(result.failures)
