"""The command line: its verbs in the order of the help, and how an error of the caller's ends.

A verb is a function in a file of its own, or of its kind; to add one, list it in ``VERBS``.
"""

import io
import logging
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from init_bench.cli.audit_verb import audit
from init_bench.cli.bench_verb import bench
from init_bench.cli.book_verb import book
from init_bench.cli.compare_verb import compare
from init_bench.cli.doctor_verb import doctor
from init_bench.cli.folder_verbs import compact, export
from init_bench.cli.list_verb import list_menu
from init_bench.cli.model_verbs import coord_check, diagnose, recommend
from init_bench.cli.paper_verb import paper
from init_bench.cli.report_verb import report
from init_bench.cli.run_verb import run
from init_bench.cli.stop_signals import StoppedError, command
from init_bench.cli.verb_help import Command
from init_bench.cli.verb_output import say
from init_bench.errors import InitBenchError, StorageError

app = typer.Typer(
    help="Which initial weights let a network train, and why do the others fail?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


VERBS: dict[str, Callable[..., None]] = {
    "book": book,
    "run": run,
    "compact": compact,
    "export": export,
    "compare": compare,
    "bench": bench,
    "paper": paper,
    "diagnose": diagnose,
    "audit": audit,
    "recommend": recommend,
    "coord-check": coord_check,
    "report": report,
    "list": list_menu,
    "doctor": doctor,
}
"""The function of each verb."""


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"init_bench {version('init_bench')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Which initial weights let a network train, and why do the others fail?"""


for _name, _verb in VERBS.items():
    app.command(_name, cls=Command)(_verb)


def main() -> None:
    """Run the command line; an error of the caller's is one message and exit code 2.

    Exit code 1 is output that cannot be written, 130 Ctrl-C, 143 SIGTERM.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # of a locale without × and é: ? in their place
        sys.stdout.reconfigure(errors="replace")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app(standalone_mode=True)
    except StoppedError as stopped:
        say(str(stopped))
        sys.exit(stopped.exit_code)
    except StorageError as error:
        say(f"error: {error}:\n  {command()}")
        sys.exit(1)
    except OSError as error:  # a full disk, a file that is gone
        say(f"error: {error}. What was stored before is whole. Once mended, run the command again:")
        say(f"  {command()}")
        sys.exit(1)
    except InitBenchError as error:
        say(f"error: {str(error).strip()}")
        sys.exit(2)
