"""What an initialiser of a whole network works with: fills, scales, looks, keeps a record."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.isolation import undisturbed
from init_bench.hooks.model_call import run
from init_bench.init.graph.structure import Branch, Structure, is_norm, trace
from init_bench.init.spec import InitSpec, parse
from init_bench.init.std_formulas import NominalStd
from init_bench.init.tensor_inits.fans import module_fans
from init_bench.init.tensor_inits.torch_builtin import DEFAULT
from init_bench.init.whole_model.objective import objective
from init_bench.init.whole_model.parameters import Slot, can_reset, matching, slots
from init_bench.init.whole_model.report import RESET, UNCHANGED
from init_bench.init.whole_model.tensor_fill import (
    draw_slot,
    fill_all,
    fill_slot,
    nominal_std_of,
    reset_all,
    reset_slot,
)
from init_bench.randomness import drawing_from, stream


class NetworkInit(Protocol):
    """Fills a network through ``network``, which draws, keeps the record and every override."""

    def __call__(self, network: "Network") -> None: ...


@dataclass(frozen=True, kw_only=True)
class Override:
    """An initialiser of one parameter's own; ``by_name`` if its pattern names the parameter."""

    init: InitSpec
    by_name: bool


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What was done to one parameter."""

    initialiser: str
    nominal: NominalStd = field(default_factory=NominalStd)
    note: str = ""


class Network:
    """A model under initialisation. Parameters with an override of their own stay as that says.

    ``initialize`` makes one and hands it to the initialiser, which calls ``start`` first and then
    ``fill``, ``write`` or ``scale`` for single parameters, and runs the model inside ``looking``.

    Attributes:
        model: the module, changed in place.
        slots: its parameters by qualified name, tied ones once. A ``Slot`` knows where a
            parameter lives (``module``, ``attribute``), its ``values`` and its ``role``:
            ``weight``, ``bias``, ``reset`` (by the module itself) or ``left`` (alone).
        filled: what was done so far, by qualified name.
        batch: what ``initialize`` was given as ``batch``: inputs or (inputs, targets), which
            ``run`` and ``objective`` take apart; ``None`` without.
        loss: what it was given as ``loss``; ``objective`` calls it. ``None`` without.
        seed: of the streams that all draws come from.

    Example:
        >>> import torch
        >>> from init_bench import init, initialize
        >>> def level_(network):
        ...     network.start("he_normal")
        ...     with network.looking():
        ...         spread = network.run().std().item()
        ...     network.scale(network.output_weight, 1 / spread, note="levelled")
        >>> init.register_init("level", level_, needs="batch")
        >>> model, inputs = nn.Linear(3, 2), torch.eye(3)
        >>> report = initialize(model, "level", batch=inputs)
        >>> report.table["note"].tolist(), round(model(inputs).std().item(), 4)
        (['levelled', ''], 1.0)
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
    ) -> None:
        self.model, self.seed, self.activation = model, seed, activation or ""
        self.batch, self.loss = batch, loss
        self.overrides = overrides or {}
        self.slots = {slot.name: slot for slot in slots(model)}
        self.filled: dict[str, Filled] = {}

    @property
    def weights(self) -> list[Slot]:
        """Weights in order of execution, where tracing found it, else of definition."""
        order = {path: index for index, path in enumerate(self.structure.order)}
        found = [slot for slot in self.slots.values() if slot.role == "weight"]
        return sorted(found, key=lambda slot: _place(slot.path, order))

    @cached_property
    def structure(self) -> Structure:
        """What tracing found: order, nonlinearities, residual branches."""
        return trace(self.model, [s.name for s in self.slots.values() if s.role == "weight"])

    @property
    def output_weight(self) -> Slot:
        """The weight that runs last, parts that never run left aside."""
        order = {path: index for index, path in enumerate(self.structure.order)}
        run = [slot for slot in self.weights if _place(slot.path, order) < len(order)]
        return (run or self.weights)[-1]

    def nonlinearity(self, slot: Slot) -> tuple[str, str]:
        """Return what follows the layer of a weight, and how that was found."""
        if slot.role != "weight":
            return "", ""
        if (found := self.structure.behind(slot.path)) is not None:
            return found, self.structure.how
        return self.activation, "activation=" if self.activation else "unknown"

    def start(self, spec: str | InitSpec) -> None:
        """Fill every parameter by an initialiser of one tensor, then those with an override."""
        init = parse(spec) if isinstance(spec, str) else spec
        if init.name == DEFAULT:
            return self.reset()
        if init.needs != "tensor":
            raise InitBenchError(f"a start is an initialiser of one tensor, not {str(init)!r}")
        found = list(self.slots.values())
        fill_all(self.model, found, init, self.seed, lambda slot: self.nonlinearity(slot)[0])
        for slot in found:
            self.filled[slot.name] = self._started(slot, init)
        self._fill_overrides()

    def reset(self) -> None:
        """Let torch fill every module as it builds it, then fill those with an override."""
        reset_all(self.model, self.seed)
        for slot in self.slots.values():
            can = can_reset(slot.module)
            self.filled[slot.name] = Filled(initialiser=DEFAULT) if can else _unchanged(slot)
        self._fill_overrides()

    def _started(self, slot: Slot, init: InitSpec) -> Filled:
        if slot.role == "left":
            return _unchanged(slot)
        if slot.role == "reset":
            return Filled(initialiser=RESET, note=f"as {type(slot.module).__name__} gives it")
        nominal = nominal_std_of(slot, init, self.nonlinearity(slot)[0])
        name = "zeros" if slot.role == "bias" and nominal.std == 0 else str(init)
        return Filled(initialiser=name, nominal=nominal)

    def _fill_overrides(self) -> None:
        for name, override in self.overrides.items():
            self._override(self.slots[name], override)

    def _override(self, slot: Slot, override: Override) -> None:
        init, nominal = override.init, NominalStd()
        if init.name == DEFAULT:
            beside = [s for s in self.slots.values() if s.module is slot.module]
            reset_slot(slot, beside, self.seed)
        elif override.by_name or slot.role not in ("weight", "bias"):
            draw_slot(slot, init, self.seed)
            nominal = nominal_std_of(slot, init, self.nonlinearity(slot)[0])
        else:
            fill_slot(slot, init, self.seed, self.nonlinearity(slot)[0])
            nominal = nominal_std_of(slot, init, self.nonlinearity(slot)[0])
        is_zero = slot.role == "bias" and not override.by_name and init.name != DEFAULT
        if is_zero:
            nominal = NominalStd(std=0.0)
        name = "zeros" if is_zero else str(init)
        self.filled[slot.name] = Filled(initialiser=name, nominal=nominal, note="override")

    def keeps(self, slot: Slot) -> bool:
        """Return whether ``slot`` has an override and must stay as it is."""
        return slot.name in self.overrides

    def fill(self, slot: Slot, spec: str, note: str = "") -> None:
        """Let ``spec`` draw one parameter, from its own stream."""
        if not self.keeps(slot):
            init = parse(spec)
            draw_slot(slot, init, self.seed)
            nominal = nominal_std_of(slot, init)
            self.filled[slot.name] = Filled(initialiser=str(init), nominal=nominal, note=note)

    def write(
        self, slot: Slot, values: Tensor, label: str, note: str = "", *, std: float | None = None
    ) -> None:
        """Give one parameter ``values`` of the initialiser's own making, which aim at ``std``."""
        if not self.keeps(slot):
            slot.write(values)
            self.filled[slot.name] = Filled(
                initialiser=label, nominal=NominalStd(std=std), note=note
            )

    def scale(self, slot: Slot, factor: float, note: str = "") -> None:
        """Multiply one parameter; the std it aims at follows."""
        if not self.keeps(slot):
            slot.write(slot.values * factor)
            done = self.filled[slot.name]
            std = None if done.nominal.std is None else done.nominal.std * abs(factor)
            nominal = NominalStd(gain=done.nominal.gain, std=std)
            self.filled[slot.name] = replace(done, nominal=nominal, note=_joined(done.note, note))

    def note(self, slot: Slot, text: str) -> None:
        """Say something more about one parameter in the report."""
        done = self.filled[slot.name]
        self.filled[slot.name] = replace(done, note=_joined(done.note, text))

    def branches(self, pattern: str | None = None) -> list[Branch]:
        """Return the residual branches: those traced, or the modules that ``pattern`` names.

        Raises:
            InitBenchError: there is none.
        """
        if pattern is not None:
            modules = dict(self.model.named_modules())
            return [_as_branch(path, modules[path]) for path in matching(pattern, modules)]
        if self.structure.branches:
            return list(self.structure.branches)
        failure = self.structure.failure
        why = f" (its forward function could not be traced: {failure})" if failure else ""
        raise InitBenchError(
            f"found no residual branch x + f(x) with weights in this "
            f"{type(self.model).__name__}{why}; name the modules that are branches, as in "
            f"branches='blocks.*.branch'"
        )

    def weights_of(self, branch: Branch) -> list[Slot]:
        """Return the weights inside a branch, in order of execution."""
        found = [s for path in dict.fromkeys(branch.modules) for s in self.within(path)]
        return [slot for slot in dict.fromkeys(found) if slot.role == "weight"]

    def within(self, path: str) -> list[Slot]:
        """Return the parameters of the module of that name and of those inside it."""
        return [s for s in self.slots.values() if f"{s.path}.".startswith(f"{path}.")]

    def scalars_of(self, branch: Branch) -> list[Slot]:
        """Return the parameters of one element that a branch uses as they are, biases aside."""
        found = [self.slots[name] for name in branch.parameters if name in self.slots]
        return [s for s in found if s.values.numel() == 1 and "bias" not in s.attribute]

    def biases_of(self, weight: Slot) -> list[Slot]:
        """Return the bias that torch adds to what ``weight`` gives, in a list, empty if none."""
        name = weight.attribute.replace("weight", "bias")
        return [s for s in self.slots.values() if s.module is weight.module and s.attribute == name]

    def fan_in(self, weight: Slot) -> int:
        """Return how many inputs one unit of the layer sums."""
        return module_fans(weight.module, weight.attribute)[0]

    def trainable(self, *, kept: bool = False) -> list[Slot]:
        """Return the parameters that take gradients, those with an override only if ``kept``."""
        plain = [s for s in self.slots.values() if not s.parametrised and s.parameter.requires_grad]
        return [s for s in plain if kept or not self.keeps(s)]

    def last_norm(self, branch: Branch) -> Slot | None:
        """Return the scale γ of the norm behind the last weight of a branch, if there is one."""
        for path in reversed(branch.modules):
            if is_norm(self.model.get_submodule(path)):
                return self.slots.get(f"{path}.weight")
            if any(slot.role == "weight" for slot in self.within(path)):
                return None
        return None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Run the model without a trace: buffers, modes and RNG come back, draws are ours."""
        with undisturbed(self.model), drawing_from(stream(self.seed, "looking")):
            yield

    def run(self) -> Any:
        """Return the model's output on the batch."""
        return run(self.model, self.batch)

    def objective(self, model: Callable[..., Any] | None = None) -> Tensor:
        """Return the scalar loss of the model, or of ``model`` in its place."""
        return objective(model or self.model, self.batch, self.loss)


def _unchanged(slot: Slot) -> Filled:
    return Filled(
        initialiser=UNCHANGED, note=f"{type(slot.module).__name__} does not say how it starts"
    )


def _place(path: str, order: Mapping[str, int]) -> int:
    """Return when the module, or the one of torch's around it, runs; unknown ones come last."""
    while path and path not in order:
        path = path.rpartition(".")[0]
    return order.get(path, len(order))


def _as_branch(path: str, module: nn.Module) -> Branch:
    inside = [name for name, part in module.named_modules(prefix=path) if not any(part.children())]
    return Branch(
        modules=tuple(inside), parameters=tuple(name for name, _ in module.named_parameters(path))
    )


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
