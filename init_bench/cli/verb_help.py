"""Show the help of a verb: arguments by name alone, options with the names on their menus.

A word that the verb has no place for is refused with the option that it may belong to.
"""

import shlex
from collections.abc import Collection
from typing import Any

from typer.core import TyperCommand

from init_bench.cli.early_checks import known_inits
from init_bench.errors import InitBenchError

EXECUTOR = "EXECUTOR"
"""Placeholder for the executors' names, which the help fills in: their menu loads torch."""


class Command(TyperCommand):
    """Run a verb of the command line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line, and refuse those that nothing takes.

        Raises:
            InitBenchError: there is such a word.
        """
        ctx.allow_extra_args = True
        extra = super().parse_args(ctx, args)
        if extra and not ctx.resilient_parsing:
            raise InitBenchError(f"unexpected argument {extra[0]!r}{self._place_for(extra[0])}")
        return extra

    def _place_for(self, word: str) -> str:
        """Return what to write instead, as the end of a message."""
        options = [one for one in self.params if one.param_type_name == "option"]
        if f"--{word}" in (name for option in options for name in option.opts):
            return f": the option is --{word}"
        several: list[Any] = [one for one in options if getattr(one, "multiple", False)]
        several = [one for one in several if word in _menu(one.metavar)] or several
        # One that takes KEY=VALUE takes no bare word.
        named = [one.opts[0] for one in several if "=" not in (one.metavar or "")]
        if named:
            return f": write {' or '.join(f'{name} {shlex.quote(word)}' for name in named)}"
        return f". See what it takes: init-bench {self.name} --help"

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


def _menu(metavar: str | None) -> Collection[str]:
    """Return the names that an option with this placeholder takes, where there is a list."""
    if metavar == "INIT":
        return known_inits()
    if metavar == "TASK":
        from init_bench.comparison.bench.tasks import TASKS

        return TASKS
    return ()
