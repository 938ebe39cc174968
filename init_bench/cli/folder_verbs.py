"""Run the verbs about the folder of a run: compact, export."""

from pathlib import Path
from typing import Annotated

import typer

from init_bench.cli.stop_signals import stoppable
from init_bench.errors import InitBenchError
from init_bench.words import counted


def compact(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
) -> None:
    """Merge the many files of a run into few; no row changes."""
    from init_bench.training.compaction import compact as compact_run

    with stoppable():
        before, after = compact_run(folder)
    print(f"{folder}: {counted(before, 'chunk')} before, {after} now")


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files for TensorBoard.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write a CSV file per table.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to. Default: DIR/tensorboard or DIR/csv."),
    ] = None,
) -> None:
    """Write the tables of a run for other tools."""
    if tensorboard == csv:
        raise InitBenchError("give one of --tensorboard and --csv")
    from init_bench.training.export import export as export_run

    name = "tensorboard" if tensorboard else "csv"
    written = export_run(folder, out, format=name)
    print(f"{len(written)} {'runs' if tensorboard else 'files'} in {out or folder / name}")
    if tensorboard:
        print(f"look at them with: tensorboard --logdir {out or folder / name}")
