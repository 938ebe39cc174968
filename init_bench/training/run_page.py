"""Make the page of a run: its ranking in a sentence, its figures, its tables, how to repeat it."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
import pyarrow.dataset as ds

from init_bench.datasets.menu import classes_of
from init_bench.errors import InitBenchError
from init_bench.figures.page import (
    Page,
    Section,
    curves_section,
    depth_section,
    heat_map_section,
    spread_section,
    table_section,
    training_histograms_section,
)
from init_bench.figures.page.runs import drawn_steps
from init_bench.figures.page.signal import hidden_layers
from init_bench.figures.style import label_of
from init_bench.training.grid import Grid
from init_bench.training.run_facts import commands_of, facts_of

COUNTED_CELLS = 200_000
"""Grids of more cells are not multiplied out to say how many are missing."""


MOST_CELLS = 20_000
"""Cells of one page."""


FIRST = ("init", "activation", "lr", "depth")
"""Axes that come first in every list, where they have several values."""


LAYER_COLUMNS = (
    *("step", "layer", "index", "kind", "mean", "std", "min", "max", "zero"),
    *("sample_std", "unit_std", "correlation"),
)
"""What the page and theory read of a run's layers."""


HISTOGRAM_COLUMNS = ("step", "layer", "index", "kind", "rms", "counts")
"""What the page reads of a run's histograms."""


NETWORK = ("init", "activation", "seed", "model", "norm", "width")
"""Axes that theory reads."""


OF_VALUES = " (of real values R²)"
"""What the test accuracy is where the targets are no classes."""


NO_MANIFEST = (
    "The run's manifest.json cannot be read: machine, versions and command are not known, nor "
    "whether cells are missing."
)
"""Said where the manifest is damaged or of another version."""


Extend = Callable[[list[Section]], list[Section]]
"""Adds what is known beside the run to the sections of its page."""


class RunTables(Protocol):
    """What the page reads of a run."""

    @property
    def cells(self) -> pd.DataFrame:
        """A row per cell."""

    @property
    def axes(self) -> list[str]:
        """The axes with several values, the seed left out; ``init`` where there is none."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What the manifest says; empty where it cannot be read."""

    def mean_curves(self, *, steps: Collection[int] | None = None) -> pd.DataFrame:
        """Mean loss over seeds by combination and step."""

    def scan(self, table: str, *, columns: Sequence[str] | None = None) -> ds.Scanner:
        """Rows of a table, read when asked for."""


def page_of_run(
    run: RunTables,
    *,
    title: str = "",
    answer: str = "",
    expected: pd.DataFrame | None = None,
    extend: Extend = lambda sections: sections,
) -> Page:
    """Return the page of a run, finished or in progress.

    Args:
        run: what to show.
        title, answer: of the page; by default what was varied, and the ranking.
        expected: what theory predicts at the start, a row per combination and hidden layer.
        extend: adds sections.

    Raises:
        InitBenchError: the run has more cells than a page can hold.
    """
    _check_size(run)
    axes = run.axes
    progress = _progress(run)
    if run.cells.empty:
        sections = extend([])
        answer = answer or "No training run is finished yet."
    else:
        runs = ranking(run.cells, axes)
        sections = extend(_sections(run, runs, axes, expected))
        answer = answer or _answer(runs, axes)
    return Page(
        title=title or _title(run.cells, axes),
        answer=" ".join(part for part in (answer, progress) if part),
        notes=[] if run.manifest else [NO_MANIFEST],
        sections=sections,
        facts=facts_of(run.cells, run.manifest),
        command="\n".join(commands_of(run.manifest)),
    )


def ranking(cells: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return ``over_seeds``, the lowest final loss first."""
    table = over_seeds(cells, axes)
    return table.sort_values("final_loss", na_position="last", ignore_index=True)


def over_seeds(cells: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return a row per combination of axes.

    Columns: the axes, ``cells``, ``diverged``, ``final_loss``, ``loss_sd``, ``test_accuracy``.
    Cells that diverged have no final loss and are left out of its mean.
    """
    groups = cells.groupby(list(axes))
    return groups.agg(
        cells=("key", "size"),
        diverged=("status", lambda status: (status == "diverged").sum()),
        final_loss=("final_loss", "mean"),
        loss_sd=("final_loss", "std"),
        test_accuracy=("test_accuracy", "mean"),
    ).reset_index()


def common_classes(cells: pd.DataFrame) -> int | None:
    """Return the number of classes that all data sets of the runs have; None where not known.

    Example:
        >>> common_classes(pd.DataFrame({"dataset": ["mnist", "kmnist"]}))
        10
    """
    found = {classes_of(name) for name in cells["dataset"].unique()}
    return found.pop() if len(found) == 1 else None


def ordered_axes(names: Sequence[str]) -> list[str]:
    """Return names of axes, the most usual ones first.

    Example:
        >>> ordered_axes(["width", "lr", "init"])
        ['init', 'lr', 'width']
    """
    return [*(n for n in FIRST if n in names), *(n for n in names if n not in FIRST)]


def _sections(
    run: RunTables, runs: pd.DataFrame, axes: Sequence[str], expected: pd.DataFrame | None
) -> list[Section]:
    steps, cells = int(run.cells["steps"].max()), run.cells
    drawn = drawn_steps(steps, len(runs))
    curves = run.mean_curves(steps=None if len(drawn) == steps else drawn)
    classes = common_classes(cells)
    accuracy = f"test accuracy{'' if classes else OF_VALUES}"
    sections = [curves_section(curves, runs, axes, classes=classes)]
    if len(axes) > 1:
        metrics = {"final_loss": "final loss", "test_accuracy": accuracy}
        sections.append(heat_map_section(runs, axes, metrics=metrics))
    layers = layers_of(run)
    if (layers["kind"] == "activation").any():
        hidden = hidden_layers(layers, axes)
        sections.append(depth_section(hidden, runs, axes, expected=expected))
        sections.append(spread_section(hidden, runs, axes))
        sections += _histograms(run, layers, runs, axes)
    columns = [*axes, "seed", "status", "final_loss", "test_accuracy", "train_seconds"]
    every = cells.sort_values("final_loss", na_position="last")[list(dict.fromkeys(columns))]
    words = {} if classes else {"test_accuracy": f"test_accuracy{OF_VALUES}"}
    lead = (
        "Mean over seeds; loss_sd: standard deviation of final_loss. Runs that diverged are left "
        "out of both and counted."
    )
    return [
        *sections,
        table_section(runs, title="Ranking", lead=lead, words=words),
        table_section(every, title="Every run", words=words),
    ]


def _histograms(
    run: RunTables, layers: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str]
) -> list[Section]:
    """Return the histograms of the layers, as far as any are stored."""
    columns = list(dict.fromkeys([*axes, "seed", *HISTOGRAM_COLUMNS]))
    found: pd.DataFrame = run.scan("histograms", columns=columns).to_table().to_pandas()
    return [] if found.empty else [training_histograms_section(found, layers, runs, axes)]


def layers_of(run: RunTables) -> pd.DataFrame:
    """Return what the page and theory read of a run's layers.

    Raises:
        InitBenchError: the run has more cells than a page can hold.
    """
    _check_size(run)
    columns = list(dict.fromkeys([*run.axes, *NETWORK, *LAYER_COLUMNS]))
    found: pd.DataFrame = run.scan("layers", columns=columns).to_table().to_pandas()
    return found


def _title(cells: pd.DataFrame, axes: Sequence[str]) -> str:
    if len(cells) and (cells[list(axes)].nunique() == 1).all():
        return f"Training from {label_of(str(cells['init'].iloc[0]))}"
    return f"Training runs by {_listed(axes)}"


def _listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: init, activation and lr."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _check_size(run: RunTables) -> None:
    if len(run.cells) > MOST_CELLS:
        raise InitBenchError(
            f"{len(run.cells)} cells are too many for a page, which holds {MOST_CELLS}; make one "
            "of a part, such as init_bench.load(folder, activation='relu').save('relu')"
        )


def _answer(runs: pd.DataFrame, axes: Sequence[str]) -> str:
    """Return the best combination, the next, and how many runs diverged, in a sentence or two."""
    total, diverged = int(runs["cells"].sum()), int(runs["diverged"].sum())
    lost = f"{diverged} of {total} runs diverged." if diverged else ""
    best = runs.iloc[0]
    if not math.isfinite(best["final_loss"]):
        return "The only run diverged." if total == 1 else f"All {total} runs diverged."
    if len(runs) == 1:
        return f"{_name(best, axes)} ends at a loss of {_loss(best)}. {lost}".strip()
    first = f"{_name(best, axes)} ends with the lowest loss, {_loss(best)}"
    second = runs.iloc[1]
    if math.isfinite(second["final_loss"]):
        first += f"; next comes {_name(second, axes)} with {_loss(second)}"
    return f"{first}. {lost}".strip()


def _name(row: "pd.Series[Any]", axes: Sequence[str]) -> str:
    """Return a combination as a sentence names it: he_normal with relu, lr 0.01."""
    first, *others = axes
    named = [f"{row[n]}" if isinstance(row[n], str) else f"{n} {row[n]:g}" for n in others]
    head = label_of(row[first]) if isinstance(row[first], str) else f"{first} {row[first]:g}"
    return f"{head} with {', '.join(named)}" if named else head


def _loss(row: "pd.Series[Any]") -> str:
    finished = int(row["cells"] - row["diverged"])
    if not math.isfinite(row["loss_sd"]):
        return f"{row['final_loss']:.3g} ({finished} seed{'s' * (finished > 1)})"
    return f"{row['final_loss']:.3g} ± {row['loss_sd']:.1g} ({finished} seeds)"


def _progress(run: RunTables) -> str:
    """Return how many cells of how many are done, where some are missing."""
    total = _cells_in(run.manifest)
    if total is None or len(run.cells) >= total:
        return ""
    return f"The run is not finished: {len(run.cells)} of {total} cells are done."


def _cells_in(manifest: Mapping[str, Any]) -> int | None:
    """Return the number of cells of the manifest's grids; None where it cannot be told."""
    try:
        grids = [Grid(**grid) for grid in manifest.get("grid", ())]
    except (InitBenchError, TypeError):  # an initializer of the user's, not registered here
        return None
    if sum(grid.size for grid in grids) > COUNTED_CELLS:
        return None
    return len({cell.key for grid in grids for cell in grid.iter_cells()})
