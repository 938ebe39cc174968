"""Answer how the parameters of a model are connected: order, nonlinearities, branches."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from torch import nn

from init_bench.errors import InitBenchError
from init_bench.hooks.module_names import has_children
from init_bench.init.graph.branch import Branch
from init_bench.init.graph.residual_sums import branches_at
from init_bench.init.graph.structure import (
    Structure,
    is_norm,
    trace,
)
from init_bench.init.tensor_inits.fans import fans
from init_bench.init.whole_model.parameter_names import all_names, matching
from init_bench.init.whole_model.parameters import NamedParameter, named_parameters


class ModelGraph:
    """Hold the parameters of a model by name and find how its layers follow each other.

    Attributes:
        model: the module.
        parameters: its parameters by qualified name, tied ones once.
    """

    def __init__(self, model: nn.Module, *, activation: str | None = None) -> None:
        self.model, self.activation = model, activation or ""
        self.parameters = {p.name: p for p in named_parameters(model)}

    @property
    def weights(self) -> list[NamedParameter]:
        """Weights in order of execution, where tracing found it, else of definition."""
        order = {path: index for index, path in enumerate(self.structure.order)}
        found = [parameter for parameter in self.parameters.values() if parameter.role == "weight"]
        return sorted(found, key=lambda parameter: _place(parameter.path, order))

    @cached_property
    def structure(self) -> Structure:
        """What tracing found: order, nonlinearities, branches with weights of their own."""
        weights = [s.name for s in self.parameters.values() if s.role == "weight"]
        found = trace(self.model, [name for weight in weights for name in self.names[weight]])
        own = tuple(branch for branch in found.branches if self.weights_of(branch))
        return replace(found, branches=own)

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """Every name of each parameter, of tied ones several, by the first."""
        return all_names(self.model, self.parameters)

    @cached_property
    def stacks(self) -> dict[str, set[int]]:
        """How many matrices the stacked weights of each module hold, by its qualified name."""
        found: dict[str, set[int]] = {}
        for parameter in self.parameters.values():
            axes = (parameter.use and parameter.use.axes) or ()
            if parameter.role == "weight" and axes[:1] == ("stack",):
                found.setdefault(parameter.path, set()).add(parameter.values.shape[0])
        return found

    @property
    def output_weight(self) -> NamedParameter:
        """The weight that runs last, parts that never run left aside."""
        order = {path: index for index, path in enumerate(self.structure.order)}
        run = [
            parameter for parameter in self.weights if _place(parameter.path, order) < len(order)
        ]
        return (run or self.weights)[-1]

    def nonlinearity(self, parameter: NamedParameter) -> tuple[str, str]:
        """Return what follows the layer of a weight, and how that was found."""
        if parameter.role != "weight":
            return "", ""
        if (found := self.structure.nonlinearity_after(parameter.name)) is not None:
            return found, self.structure.how
        return self.activation, "activation=" if self.activation else "unknown"

    def branches(
        self,
        pattern: str | None = None,
        *,
        instead: str = "name the modules that are branches, as in branches='blocks.*.branch'",
    ) -> list[Branch]:
        """Return the residual branches: those traced, or the modules that ``pattern`` names.

        Args:
            pattern: of qualified module names, by ``fnmatch``; what lies inside a module that it
                matches is part of that one. A block that adds branches to its input is those.
            instead: what to do where there is none, for the message.

        Raises:
            InitBenchError: there is none.
        """
        if pattern is not None:
            return self._named_branches(pattern)
        if self.structure.branches:
            return list(self.structure.branches)
        failure = self.structure.failure
        why = f" (its forward function could not be traced: {failure})" if failure else ""
        raise InitBenchError(
            f"found no residual branch x + f(x) with weights in this "
            f"{type(self.model).__name__}{why}; {instead}"
        )

    def _named_branches(self, pattern: str) -> list[Branch]:
        hits = matching(pattern, dict(self.model.named_modules()))
        outer = [path for path in hits if not any(path.startswith(f"{hit}.") for hit in hits)]
        found = [branch for path in outer for branch in self._branches_at(path)]
        found = [branch for branch in found if self.weights_of(branch)]
        if not found:
            raise InitBenchError(
                f"branches={pattern!r} names {', '.join(outer)}, without a weight inside: name the "
                f"modules that compute f of x + f(x)"
            )
        return found

    def _branches_at(self, path: str) -> list[Branch]:
        weights = [
            name for p in self.within(path) if p.role == "weight" for name in self.names[p.name]
        ]
        traced = branches_at(self.model, path, weights)
        return traced or [_as_built(path, self.model.get_submodule(path))]

    def weights_of(self, branch: Branch) -> list[NamedParameter]:
        """Return the weights inside a branch, in order of execution."""
        found = [s for path in dict.fromkeys(branch.modules) for s in self.within(path)]
        return [parameter for parameter in dict.fromkeys(found) if parameter.role == "weight"]

    def ends_of(self, branch: Branch) -> list[NamedParameter]:
        """Return the weights that give f(x): the last of a branch, of a sum each one's last."""
        layers = [[p for p in self.within(n) if p.role == "weight"] for n in branch.ends]
        ends = [weights[-1] for weights in layers if weights]
        return list(dict.fromkeys(ends)) or self.weights_of(branch)[-1:]

    def within(self, path: str) -> list[NamedParameter]:
        """Return the parameters of the module of that name and of those inside it, or the one."""
        return [
            parameter
            for name, parameter in self.parameters.items()
            if f"{parameter.path}.".startswith(f"{path}.") or path in self.names[name]
        ]

    def module_at(self, path: str) -> nn.Module | None:
        """Return the module of that name; ``None`` where a branch names a weight of no layer."""
        try:
            return self.model.get_submodule(path)
        except AttributeError:
            return None

    def biases_of(self, weight: NamedParameter) -> list[NamedParameter]:
        """Return the biases that torch adds to what ``weight`` gives: of a tied one several."""
        layers = {name.rpartition(".")[0] for name in self.names[weight.name]}
        attribute = weight.attribute.replace("weight", "bias")
        return [
            s for s in self.parameters.values() if s.path in layers and s.attribute == attribute
        ]

    def fan_in(self, weight: NamedParameter) -> int:
        """Return how many inputs one unit of the layer sums, 1 where it has none to fill."""
        return max(1, (weight.fans or fans(weight.values))[0])

    def last_norm(self, branch: Branch) -> NamedParameter | None:
        """Return the scale γ of the norm after the last weight of a branch, if there is one."""
        for path in reversed(branch.modules):
            module = self.module_at(path)
            if module is not None and is_norm(module):
                return self.parameters.get(f"{path}.weight")
            if any(parameter.role == "weight" for parameter in self.within(path)):
                return None
        return None


def _place(path: str, order: Mapping[str, int]) -> int:
    """Return when the module, or the one of torch's around it, runs; unknown ones come last."""
    while path and path not in order:
        path = path.rpartition(".")[0]
    return order.get(path, len(order))


def _as_built(path: str, module: nn.Module) -> Branch:
    own = tuple(name for name, _ in module.named_parameters(path))
    steps = tuple(_steps_inside(path, module))
    return Branch(modules=steps, parameters=own, factors=own, traced=False)


def _steps_inside(path: str, module: nn.Module) -> Iterator[str]:
    """Yield the innermost modules, and behind those of each module its parameters beside them."""
    if isinstance(module, nn.MultiheadAttention):  # its parameters run before its output layer
        yield path
        return
    for name, part in module.named_children():
        yield from _steps_inside(f"{path}.{name}", part)
    beside = [f"{path}.{name}" for name in module._parameters]
    yield from beside if has_children(module) else [path]
