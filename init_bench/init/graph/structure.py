"""Find which nonlinearity follows each layer, the order of layers, and residual branches."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import fx, nn

from init_bench.activations.recognition import is_dyt, name_of
from init_bench.hooks.module_names import has_children
from init_bench.init.graph.branch import Branch
from init_bench.init.graph.ends import (
    first_and_last,
    nearest_before,
    plain_attention,
    scale_behind,
)
from init_bench.init.graph.residual_sums import residual_branches
from init_bench.init.graph.torch_transformers import (
    attention_modules,
    nonlinearities_inside,
    transformer_branches,
)
from init_bench.init.graph.traced import Traced, layer_of, names_module, nonlinearity_of, runs_layer
from init_bench.init.graph.tracer import Tracer

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What tracing found.

    Attributes:
        order: qualified names of the modules in order of execution.
        follows: the nonlinearity after each layer, by the name of its module, of a weight that is
            used as it is by that of the weight.
        branches: residual branches.
        how: ``fx`` (the forward function was traced), ``order`` (modules stand in a
            ``Sequential``, the forward function could not be traced).
        failure: why the forward function could not be traced.
        first: layers into which no other layer leads: modules, and parameters used as they are.
        last: layers that lead into no other.
        output_scale: product of the numbers that input and output of the last layer are
            multiplied by.
        attention: modules in which torch's attention divides by √d.
    """

    order: tuple[str, ...]
    follows: Mapping[str, str]
    branches: tuple[Branch, ...]
    how: str
    failure: str = ""
    first: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()
    output_scale: float = 1.0
    attention: tuple[str, ...] = ()

    def nonlinearity_after(self, name: str) -> str | None:
        """Return the nonlinearity after the weight ``name``, ``None`` if it is not known.

        It is that of the module that runs: the weight's own, or one of torch's around it, such as
        an attention.
        """
        while name and name not in self.follows:
            name = name.rpartition(".")[0]
        return self.follows.get(name)


def trace(model: nn.Module, weights: Iterable[str]) -> Structure:
    """Find out how the layers that hold the ``weights`` of ``model`` are connected.

    Nothing is run: the forward function is traced, or the order in each ``Sequential`` read.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 1))
        >>> trace(model, ["0.weight", "3.weight"]).follows
        {'0': 'tanh', '3': 'identity'}
    """
    weights = set(weights)
    layers = {name.rpartition(".")[0] for name in weights}
    known = dict(nonlinearities_inside(model))
    if is_plain_sequence(model):
        return _in_order(model, layers)
    tracer = Tracer()
    try:
        graph = tracer.trace(model)
    except Exception as cause:  # whatever the user's forward function does with a proxy
        found = _in_order(model, layers)
        failure = f"{type(cause).__name__}: {cause}".split("\n")[0]
        return Structure(
            order=found.order,
            follows=dict(found.follows) | known,
            branches=tuple(transformer_branches(model)),
            how="order",
            failure=failure,
            attention=tuple(attention_modules(model)),
        )
    traced = Traced(graph, model, weights, tracer.node_name_to_scope)
    runs = traced.runs
    names = {node: str(node.target) for node in traced.layers}
    first, last = first_and_last(names, traced.signal, model)
    behind = _nonlinearities_behind(traced)
    return Structure(
        order=tuple(dict.fromkeys(layer_of(n) for n in graph.nodes if names_module(n, runs))),
        follows={name: behind.get(node, "identity") for node, name in names.items()} | known,
        branches=(*residual_branches(traced), *transformer_branches(model)),
        how="fx",
        first=first,
        last=last,
        output_scale=_output_scale(traced, last),
        attention=(*plain_attention(graph, traced.owner_of), *attention_modules(model)),
    )


def layers_before(model: nn.Module, weights: Iterable[str], target: str) -> set[str]:
    """Return the layers whose outputs reach the layer of the weight ``target`` past no other one.

    Layers go by the names of their modules, those without one by that of their weight. Empty where
    the forward function cannot be traced.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2), nn.Linear(2, 1))
        >>> layers_before(model, ["0.weight", "2.weight", "3.weight"], "3.weight")
        {'2'}
    """
    tracer = Tracer()
    try:
        graph = tracer.trace(model)
    except Exception:  # whatever the user's forward function does with a proxy
        return set()
    traced = Traced(graph, model, set(weights), tracer.node_name_to_scope)
    names = {node: str(node.target) for node in traced.layers}
    return nearest_before(own_layer(target, names.values()), names, traced.signal, model)


def own_layer(weight: str, layers: Iterable[str]) -> str:
    """Return the layer that a weight belongs to: itself, or the module around it."""
    return weight if weight in layers else weight.rpartition(".")[0]


def _output_scale(traced: Traced, last: frozenset[str]) -> float:
    """Return the product of the numbers around the last layer: before it and behind it."""
    scale = 1.0
    for node in traced.graph.nodes:
        if node.op == "output" and len(node.all_input_nodes) == 1:
            scale *= scale_behind(node.all_input_nodes[0], traced.model, traced.layers)
        if str(node.target) in last and len(node.all_input_nodes) == 1:
            scale *= scale_behind(node.all_input_nodes[0], traced.model, traced.layers)
    return scale


def is_plain_sequence(model: nn.Module) -> bool:
    """Return whether ``model`` is a ``Sequential`` of torch's own leaves: nothing to trace."""
    return type(model) is nn.Sequential and all(
        type(part).__module__.startswith("torch.nn.modules") and not has_children(part)
        for part in model
    )


def is_norm(module: nn.Module) -> bool:
    """Return whether ``module`` normalizes, or is a DyT, and then scales by its weight γ."""
    return isinstance(module, _NORMS) or is_dyt(module)


def is_any_norm(module: nn.Module) -> bool:
    """Return whether a module normalizes: torch's classes, DyT, and classes called so.

    Example:
        >>> is_any_norm(nn.RMSNorm(3)), is_any_norm(nn.Linear(3, 3))
        (True, False)
    """
    return is_norm(module) or "Norm" in type(module).__name__


def _in_order(model: nn.Module, layers: set[str]) -> Structure:
    """Follow modules as ``Sequential`` runs them; elsewhere their order says nothing."""
    follows: dict[str, str] = {}
    for path, module in model.named_modules():
        if type(module) is nn.Sequential:
            parts = list(_leaves(path, module))
            at_the_end = "" if path else "identity"  # what runs behind an inner one is not known
            for index, (name, _) in enumerate(parts):
                behind = _first_behind(parts[index + 1 :], layers, at_the_end)
                if name in layers and behind:
                    follows.setdefault(name, behind)
    order = tuple(path for path, module in model.named_modules() if not has_children(module))
    row = [path for path in order if path in layers] if is_plain_sequence(model) else []
    return Structure(
        order=order,
        follows=follows,
        branches=(),
        how="order",
        first=frozenset(row[:1]),
        last=frozenset(row[-1:]),
    )


def _first_behind(parts: list[tuple[str, nn.Module]], layers: set[str], at_the_end: str) -> str:
    for name, module in parts:
        if name in layers:
            return "identity"
        if has_children(module):
            return ""  # a block of its own: what it does first is not known
        if found := name_of(module):
            return found
    return at_the_end


def _leaves(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield what a ``Sequential`` runs, nested ones unrolled."""
    for name, part in module.named_children():
        where = f"{path}.{name}".lstrip(".")
        if type(part) is nn.Sequential:
            yield from _leaves(where, part)
        else:
            yield where, part


def _nonlinearities_behind(traced: Traced) -> dict[fx.Node, str]:
    """Return the nearest nonlinearity on any way out of each node that meets no other layer.

    From the last node to the first, so that each is asked once: the way out of a block goes
    through the skips of all blocks after it.
    """
    nearest: dict[fx.Node, tuple[int, str]] = {}
    for user in reversed(traced.graph.nodes):
        steps, name = 1, nonlinearity_of(user, traced.model)
        if not name and user in nearest and not runs_layer(user, traced.runs):
            steps, name = nearest[user][0] + 1, nearest[user][1]
        if not name:
            continue
        for source in traced.same_layer(user):
            if source not in nearest or steps <= nearest[source][0]:  # of equal ones the first
                nearest[source] = steps, name
    return {node: name for node, (_, name) in nearest.items()}
