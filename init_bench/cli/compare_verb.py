"""Run the verb ``compare``."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from init_bench.cli import completion
from init_bench.cli.early_checks import check_inits
from init_bench.cli.options import AsJson, Device, seed_count
from init_bench.cli.stop_signals import stoppable
from init_bench.cli.verb_output import end_if_failed, print_text, say
from init_bench.words import counted


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INIT",
            autocompletion=completion.inits,
            help="Two or more initializers, such as he_normal 'normal(std=0.01)'. One alone is "
            "compared with torch's function for the same rule. Without any, every initializer "
            "that torch has too is compared with torch's.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the runs, the table and the figure; a comparison that is there is "
            "replaced, its runs are kept. Default: nothing is kept."
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Number of training runs of each initializer, one per seed, or auto: more seeds "
            "where no difference shows yet. Default: 10, and more for many initializers."
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
    """Compare initializers: draws, training and speed.

    Do they draw the same weights, does a network train the same from them, how fast is each? The
    network is an MLP on MNIST.
    """
    check_inits(names or ())
    chosen = None if seeds is None else seed_count(seeds)
    from init_bench.comparison.page import trained_by, trained_in
    from init_bench.comparison.pipeline import compare as compare_inits

    earlier = trained_in(out) if out else {}
    axes: dict[str, Any] = {"activation": activation, "lr": lr, "width": width, "depth": depth}
    with stoppable() if out else nullcontext():
        result = compare_inits(
            *(names or ()), out=out, seeds=chosen, device=device, steps=steps, **axes
        )
    print(result.to_json()) if as_json else print_text(str(result))
    if earlier and earlier != trained_by(result.table):
        say(f"replaced the comparison that {out} held ({_listed(earlier)}); its runs are kept")
    if out:
        say(f"Tables and figures: {out}")
    end_if_failed(result.failures)
    if result.errors:
        say("failed:\n  " + "\n  ".join(result.errors))
        raise typer.Exit(1)


def _listed(trained: dict[str, str]) -> str:
    """Return the first pair with what it trained, and how many more there are."""
    (pair, setting), *others = trained.items()
    return f"{pair}: {setting}" + f", and {counted(len(others), 'more pair')}" * bool(others)
