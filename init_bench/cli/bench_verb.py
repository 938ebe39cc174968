"""Run the verb about the benchmark of initializers."""

from pathlib import Path
from typing import Annotated

import typer

from init_bench.cli.early_checks import check_inits
from init_bench.cli.options import AsJson, Device, DryRun, Out, Workers, inits_option, seed_count
from init_bench.cli.stop_signals import stoppable
from init_bench.cli.verb_output import end_if_failed, print_json, records, say
from init_bench.training.seeds_argument import FEWEST_OF_INTERVAL


def bench(
    out: Out = Path("results/bench"),
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="A first look in three minutes on two cores: fewer steps, seeds and initializers.",
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
        str | None,
        typer.Option(
            help="Number of final runs of each initializer, one per seed, at least 2; or auto: 10, "
            "then 20 and 40 for the best of a task and those that no test sets apart from it (5, "
            "10 and 20 with --quick). Default: 10; 5 with --quick."
        ),
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Compare initializers on several architectures.

    Every initializer is trained at its own best learning rate from the same seeds. Tables, figures
    and a README say for each architecture what to use and what to avoid.
    """
    check_inits(inits or ())
    chosen = None if seeds is None else seed_count(seeds, minimum=FEWEST_OF_INTERVAL)
    if dry_run:
        from init_bench.comparison.bench.forecast import forecast_bench
        from init_bench.comparison.bench.pipeline import planned

        plan = planned(tasks, inits, out=out, quick=quick, seeds=chosen)
        expected = forecast_bench(plan, device, workers)
        print_json(records(expected.table)) if as_json else print(expected)
        return
    from init_bench.comparison.bench.pipeline import bench as run_bench

    with stoppable():
        result = run_bench(
            tasks, inits, out=out, quick=quick, seeds=chosen, device=device, workers=workers
        )
    print_json(records(result.summary)) if as_json else print(result)
    say(f"wrote {out / 'report.html'}")
    end_if_failed(result.failures)
