"""Hold the result of the book's section."""

from pathlib import Path

from init_bench.reproduction.result import Reproduction


class Book(Reproduction):
    """Hold the claims and figures of the book, and where they are stored.

    Attributes and methods are those of ``Reproduction``.
    """

    def save(self, folder: str | Path, name: str = "book") -> list[Path]:
        """Write figure, HTML and JSON of the claims into ``folder``; return the paths.

        Raises:
            InitBenchError: no claim is judged, or ``folder`` cannot be made or written.
        """
        return super().save(folder, name)
