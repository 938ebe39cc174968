"""Hold what was found about a paper."""

from dataclasses import dataclass
from pathlib import Path

from init_bench.files import write_files
from init_bench.reproduction.papers.experiment import QUICK_NOTE, QUICK_SUMMARY
from init_bench.reproduction.papers.page import report_of_folder
from init_bench.reproduction.result import Reproduction


@dataclass(frozen=True)
class Paper(Reproduction):
    """Hold the verdicts on a paper's claims, its figures, and what of the paper was read.

    Attributes:
        name: the paper's name on the menu.
        read: what of the paper was read.
        seconds: how long it took.
        processor_seconds: how long it was on the processor: less where others share it.
        quick: whether sizes were small.
    """

    name: str = ""
    read: str = ""
    seconds: float = 0.0
    processor_seconds: float = 0.0
    quick: bool = False

    @property
    def summary(self) -> str:
        """How many claims hold; of a quick run, that it does not judge the paper."""
        return f"{QUICK_SUMMARY} {super().summary}" if self.quick else super().summary

    def save(self, folder: str | Path, name: str = "") -> list[Path]:
        """Write figure, HTML and JSON of the claims into ``folder``, and the page ``report.html``.

        Returns:
            The paths.

        Raises:
            InitBenchError: no claim is judged, or ``folder`` cannot be made or written.
        """
        page = {"report.html": self.report().encode()}
        return [*super().save(folder, name or self.name), *write_files(Path(folder), page)]

    def report(self) -> str:
        """Return the page of the paper as HTML: one file that needs no network."""
        return report_of_folder(self.folder)

    def __str__(self) -> str:
        quick = [QUICK_NOTE] if self.quick else []
        return "\n".join([super().__str__(), f"Read of the paper: {self.read}", *quick])
