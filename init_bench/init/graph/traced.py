"""Hold a traced graph: which nodes run layers, and what values each carries."""

from collections.abc import Callable, Iterator, Mapping

from torch import fx, nn

from init_bench.activations.recognition import FUNCTION_NAMES, name_of
from init_bench.init.graph.node_inputs import (
    SUMMING,
    carried,
    function_name,
    is_lookup,
    signals,
    union,
)


class Traced:
    """Hold a traced graph, the nodes that run layers and what each node carries."""

    def __init__(
        self,
        graph: fx.Graph,
        model: nn.Module,
        weights: set[str],
        scopes: Mapping[str, tuple[str, type]],
    ) -> None:
        self.graph, self.model, self.scopes = graph, model, scopes
        around = {part for name in weights for part in prefixes(name.rpartition(".")[0])}
        self.runs = weights | around
        self.layers = {node: layer_of(node) for node in graph.nodes if runs_layer(node, self.runs)}
        self.signal = signals(graph, model, set(self.layers))
        self.own = {node: 1 << place for place, node in enumerate(graph.nodes)}
        self.weights = self._all(lambda node: node.op == "get_attr" and node in self.layers)
        self.starts = self._all(
            lambda node: node.op in ("placeholder", "call_module") or is_lookup(node, model)
        )

    def _all(self, wanted: Callable[[fx.Node], bool]) -> int:
        return union(own for node, own in self.own.items() if wanted(node))

    def same_layer(self, node: fx.Node) -> list[fx.Node]:
        """Return the inputs of ``node`` whose layer goes on in it.

        Of a product with a weight that is the weight, of any other step all that it carries.
        """
        sources = carried(node, self.model)
        if function_name(node) not in SUMMING:
            return sources
        return [source for source in sources if self._is_weight(source)] or sources

    def _is_weight(self, node: fx.Node) -> bool:
        return bool(self.signal[node] & self.weights) and not self.signal[node] & self.starts

    def owner_of(self, node: fx.Node) -> str:
        """Return the name of the module whose forward function does this step."""
        return self.scopes.get(node.name, ("",))[0]


def prefixes(path: str) -> Iterator[str]:
    """Yield ``path`` and the modules around it: torch's own may be the node that runs it."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def runs_layer(node: fx.Node, runs: set[str]) -> bool:
    """Return whether ``node`` runs a layer, a module of torch's around it, or takes a weight."""
    return node.op in ("call_module", "get_attr") and node.target in runs


def layer_of(node: fx.Node) -> str:
    target = str(node.target)
    return target if node.op == "call_module" else target.rpartition(".")[0]


def names_module(node: fx.Node, runs: set[str]) -> bool:
    return node.op == "call_module" or runs_layer(node, runs)


def nonlinearity_of(node: fx.Node, model: nn.Module) -> str | None:
    """Return the nonlinearity that ``node`` is, ``None`` if it is none."""
    if node.op == "call_module":
        return name_of(model.get_submodule(str(node.target)))
    name = function_name(node)
    return name if name in FUNCTION_NAMES else None
