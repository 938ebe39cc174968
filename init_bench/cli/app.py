"""The command line: parse, one library call, print."""

import json
import logging
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from init_bench.errors import InitBenchError, lookup

if TYPE_CHECKING:
    import pandas as pd

    from init_bench.diagnosis.result import Diagnosis


app = typer.Typer(
    help="Which initial weights let a network train, and why do the others fail?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


Out = Annotated[Path, typer.Option(help="Folder of the run; an earlier run there goes on.")]


Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps …")]


Executor = Annotated[str, typer.Option(help="local (worker threads) or serial.")]


Workers = Annotated[int | None, typer.Option(help="Worker threads; default: one per core.")]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON records and nothing else.")]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"init_bench {version('init_bench')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Which initial weights let a network train, and why do the others fail?"""


@app.command()
def book(
    out: Out = Path("results/book"),
    only: Annotated[list[str] | None, typer.Option(help="A figure, e.g. 6-10; repeat.")] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True, metavar="--only FIGURE")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds 0 … N-1 of everything.")] = 5,
    steps: Annotated[int, typer.Option(help="SGD steps of each training run.")] = 2000,
    device: Device = "auto",
) -> None:
    """Reproduce every figure of the book's section 6.2, with a verdict for each claim."""
    if more and not only:
        raise InitBenchError(f"unexpected argument {more[0]!r}; figures go behind --only")
    from init_bench.book.pipeline import reproduce_book

    with _stoppable():
        made = reproduce_book(
            out, only=[*(only or ()), *(more or ())], seeds=seeds, steps=steps, device=device
        )
    _end_if_failed(made.failures)
    for path in made.figures:
        _say(f"wrote {path}")
    _print_claims(made.claims)
    held = (made.claims["verdict"] == "holds").sum()
    counted = f"{held} of {len(made.claims)} claims hold. " if len(made.claims) else ""
    print(f"{counted}Tables and figures: {made.folder}")


@app.command()
def run(
    grid: Annotated[Path, typer.Argument(metavar="GRID.toml", help="A key per axis.")],
    out: Annotated[Path | None, typer.Option(help="Folder; default results/<grid name>.")] = None,
    device: Device = "auto",
    executor: Executor = "local",
    workers: Workers = None,
) -> None:
    """Run a grid, or go on with one."""
    from init_bench.training.cell import AXES
    from init_bench.training.grid import read_grid
    from init_bench.training.pipeline import run as run_grid

    folder = out or Path("results") / grid.stem
    with _stoppable():
        results = run_grid(
            read_grid(grid), folder, device=device, executor=executor, workers=workers
        )
    several = [name for name in AXES if results.cells[name].nunique() > 1 and name != "seed"]
    axes = list(dict.fromkeys(["init", "activation", "lr", *several]))
    summary = results.cells.groupby(axes).agg(
        cells=("key", "size"),
        diverged=("status", lambda status: (status == "diverged").sum()),
        final_loss=("final_loss", "mean"),
        loss_sd=("final_loss", "std"),
        test_accuracy=("test_accuracy", "mean"),
    )
    print(summary.reset_index().to_string(index=False, float_format="{:.4g}".format))
    print(f"Tables: {folder}")
    _end_if_failed(results.failures)


@app.command()
def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME …]", help="None: ours against torch's; one: against its."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Keep runs, table and figure there.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds; default 10, more for many.")] = None,
    steps: Annotated[int, typer.Option(help="SGD steps of each training run.")] = 300,
    activation: Annotated[str, typer.Option(help="Nonlinearity of the network.")] = "relu",
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 0.01,
    width: Annotated[int, typer.Option(help="Units of each hidden layer.")] = 100,
    depth: Annotated[int, typer.Option(help="Number of weight layers.")] = 5,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Compare initialisers: do they draw the same, train the same, and how fast is each?"""
    from init_bench.comparison.pipeline import compare as compare_inits

    network: dict[str, Any] = {"activation": activation, "lr": lr, "width": width, "depth": depth}
    with _stoppable() if out else nullcontext():
        found = compare_inits(
            *(names or ()), out=out, seeds=seeds, device=device, steps=steps, **network
        )
    print(found.to_json() if as_json else found)
    if out:
        _say(f"Tables and figures: {out}")
    _end_if_failed(found.failures)
    if found.errors:
        _say("failed:\n  " + "\n  ".join(found.errors))
        raise typer.Exit(1)


@app.command()
def diagnose(
    model: Annotated[str, typer.Argument(metavar="MODULE:FACTORY", help="Builds the model.")],
    inputs: Annotated[
        list[str], typer.Option("--input", help="Sizes and type, e.g. 8,128:int64; repeat.")
    ] = ["8,3,224,224"],  # noqa: B006 - typer copies it
    init: Annotated[list[str] | None, typer.Option(help="Spec; default: as built. Repeat.")] = None,
    steps: Annotated[str, typer.Option(help="Look after so many updates, e.g. 0,10,100.")] = "0",
    lr: Annotated[
        float | None, typer.Option(help="Rate of those updates, plain SGD; default 0.1.", min=0)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for figure, page and JSON.")] = None,
    strict: Annotated[bool, typer.Option(help="Exit code 1 if a verdict is bad.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a model's initialisation, layer by layer.

    Gradients are judged by cross-entropy to random classes if the output is (samples, classes).
    With --steps that loss is trained on, and thresholds remain those of step 0.
    """
    looks = _steps_of(steps)
    if lr is not None and max(looks) < 1:
        raise InitBenchError(f"--lr {lr:g} is the rate of updates: ask for some, as --steps 0,10")
    from init_bench.cli.model_arguments import diagnoses
    from init_bench.files import make_folder

    if out:
        make_folder(out)
    rate = {} if lr is None else {"lr": lr}
    found = diagnoses(model, inputs, init or [], steps=looks, **rate)
    if as_json:
        print(json.dumps([row for name, one in found.items() for row in _findings(name, one)]))
    for name, one in found.items():
        if not as_json:
            print(f"{name}\n{one}\n")
        for path in one.save(out, name) if out else ():
            _say(f"wrote {path}")
    if strict and not all(one.healthy for one in found.values()):
        raise typer.Exit(1)


@app.command("list")
def list_menu(
    what: Annotated[str, typer.Argument(metavar="inits|activations|models|datasets")],
    as_json: AsJson = False,
) -> None:
    """List what there is, with formula and source."""
    from init_bench.cli.catalog import MENUS, told

    menu = lookup(MENUS, what, kind="menu")
    print(json.dumps(menu.rows(), ensure_ascii=False) if as_json else told(menu))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check versions, devices, the torch/torchvision pair and the data set's checksum."""
    from init_bench.cli.doctor import checks

    found = checks()
    rows = [{"check": c.name, "fit": "yes" if c.fit else "no", "found": c.found} for c in found]
    _print_rows(rows, as_json)
    if not all(check.fit for check in found):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; a fault of the caller's is one message and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app(standalone_mode=True)
    except InitBenchError as error:
        _say(f"error: {error}")
        sys.exit(2)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn Ctrl-C, or a scheduler's SIGTERM, into exit code 1 and the command to go on with."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _say(
            "\nstopped; finished chunks are stored, those on their way are not. "
            f"Go on with:\n  {_command()}"
        )
        raise typer.Exit(1) from None
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _end_if_failed(failures: Sequence[Path]) -> None:
    if failures:
        listed = "\n  ".join(map(str, failures))
        _say(f"failed, see\n  {listed}\nthe rest is stored. Go on with:\n  {_command()}")
        sys.exit(1)


def _command() -> str:
    return shlex.join(["init-bench", *sys.argv[1:]])


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print_claims(claims: "pd.DataFrame") -> None:
    """Print a claim a block: words, number, verdict."""
    for row in claims.to_dict("records"):
        value = f"{row['value']:.4g}"
        if row["ci_low"] == row["ci_low"]:
            value += f" [{row['ci_low']:.4g}, {row['ci_high']:.4g}]"
        print(f"{row['verdict'].upper():<14} {row['figure']:<14} {row['statement']}")
        print(f"{'':<14} {value} (threshold {row['threshold']}; {row['seeds']} seeds)")
        print(f"{'':<14} {row['quantity']}")
        if row["note"]:
            print(f"{'':<14} note: {row['note']}")


def _print_rows(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names[:-1]]
    for row in [dict(zip(names, names, strict=True)), *rows]:
        head = "  ".join(f"{row[n]:<{w}}" for n, w in zip(names, widths, strict=False))
        print(f"{head}  {row[names[-1]]}")


def _steps_of(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise InitBenchError(
            f"--steps must be whole numbers from 0, such as 0,10,100: got {text!r}"
        )
    return [int(part) for part in parts]


def _findings(init: str, found: "Diagnosis") -> list[dict[str, object]]:
    """Return the findings as JSON records, each with the init it belongs to."""
    rows = json.loads(found.verdicts.to_json(orient="records"))
    return [{"init": init, **row} for row in rows]
