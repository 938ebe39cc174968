"""Run the verb ``list``."""

from typing import Annotated

import typer

from init_bench.cli import completion
from init_bench.cli.options import AsJson
from init_bench.cli.verb_output import print_json
from init_bench.errors import lookup


def list_menu(
    what: Annotated[
        str,
        typer.Argument(
            metavar="inits|activations|models|datasets|tasks|executors|verdicts",
            autocompletion=completion.menus,
            help="Which list to print.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """List what there is, such as initializers or verdicts."""
    from init_bench.cli.menu_listing import MENUS, formatted

    menu = lookup(MENUS, what, kind="list")
    print_json(menu.rows()) if as_json else print(formatted(menu))
