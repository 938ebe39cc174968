"""List the menus as rows and as text."""

import itertools
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

Row = dict[str, str]


PIPED_WIDTH = 100
"""Columns of a list that goes into a file or a pipe."""


TORCHS_OWN = "torch.nn.init"
"""Source of the rows that repeat torch's functions."""


FAMILIES = {
    "tensor": "Fill a weight by its shape:",
    TORCHS_OWN: "torch.nn.init's functions, with torch's defaults:",
    "module": "Fill a whole model by its structure:",
    "batch": "Fill a whole model by what a batch of inputs does in it:",
    "loss": "Fill a whole model by the loss on a batch and its gradients:",
}
"""Families of initializers in the order of the list, and their headings."""


def _family(row: Row) -> str:
    return TORCHS_OWN if row["source"] == TORCHS_OWN else row["needs"]


def _init_text(row: Row) -> list[str]:
    """Return how a spec calls the initializer, its other names, formula and source."""
    from init_bench.init import ALIASES
    from init_bench.init.menu import signature_of

    aliases = [alias for alias, name in ALIASES.items() if name == row["name"]]
    also = f" (also called {', '.join(aliases)})" if aliases else ""
    head = f"{signature_of(row['name'])}{also}"
    return [head] if _family(row) == TORCHS_OWN else [head, row["formula"], row["source"]]


def _inits() -> list[Row]:
    from init_bench.init import menu_rows

    order = ("name", "needs", "formula", "source")
    return [{column: row[column] for column in order} for row in menu_rows()]


def _activations() -> list[Row]:
    from init_bench.activations.menu import ACTIVATIONS

    return [
        {"name": name, "formula": phi.formula, "source": phi.source}
        for name, phi in ACTIVATIONS.items()
    ]


def _models() -> list[Row]:
    from init_bench.init.docstrings import section
    from init_bench.models import MODELS

    return [
        {"name": name, "formula": section(model, "Formula"), "source": section(model, "Source")}
        for name, model in MODELS.items()
    ]


def _datasets() -> list[Row]:
    from init_bench.datasets import described

    return [{"name": name, "source": source} for name, source in described().items()]


def _tasks() -> list[Row]:
    from init_bench.comparison.bench.tasks import TASKS

    return [{"name": name, "source": task.architecture} for name, task in TASKS.items()]


def _executors() -> list[Row]:
    from init_bench.training.executors import EXECUTORS

    return [
        {"name": name, "options": ", ".join(executor.options), "source": executor.help}
        for name, executor in EXECUTORS.items()
    ]


def _executor_text(row: Row) -> list[str]:
    options = [f"options: {row['options']}"] if row["options"] else []
    return [row["name"], row["source"], *options]


def _verdicts() -> list[Row]:
    from init_bench.diagnosis.rules.menu import RULES

    return [
        {
            "verdict": rule.verdict,
            "severity": rule.severity,
            "meaning": rule.meaning.replace("{size}", "too large" if rule.above else "too small"),
            "quantity": rule.quantity,
            "limit": f"{'above' if rule.above else 'below'} {rule.threshold:.3g}",
            "fix": rule.advice,
        }
        for rule in RULES
    ]


def _verdict_text(row: Row) -> list[str]:
    return [
        f"{row['verdict']}: {row['meaning']}",
        f"{row['severity']} {row['limit']}: {row['quantity']}",
        f"fix: {row['fix']}",
    ]


def _text(row: Row) -> list[str]:
    return [row[column] for column in ("name", "formula", "source") if column in row]


def _no_family(row: Row) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Menu:
    """Hold one list: its rows, the paragraphs of a row in the terminal, and a row's family."""

    rows: Callable[[], list[Row]]
    text: Callable[[Row], list[str]] = _text
    family: Callable[[Row], str] = _no_family


MENUS = {
    "inits": Menu(rows=_inits, text=_init_text, family=_family),
    "activations": Menu(rows=_activations),
    "models": Menu(rows=_models),
    "datasets": Menu(rows=_datasets),
    "tasks": Menu(rows=_tasks),
    "executors": Menu(rows=_executors, text=_executor_text),
    "verdicts": Menu(rows=_verdicts, text=_verdict_text),
}
"""The lists by name."""


def formatted(menu: Menu) -> str:
    """Return the rows by family, as wide as the terminal, 100 columns where there is none."""
    width = shutil.get_terminal_size((PIPED_WIDTH, 0)).columns
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    order = list(FAMILIES)
    rows = sorted(menu.rows(), key=lambda row: order.index(menu.family(row) or order[0]))
    lines: list[str] = []
    for family, members in itertools.groupby(rows, menu.family):
        heading = wrapper.wrap(FAMILIES[family]) if family else []
        lines += ["", *heading] if lines and heading else heading
        for row in members:
            head, *parts = (text.replace("``", "") for text in menu.text(row))
            for text in (head, *(f"  {part}" for part in parts)):
                lines += wrapper.wrap(text) or [""]
    return "\n".join(lines)
