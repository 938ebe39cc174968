"""Run the verbs about a model of the user's: diagnose, recommend, coord-check."""

import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from init_bench.cli.early_checks import check_inits
from init_bench.cli.options import (
    DEFAULT_INPUT,
    AsJson,
    Inputs,
    Model,
    WidthModel,
    inits_option,
    integers,
    seed_count,
)
from init_bench.cli.verb_output import (
    print_frame,
    print_json,
    print_text,
    prints_aside,
    records,
    say,
)
from init_bench.errors import InitBenchError, check_int
from init_bench.files import write_atomic
from init_bench.training.seeds_argument import AUTO, FEWEST_OF_INTERVAL, FEWEST_TO_RANK

if TYPE_CHECKING:
    import pandas as pd

    from init_bench.diagnosis.recommendation_result import Recommendation
    from init_bench.diagnosis.result import Diagnosis


def diagnose(
    model: Model,
    inputs: Inputs = [DEFAULT_INPUT],  # noqa: B006 - typer copies it
    init: Annotated[
        list[str] | None,
        inits_option(
            "Initializer to fill the model with first, such as 'normal(std=0.02)'; repeat it "
            "to diagnose several. Default: the model as the factory builds it."
        ),
    ] = None,
    capture_at: Annotated[
        str,
        typer.Option(
            metavar="STEPS", help="Diagnose after these numbers of training steps, as in 0,10,100."
        ),
    ] = "0",
    steps: Annotated[str | None, typer.Option(hidden=True)] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            metavar="<float>", help="Learning rate of these steps of SGD. Default: 0.1.", min=0
        ),
    ] = None,
    rates: Annotated[
        bool,
        typer.Option(
            "--rates",
            help="Also find the learning rates of plain SGD at which the model learns its batch "
            "within 1000 steps, by short trials; of more than 128 samples each step draws 128.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for figure, HTML page and JSON.")] = None,
    strict: Annotated[
        bool, typer.Option(help="End with exit code 1 if a layer is unhealthy.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a model's initial weights.

    Each layer is measured on random inputs. If the output is logits, (samples, classes) or a row of
    classes for each token, the loss is the cross-entropy to random classes, and gradients and the
    first loss are judged too; for any other output call init_bench.diagnose with a loss_fn. With
    --capture-at the model is trained on that one batch.
    """
    check_inits(init or ())
    at = _capture_steps(capture_at, steps, lr)
    from init_bench.cli.model_calls import diagnoses

    with prints_aside():
        results = diagnoses(model, inputs, init or [], steps=at, lr=lr, rates=rates, out=out)
    if as_json:
        tables = [(name, table) for name, one in results.items() for table in _tables(one)]
        print_json([row for name, table in tables for row in records(table, init=name)])
    for name, one in results.items():
        if not as_json:
            print_text(f"{name}\n{one}\n")
        for path in one.save(out, name) if out else ():
            say(f"wrote {path}")
    if not as_json:
        has_classes = not any(math.isnan(one.loss) for one in results.values())
        print_text(_random_data("diagnose", has_classes=has_classes))
    if strict and not all(one.healthy for one in results.values()):
        raise typer.Exit(1)


def recommend(
    model: Model,
    inputs: Inputs = [DEFAULT_INPUT],  # noqa: B006 - typer copies it
    init: Annotated[
        list[str] | None,
        inits_option("Initializer to try; repeat it for several. Default: ten common ones."),
    ] = None,
    seeds: Annotated[
        str,
        typer.Option(
            help="Training runs of each initializer, one per seed: a number of at least 3, or "
            "auto: more seeds where no difference shows yet."
        ),
    ] = AUTO,
    optimizer: Annotated[
        str,
        typer.Option(help="Optimizer of these runs: sgd, momentum, adagrad, adam or adamw."),
    ] = "sgd",
    out: Annotated[Path | None, typer.Option(help="Folder for the table.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank initializers for a model by short training runs.

    The model must return logits, (samples, classes) or a row of classes for each token: it is
    trained on random inputs and classes, for a few steps from each initializer and seed.
    """
    check_inits(init or ())
    from init_bench.cli.model_calls import recommendation

    count = seed_count(seeds, minimum=FEWEST_TO_RANK)
    with prints_aside():
        result = recommendation(model, inputs, init, seeds=count, optimizer=optimizer, out=out)
    rows = records(result.table)
    print_json(rows) if as_json else _print_ranking(result)
    if out:
        say(f"wrote {_write_table(out / 'recommendation.json', rows)}")


def coord_check(
    model: WidthModel,
    widths: Annotated[
        str, typer.Option(metavar="WIDTHS", help="Two or more widths, such as 64,128,256.")
    ],
    depths: Annotated[
        str | None,
        typer.Option(
            metavar="DEPTHS",
            help="Two or more depths, such as 2,8,32; the factory is then called with a width and "
            "a depth.",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="INIT",
            help="Initializer to fill each network with, such as 'mup(base_width=64)', whose "
            "learning rates are used. Default: the model as the factory builds it.",
        ),
    ] = None,
    inputs: Inputs = [DEFAULT_INPUT],  # noqa: B006 - typer copies it
    steps: Annotated[int, typer.Option(help="Number of training steps.")] = 3,
    optimizer: Annotated[str, typer.Option(help="sgd, adam or adamw.")] = "sgd",
    lr: Annotated[
        float, typer.Option(metavar="<float>", help="Learning rate of these steps.", min=0)
    ] = 0.1,
    seeds: Annotated[int, typer.Option(help="Number of seeds; at least 2.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Folder for the table and the figure.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check that training moves a model alike at every size.

    The factory is called with each width. The model must return logits, (samples, classes) or a row
    of classes for each token: it is trained on random inputs and classes, and each layer's change
    of output is compared between widths, and between depths if --depths names some.
    """
    check_inits([init] if init else ())
    check_int(seeds, "--seeds", minimum=FEWEST_OF_INTERVAL)
    wide = integers(widths, "--widths", minimum=1, example="64,128,256")
    deep = depths and integers(depths, "--depths", minimum=1, example="2,8,32")
    from init_bench.cli.model_calls import size_check

    with prints_aside():
        result = size_check(
            model,
            wide,
            deep or None,
            inputs,
            init=init,
            out=out,
            steps=steps,
            lr=lr,
            seeds=seeds,
            optimizer=optimizer,
        )
    rows = records(result.slopes)
    print_json(rows) if as_json else print_text(str(result))
    if out:
        result.figure().savefig(out / "coord_check.png", dpi=120)
        say(f"wrote {out / 'coord_check.png'}")
        say(f"wrote {_write_table(out / 'coord_check.json', rows)}")


def _print_ranking(result: "Recommendation") -> None:
    """Print a recommendation, its table as wide as the terminal."""
    print(result.summary)
    print_frame(result.ranking)
    print("\n".join([result.meaning, *result.notes, _random_data("recommend")]))


def _random_data(function: str, *, has_classes: bool = True) -> str:
    """Say that no data of the user's were measured, and which function takes them."""
    drawn = "random inputs and random classes" if has_classes else "random inputs"
    return f"Measured on {drawn}; in Python, init_bench.{function} takes your data."


def _tables(diagnosis: "Diagnosis") -> "list[pd.DataFrame]":
    """Return the findings, and the table of rates if there is one."""
    rates = diagnosis.rates
    return [diagnosis.verdicts, rates.table] if rates else [diagnosis.verdicts]


def _capture_steps(capture_at: str, steps: str | None, lr: float | None) -> list[int]:
    """Return the steps of --capture-at, or of its old name --steps."""
    option = "--capture-at"
    if steps is not None:
        option, capture_at = "--steps", steps
        warnings.warn("--steps is now called --capture-at", FutureWarning, stacklevel=2)
    at = integers(capture_at, option, minimum=0, example="0,10,100")
    if lr is not None and max(at) < 1:
        raise InitBenchError(
            f"--lr {lr:g} is the learning rate of training steps, and there are none: "
            f"give some, such as --capture-at 0,10"
        )
    return at


def _write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    text = json.dumps(rows, ensure_ascii=False)
    write_atomic(path, lambda part: part.write_text(text, "utf-8"))
    return path
