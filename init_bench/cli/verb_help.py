"""Show the help of a verb: arguments by name alone, options with the names on their menus."""

from typing import Any

from typer.core import TyperCommand

EXECUTOR = "EXECUTOR"
"""Placeholder for the executors' names, which the help fills in: their menu loads torch."""


class Command(TyperCommand):
    """Run a verb of the command line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; only then are menus loaded."""
        parameters: list[Any] = list(self.params)
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = lambda ctx: None  # the metavar says it
            elif parameter.metavar == EXECUTOR:
                from init_bench.training.executors import EXECUTORS

                parameter.metavar = f"[{'|'.join(EXECUTORS)}]"
        super().format_help(ctx, formatter)
