"""What was done to each parameter of a network, as a table."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Row:
    """One parameter.

    Attributes:
        parameter: qualified name.
        shape: as the module holds it.
        fan_in, fan_out: inputs and outputs of one unit; ``None`` where it has none.
        initialiser: canonical spec, ``reset_parameters``, or ``unchanged``.
        nonlinearity: what follows the layer of a weight, empty where that is not known.
        found_by: ``fx`` (forward traced), ``order`` (of modules in a ``Sequential``),
            ``activation=`` or ``unknown``; empty where it does not matter.
        gain: the gain inside the initialiser's std; ``None`` where it has none.
        std_wanted: the population standard deviation that the initialiser aims at, zeros of its
            pattern included; ``None`` where the data decide, or nothing is stated.
        std_got: population standard deviation of the values.
        note: whatever else was done, and why something was unchanged.
    """

    parameter: str
    shape: tuple[int, ...]
    fan_in: int | None = None
    fan_out: int | None = None
    initialiser: str
    nonlinearity: str = ""
    found_by: str = ""
    gain: float | None = None
    std_wanted: float | None = None
    std_got: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What ``initialize`` did: a row per parameter, and what was unchanged and why.

    Attributes:
        spec: the initialiser, as canonical spec string.
        seed: of the streams.
        rows: one per parameter, tied ones once.
        traced: how the network was traced, in words.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> report = initialize(nn.Sequential(nn.Linear(8, 4), nn.Tanh()), "lecun_normal")
        >>> report.table[["parameter", "nonlinearity", "gain"]].values.tolist()
        [['0.weight', 'tanh', 1.0], ['0.bias', '', nan]]
    """

    spec: str
    seed: int
    rows: tuple[Row, ...]
    traced: str

    @cached_property
    def table(self) -> "pd.DataFrame":
        """Tidy frame, a row per parameter; columns are those of ``Row``."""
        import pandas as pd

        names = list(Row.__dataclass_fields__)
        frame = pd.DataFrame([vars(row) for row in self.rows], columns=names)
        frame[["fan_in", "fan_out"]] = frame[["fan_in", "fan_out"]].astype("Int64")
        return frame.astype({"gain": float, "std_wanted": float, "std_got": float})

    @property
    def left(self) -> dict[str, str]:
        """Parameters that keep the values they had, with the reason."""
        return {r.parameter: r.note for r in self.rows if r.initialiser == UNCHANGED}

    def __str__(self) -> str:
        frame = self.table.to_string(index=False, na_rep="", float_format="{:.4g}".format)
        return f"{self._headline()}\n{frame}"

    def _repr_html_(self) -> str:
        frame = self.table.to_html(index=False, na_rep="", float_format="{:.4g}".format)
        return f"<p>{self._headline()}</p>{frame}"

    def _headline(self) -> str:
        return f"{self.spec}, seed {self.seed}: {len(self.rows)} parameters. {self.traced}"


UNCHANGED = "unchanged"


RESET = "reset_parameters"
