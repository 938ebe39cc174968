"""Hold the result of the book's section."""

from collections.abc import Iterator
from pathlib import Path

from init_bench.files import write_files
from init_bench.reproduction.book.page import report
from init_bench.reproduction.result import Reproduction

STEPS = 2000
"""Steps of the book's training runs."""


class Book(Reproduction):
    """Hold the claims and figures of the book, and where they are stored.

    Attributes and methods are those of ``Reproduction``.
    """

    def save(self, folder: str | Path, name: str = "book") -> list[Path]:
        """Write figure, HTML, JSON and the page ``report.html`` into ``folder``; return the paths.

        The page is one file that needs no network.

        Raises:
            InitBenchError: no claim is judged, or ``folder`` cannot be made or written.
        """
        page = write_files(Path(folder), {"report.html": self.report().encode()})
        return [*super().save(folder, name), *page]

    def report(self) -> str:
        """Return the page of the claims and of the runs behind them as HTML."""
        return report(self.claims, self.summary, self.folder)

    def _blocks(self) -> Iterator[str]:
        yield from super()._blocks()
        steps = int(self.claims["steps"].max()) if len(self.claims) else STEPS
        if steps < STEPS:
            yield (
                f"Trained for {steps} steps; the book's runs have {STEPS}, and its claims about "
                f"learning are about those."
            )
