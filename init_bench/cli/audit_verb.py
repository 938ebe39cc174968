"""Audit the parameters of a checkpoint, or of a factory's model, from the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from init_bench.cli.options import AsJson
from init_bench.cli.verb_output import print_json, print_text, prints_aside, records, say

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from init_bench.diagnosis.checkpoint.result import Audit

SOURCE = "FILE.safetensors, FILE.pt, a folder of safetensors files, or MODULE:FACTORY"


def audit(
    source: Annotated[
        str, typer.Argument(metavar="FILE|MODULE:FACTORY", help=f"What to audit: {SOURCE}.")
    ],
    reference: Annotated[
        str | None,
        typer.Option(help=f"An earlier state to say what changed from: {SOURCE}."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write figure, HTML page and JSON to.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            help="End with exit code 1 if a parameter is as initialized, copied, constant, "
            "non-finite or never filled."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which parameters of a checkpoint are still as drawn.

    Nothing is run but a factory: of a file the values alone are read, tensor by tensor.
    """
    from init_bench.diagnosis.checkpoint.pipeline import audit as audit_source
    from init_bench.files import make_folder

    with prints_aside():
        before = None if reference is None else _source(reference)
        after = _source(source)
    if out:
        make_folder(out)
    result = audit_source(after, reference=before)
    print_json(records(_with_changes(result))) if as_json else print_text(str(result))
    for path in result.save(out) if out else ():
        say(f"wrote {path}")
    if strict and len(result.findings):
        raise typer.Exit(1)


def _source(text: str) -> "Path | nn.Module":
    """Return the path that ``text`` is, or the model that it names."""
    from init_bench.diagnosis.checkpoint.checkpoint_file import SUFFIXES, is_pickle

    path = Path(text)
    if path.exists() or path.suffix in SUFFIXES or ":" not in text:
        is_pickle(path)  # refuses what cannot be read before anything is
        return path
    from init_bench.cli.model_arguments import make
    from init_bench.models import find_factory

    return make(find_factory(text), text)


def _with_changes(result: "Audit") -> "pd.DataFrame":
    """Return the audit's table, joined with the columns of what changed."""
    if result.difference is None:
        return result.table
    changes = result.difference.table.rename(columns={"state": "change"})
    columns = ["parameter", "change", "relative_change", "correlation", "rank"]
    return result.table.merge(changes[columns], on="parameter", how="outer", sort=False)
