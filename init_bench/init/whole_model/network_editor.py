"""Give an initializer of a whole network what it works with: fill, write, scale, run."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.isolation import preserved_state
from init_bench.hooks.model_call import run
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init.lookup import Init
from init_bench.init.spec import InitSpec, parse
from init_bench.init.std_formulas import NominalStd
from init_bench.init.tensor_inits.torch_builtin import DEFAULT
from init_bench.init.whole_model.fill_log import Filled, FillLog
from init_bench.init.whole_model.model_graph import ModelGraph
from init_bench.init.whole_model.objective import objective
from init_bench.init.whole_model.parameter_roles import can_reset
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.rate_factors import FactorsByKind
from init_bench.init.whole_model.report import UNCHANGED
from init_bench.init.whole_model.tensor_fill import (
    clear_padding,
    draw_parameter,
    fill_all,
    fill_parameter,
    nominal_std_drawn,
    nominal_std_of,
    reset_all,
    reset_parameter,
)


class NetworkInit(Protocol):
    """Fill a network through ``network``, which draws, records and respects overrides."""

    def __call__(self, network: "Network") -> None: ...


@dataclass(frozen=True, kw_only=True)
class Override:
    """Replace the initializer of one parameter; ``by_name`` if its pattern names the parameter."""

    init: InitSpec
    by_name: bool


class Network(ModelGraph):
    """Fill the parameters of a model and record what was done; those with an override stay.

    ``initialize`` makes one and hands it to the initializer, which calls ``start`` first and then
    ``fill``, ``write`` or ``scale`` for single parameters. It runs the model inside
    ``preserved_state``.

    Attributes:
        model: the module, changed in place.
        parameters: its parameters by qualified name, tied ones once. A ``NamedParameter`` knows
            where a parameter lives (``module``, ``attribute``), its ``values`` and its ``role``:
            ``weight``, ``bias``, ``reset`` (by the module itself) or ``left`` (unchanged).
        filled: what was done so far, by qualified name.
        batch: what ``initialize`` was given as ``batch``: inputs or (inputs, targets), which
            ``run`` and ``objective`` take apart; ``None`` without.
        kept: why parameters keep their values, by qualified name.
        loss: what it was given as ``loss``; ``objective`` calls it. ``None`` without.
        seed: of the streams that all draws come from.
        rate_factors: factors of the learning rate, as ``set_rates`` was given them.
        to_check: what the rule asks of the model's forward function and tracing did not find.

    Example:
        >>> import torch
        >>> from init_bench import init, initialize
        >>> def level_(network):
        ...     network.start("he_normal")
        ...     with network.preserved_state():
        ...         spread = network.run().std().item()
        ...     network.scale(network.output_weight, 1 / spread, note="leveled")
        >>> init.register_init("level", level_, needs="batch")
        >>> model, inputs = nn.Linear(3, 2), torch.eye(3)
        >>> report = initialize(model, "level", batch=inputs)
        >>> report.table["note"].tolist(), round(model(inputs).std().item(), 4)
        (['leveled', ''], 1.0)
        >>> init.BATCH_INITS.pop("level") is level_
        True
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        seed: int = 0,
        activation: str | None = None,
        batch: Any = None,
        loss: Callable[..., Tensor] | None = None,
        overrides: Mapping[str, Override] | None = None,
        kept: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, activation=activation)
        self.seed, self.batch, self.loss = seed, batch, loss
        self.overrides = overrides or {}
        marked = {p.name: p.why for p in self.parameters.values() if p.why}
        plain = {name: why for name, why in marked.items() if name not in self.overrides}
        self.kept = plain | dict(kept or {})
        self.filled = FillLog()
        self.rate_factors: dict[str, FactorsByKind] = {}
        self.to_check: list[str] = []

    def start(self, spec: str | InitSpec) -> None:
        """Fill every parameter by an initializer of one tensor, then those with an override."""
        init = parse(spec) if isinstance(spec, str) else spec
        if init.resets_modules:
            return self.reset()
        if init.needs != "tensor":
            raise InitBenchError(f"a start is an initializer of one tensor, not {str(init)!r}")
        found = list(self.parameters.values())
        with self._kept_as_they_are():
            fill_all(self.model, found, init, self.seed, self._nonlinearity_to_fill_for)
        for parameter in found:
            self.filled[parameter.name] = self._started(parameter, init)
        self._fill_overrides()

    def reset(self) -> None:
        """Let torch fill every module as it builds it, then fill those with an override."""
        before = {p.name: (p.values.clone(), p.values._version) for p in self.parameters.values()}
        with self._kept_as_they_are():
            reset_all(self.model, self.seed)
        for parameter in self.parameters.values():
            values, version = before[parameter.name]
            written = parameter.values._version != version or not _equal(parameter.values, values)
            filled = written or (parameter.is_torchs and can_reset(parameter.module))
            done = Filled(initializer=DEFAULT) if filled else Filled.unchanged(parameter)
            self.filled[parameter.name] = self._kept_entry(parameter) or done
        self._fill_overrides()

    def release(self, parameter: NamedParameter) -> None:
        """Let what was made for a parameter fill it, though others leave it; ``keep=`` stays."""
        if self.kept.get(parameter.name) == parameter.why:
            self.kept.pop(parameter.name, None)

    def keep_all(self, why: str) -> None:
        """Leave every parameter as it is, but for those with an override."""
        for name in self.parameters:
            self.filled[name] = Filled(initializer=UNCHANGED, note=self.kept.get(name, why))
        self._fill_overrides()

    @contextmanager
    def _kept_as_they_are(self) -> Iterator[None]:
        """Give the parameters that are kept their values back when the block ends."""
        kept = [(self.parameters[name], self.parameters[name].values.clone()) for name in self.kept]
        yield
        for parameter, values in kept:
            parameter.write(values)

    def _kept_entry(self, parameter: NamedParameter) -> Filled | None:
        why = self.kept.get(parameter.name)
        return None if why is None else Filled(initializer=UNCHANGED, note=why)

    def _nonlinearity_to_fill_for(self, parameter: NamedParameter) -> str:
        """Return what follows a weight, of one that gets other values afterwards nothing."""
        return "" if self.has_override(parameter) else self.nonlinearity(parameter)[0]

    def _started(self, parameter: NamedParameter, init: InitSpec) -> Filled:
        if kept := self._kept_entry(parameter):
            return kept
        if parameter.role == "left":
            return Filled.unchanged(parameter)
        if parameter.role == "reset":
            kind = type(parameter.module).__name__
            return Filled(initializer=DEFAULT, note=f"as {kind} starts")
        nominal = nominal_std_of(parameter, init, self._nonlinearity_to_fill_for(parameter))
        name = "zeros" if parameter.role == "bias" and nominal.std == 0 else str(init)
        return Filled(initializer=name, nominal=nominal)

    def _fill_overrides(self) -> None:
        for name, override in self.overrides.items():
            if name not in self.kept:
                self._override(self.parameters[name], override)

    def _override(self, parameter: NamedParameter, override: Override) -> None:
        init, nonlinearity = override.init, self.nonlinearity(parameter)[0]
        name, nominal = str(init), NominalStd()
        if init.resets_modules:
            beside = [p for p in self.parameters.values() if p.module is parameter.module]
            reset_parameter(parameter, beside, self.seed)
        elif override.by_name or parameter.role not in ("weight", "bias"):
            draw_parameter(parameter, init, self.seed)
            nominal = nominal_std_drawn(parameter, init)
        else:
            fill_parameter(parameter, init, self.seed, nonlinearity)
            nominal = nominal_std_of(parameter, init, nonlinearity)
            if parameter.role == "bias":
                name, nominal = "zeros", NominalStd(std=0.0)
        self.filled[parameter.name] = Filled(initializer=name, nominal=nominal, note="override")

    def has_override(self, parameter: NamedParameter) -> bool:
        """Return whether ``parameter`` has an override, or is kept, and must stay as it is."""
        return parameter.name in self.overrides or parameter.name in self.kept

    def fill(self, parameter: NamedParameter, spec: str, note: str = "") -> None:
        """Let ``spec`` draw one parameter, from its own stream."""
        if not self.has_override(parameter):
            init = parse(spec)
            draw_parameter(parameter, init, self.seed)
            nominal = nominal_std_drawn(parameter, init)
            self.filled[parameter.name] = Filled(initializer=str(init), nominal=nominal, note=note)

    def draw(
        self,
        parameter: NamedParameter,
        fill: Init,
        label: str,
        note: str = "",
        *,
        std: float | None = None,
    ) -> None:
        """Let ``fill`` draw every matrix of one parameter, from its stream, aiming at ``std``."""
        if not self.has_override(parameter):
            parameter.draw(fill, stream(self.seed, parameter.name))
            clear_padding(parameter)
            self.filled[parameter.name] = Filled(
                initializer=label, nominal=NominalStd(std=std), note=note
            )

    def write(
        self,
        parameter: NamedParameter,
        values: Tensor,
        label: str,
        note: str = "",
        *,
        std: float | None = None,
    ) -> None:
        """Give one parameter ``values`` of the initializer's own making, which aim at ``std``."""
        if not self.has_override(parameter):
            parameter.write(values)
            self.filled[parameter.name] = Filled(
                initializer=label, nominal=NominalStd(std=std), note=note
            )

    def scale(self, parameter: NamedParameter, factor: float, note: str = "") -> None:
        """Multiply one parameter; its nominal std follows."""
        if not self.has_override(parameter):
            parameter.write(parameter.values * factor)
            self.filled.scale(parameter.name, factor)
            self.filled.add_note(parameter.name, note)

    def set_rates(self, parameter: NamedParameter, factors: FactorsByKind) -> None:
        """Let one parameter learn at a rate of its own, kept and overridden ones too."""
        self.rate_factors[parameter.name] = factors

    def note(self, parameter: NamedParameter, text: str) -> None:
        """Say something more about one parameter in the report."""
        self.filled.add_note(parameter.name, text)

    def trainable(self, *, with_overrides: bool = False) -> list[NamedParameter]:
        """Return the parameters that take gradients, with an override only on request."""
        plain = [
            s for s in self.parameters.values() if not s.parametrized and s.parameter.requires_grad
        ]
        return [s for s in plain if with_overrides or not self.has_override(s)]

    @contextmanager
    def preserved_state(self) -> Iterator[None]:
        """Restore buffers, modes and RNG states after a run; draws inside are the network's own."""
        with preserved_state(self.model), drawing_from(stream(self.seed, "looking")):
            yield

    def looking(self) -> AbstractContextManager[None]:
        """Return ``preserved_state()``: deprecated name."""
        _warn_renamed("looking()", "preserved_state()")
        return self.preserved_state()

    def keeps(self, parameter: NamedParameter) -> bool:
        """Return ``has_override(parameter)``: deprecated name."""
        _warn_renamed("keeps()", "has_override()")
        return self.has_override(parameter)

    @property
    def slots(self) -> dict[str, NamedParameter]:
        """Return ``parameters``: deprecated name."""
        _warn_renamed("slots", "parameters")
        return self.parameters

    def run(self) -> Any:
        """Return the model's output on the batch."""
        return run(self.model, self.batch)

    def objective(self, model: Callable[..., Any] | None = None) -> Tensor:
        """Return the scalar loss of the model, or of ``model`` in its place."""
        return objective(model or self.model, self.batch, self.loss)


def _equal(values: Tensor, others: Tensor) -> bool:
    """Return whether all values are the same, nan being equal to nan; of no values, True."""
    if values.is_meta:
        return True
    same = values == others
    return bool((same | ((values != values) & (others != others))).all())


def _warn_renamed(old: str, new: str) -> None:
    warnings.warn(f"Network.{old} is now Network.{new}", FutureWarning, stacklevel=3)
