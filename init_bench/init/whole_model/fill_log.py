"""Record what was done to each parameter while a network is initialized."""

from dataclasses import dataclass, field, replace

from init_bench.init.std_formulas import NominalStd
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.report import UNCHANGED


@dataclass(frozen=True, kw_only=True)
class Filled:
    """Say what was done to one parameter."""

    initializer: str
    nominal: NominalStd = field(default_factory=NominalStd)
    note: str = ""

    @classmethod
    def unchanged(cls, parameter: NamedParameter) -> "Filled":
        """Return the entry of a parameter that keeps its values."""
        kind = type(parameter.module).__name__
        return cls(
            initializer=UNCHANGED, note=parameter.why or f"{kind} does not say how it starts"
        )


class FillLog(dict[str, Filled]):
    """Map qualified names to what was done to each parameter so far."""

    def add_note(self, name: str, text: str) -> None:
        """Append a remark to the entry of one parameter."""
        done = self[name]
        note = "; ".join(part for part in (done.note, text) if part)
        self[name] = replace(done, note=note)

    def scale(self, name: str, factor: float) -> None:
        """Let the nominal std of one parameter follow a factor."""
        done = self[name]
        std = None if done.nominal.std is None else done.nominal.std * abs(factor)
        self[name] = replace(done, nominal=NominalStd(gain=done.nominal.gain, std=std))
