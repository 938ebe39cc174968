"""Run the verb ``doctor``."""

import typer

from init_bench.cli.options import AsJson
from init_bench.cli.verb_output import print_json, print_rows


def doctor(as_json: AsJson = False) -> None:
    """Check versions, devices and data of this installation."""
    from init_bench.cli.doctor_checks import checks

    results = checks()
    rows = [{"check": c.name, "ok": "yes" if c.fit else "no", "found": c.found} for c in results]
    print_json(rows) if as_json else print_rows(rows)
    if not all(check.fit for check in results):
        raise typer.Exit(1)
