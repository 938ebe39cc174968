"""Report what was done to each parameter of a network, as a table."""

import html
import json
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from init_bench.files import json_records, write_files
from init_bench.init.whole_model.parameter_rates import ParameterRates
from init_bench.init.whole_model.rate_factors import Factors, OptimizerName, factors_for

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

UNCHANGED = "unchanged"


KEPT = "keep="
"""Why a parameter that the caller named stays as it is."""


RENAMED = {"initialiser": "initializer", "std_wanted": "std_nominal", "std_got": "std_measured"}
"""Old names of columns, kept beside the new ones for one release."""


MEANING = (
    "std_nominal: the std that the initializer aims at; empty where it states none.\n"
    "std_measured: the std of the values as they are now."
)
"""Explanation below a printed report."""


SHOWN = ["parameter", "shape", "initializer", "nonlinearity", "std_nominal", "std_measured", "note"]
"""Columns that a printed report shows."""


RATES = ["lr_factor", "weight_decay_factor", "eps_factor"]
"""Columns that a printed report shows where one of them is not 1."""


MEANING_OF_RATES = (
    "lr_factor, weight_decay_factor, eps_factor: what AdamW's learning rate, weight decay and ε "
    "are multiplied by; report.param_groups(lr=...) applies them, factors('sgd') has SGD's."
)
"""Explanation below a printed report with factors."""


MOST_ROWS = 20
"""Rows that a report shows at the prompt; ``print`` shows all."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Report one parameter.

    Attributes:
        parameter: qualified name.
        shape: as the module holds it.
        fan_in, fan_out: inputs and outputs of one unit; ``None`` where it has none.
        initializer: canonical spec of what drew the values, or ``unchanged``. An initializer of
            whole models may name another one here, which it starts from; ``note`` says what it
            did then. ``torch.default``: the module's own ``reset_parameters``.
        nonlinearity: what follows the layer of a weight, empty where that is not known.
        found_by: ``fx`` (forward traced), ``order`` (of modules in a ``Sequential``),
            ``activation=`` or ``unknown``; empty where it does not matter.
        gain: the gain inside the initializer's std; ``None`` where it has none.
        std_nominal: the population standard deviation that the initializer aims at, zeros of its
            pattern included; ``None`` where the data decide, or nothing is stated.
        std_measured: population standard deviation of the values.
        lr_factor, weight_decay_factor, eps_factor: what AdamW's learning rate, weight decay and ε
            of this parameter are multiplied by. 1 unless the initializer sets rates, as ``mup``.
        note: whatever else was done, and why a parameter is unchanged.
    """

    parameter: str
    shape: tuple[int, ...]
    fan_in: int | None = None
    fan_out: int | None = None
    initializer: str
    nonlinearity: str = ""
    found_by: str = ""
    gain: float | None = None
    std_nominal: float | None = None
    std_measured: float
    lr_factor: float = 1.0
    weight_decay_factor: float = 1.0
    eps_factor: float = 1.0
    note: str = ""

    @property
    def initialiser(self) -> str:
        """Return ``initializer``: deprecated name."""
        warnings.warn("Row.initialiser is now Row.initializer", FutureWarning, stacklevel=2)
        return self.initializer

    @property
    def std_wanted(self) -> float | None:
        """Return ``std_nominal``: deprecated name."""
        warnings.warn("Row.std_wanted is now Row.std_nominal", FutureWarning, stacklevel=2)
        return self.std_nominal

    @property
    def std_got(self) -> float:
        """Return ``std_measured``: deprecated name."""
        warnings.warn("Row.std_got is now Row.std_measured", FutureWarning, stacklevel=2)
        return self.std_measured


@dataclass(frozen=True, kw_only=True, repr=False)
class Report(ParameterRates):
    """Say what ``initialize`` did: a row per parameter, and what is unchanged and why.

    Attributes:
        spec: the initializer, as canonical spec string.
        seed: of the streams.
        rows: one per parameter, tied ones once.
        traced: how the network was traced, in words.
        model: the model that was initialized.
        rate_factors: of each parameter with a rate of its own, its factors by kind of optimizer.
        to_check: what the initializer asks of the model's own forward function and did not find
            there, such as a multiplier of the output; a sentence each.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> report = initialize(nn.Sequential(nn.Linear(8, 4), nn.Tanh()), "lecun_normal")
        >>> report.table[["parameter", "nonlinearity", "gain"]].values.tolist()
        [['0.weight', 'tanh', 1.0], ['0.bias', '', nan]]
        >>> report.summary
        'lecun_normal, seed 0: filled 2 of 2 parameters.'
    """

    spec: str
    seed: int
    rows: tuple[Row, ...]
    traced: str
    to_check: tuple[str, ...] = ()

    def factors(self, optimizer: OptimizerName = "adamw") -> dict[str, Factors]:
        """Return the factors of every parameter under an optimizer, by qualified name.

        Args:
            optimizer: a name such as ``sgd``, ``adamw`` or ``muon``, or a class of ``torch.optim``.

        Raises:
            InitBenchError: there are factors, and none are known for this optimizer.
        """
        rates = self.rate_factors
        return {r.parameter: factors_for(optimizer, rates.get(r.parameter, {})) for r in self.rows}

    @cached_property
    def table(self) -> "pd.DataFrame":
        """Tidy frame, a row per parameter; columns are those of ``Row``.

        ``initialiser``, ``std_wanted`` and ``std_got`` are the old names of ``initializer``,
        ``std_nominal`` and ``std_measured``.
        """
        import pandas as pd

        names = list(Row.__dataclass_fields__)
        frame = pd.DataFrame([vars(row) for row in self.rows], columns=names)
        frame[["fan_in", "fan_out"]] = frame[["fan_in", "fan_out"]].astype("Int64")
        frame = frame.astype({"gain": float, "std_nominal": float, "std_measured": float})
        return frame.assign(**{old: frame[new] for old, new in RENAMED.items()})

    @property
    def left(self) -> dict[str, str]:
        """Parameters that keep the values they had, with the reason."""
        return {r.parameter: r.note for r in self.rows if r.initializer == UNCHANGED}

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        filled = len(self.rows) - len(self.left)
        unchanged = f" Unchanged: {', '.join(self.left)}." if self.left else ""
        return (
            f"{self.spec}, seed {self.seed}: filled {filled} of {len(self.rows)} "
            f"parameters.{unchanged}"
        )

    def figure(self) -> "Figure":
        """Draw the std of each parameter, nominal and measured."""
        from init_bench.figures import parameter_stds  # here: filling weights must not wait for it

        return parameter_stds(self.table, caption=f"{self.summary} {self.traced}")

    def to_json(self) -> str:
        """Return ``spec``, ``seed``, ``summary`` and ``rows`` as JSON."""
        rows = json_records(self.table.drop(columns=list(RENAMED)))
        head = {"spec": self.spec, "seed": self.seed, "summary": self.summary}
        to_check = {"to_check": self.to_check} if self.to_check else {}
        return json.dumps({**head, **to_check, "rows": rows}, ensure_ascii=False)

    def save(self, folder: str | Path, name: str = "initialization") -> list[Path]:
        """Write figure, HTML and JSON into ``folder``; return the paths."""
        from init_bench.figures.export import files_of

        return write_files(Path(folder), files_of(self, name))

    def __str__(self) -> str:
        return self._text()

    def __repr__(self) -> str:
        return self._text(max_rows=MOST_ROWS)

    def _text(self, max_rows: int | None = None) -> str:
        frame = self.table[self._shown].to_string(
            index=False, na_rep="", float_format="{:.4g}".format, max_rows=max_rows
        )
        return f"{self.summary} {self.traced}\n{frame}\n{self._meaning}"

    def _repr_html_(self) -> str:
        frame = self.table[self._shown].to_html(
            index=False, na_rep="", float_format="{:.4g}".format
        )
        meaning = html.escape(self._meaning).replace("\n", "<br>")
        return f"<p>{html.escape(f'{self.summary} {self.traced}')}</p>{frame}<p>{meaning}</p>"

    @property
    def _meaning(self) -> str:
        """Explain the columns; say so where the initializer starts from another one."""
        lines = [MEANING]
        drawn = {row.initializer for row in self.rows if row.note != "override"}
        if drawn and self.spec not in drawn:
            lines.insert(0, f"initializer: what {self.spec} starts from; note: what it then did.")
        if self.rate_factors:
            lines.append(MEANING_OF_RATES)
        return "\n".join([*lines, *(f"Check the model: {text}." for text in self.to_check)])

    @property
    def _shown(self) -> list[str]:
        """Columns of a printed report."""
        return [*SHOWN[:-1], *RATES, SHOWN[-1]] if self.rate_factors else SHOWN
