"""Find the residual branches of a traced graph: f of every sum x + f(x)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import fx, nn

from init_bench.init.graph.branch import Branch
from init_bench.init.graph.ends import PASSING, scale_behind
from init_bench.init.graph.node_inputs import function_name, places, union
from init_bench.init.graph.traced import Traced, names_module, nonlinearity_of, runs_layer
from init_bench.init.graph.tracer import Tracer

_ADDITIONS = {"add", "iadd", "add_"}


_PRODUCTS = {"mul", "imul", "multiply"}


def residual_branches(traced: Traced) -> Iterator[Branch]:
    """Yield f of every x + f(x); of x + f(x) + g(x), and of x + (f(x) + g(x)), both."""
    sums = _Sums(traced)
    for node in traced.graph.nodes:
        if (found := sums.skip_and_end(node)) is None:
            continue
        skip, end = found
        block = traced.owner_of(node)
        for part in sums.summands(end, block):
            inside = sums.inside(part, skip, block)
            if any(runs_layer(n, traced.runs) for n in inside):
                yield _branch(inside, traced, block=block)


class _Sums:
    """Tell the two sides of the sums of a graph apart, which are met in order of execution.

    Attributes:
        upto: each node and all before it, as bits.
        skips: the skip of each residual sum met so far.
    """

    def __init__(self, traced: Traced) -> None:
        self.traced, self.nodes = traced, list(traced.graph.nodes)
        self.layers = union(traced.own[node] for node in traced.layers)
        self.inputs = union(traced.own[n] for n in self.nodes if n.op == "placeholder")
        self.upto: dict[fx.Node, int] = {}
        for node in self.nodes:
            above = union(self.upto[source] for source in node.all_input_nodes)
            self.upto[node] = above | traced.own[node]
        self.skips: dict[fx.Node, fx.Node] = {}

    def skip_and_end(self, node: fx.Node) -> tuple[fx.Node, fx.Node] | None:
        """Return x and f(x) of a sum of both, ``None`` of any other step.

        Both carry the values of some x: the shape of an input is none, nor are its indices. The
        skip is what the branch is computed from, or a sum of that and other branches; else the
        side of fewer layers, which has one at most.
        """
        sources, signal = node.all_input_nodes, self.traced.signal
        if function_name(node) not in _ADDITIONS or len(sources) != 2:
            return None
        skip, end = sorted(sources, key=lambda s: self._own_layers(s, sources))
        if not signal[skip] & signal[end]:
            return None
        if self._leads_into(end, skip):
            skip, end = end, skip
        elif not self._leads_into(skip, end):
            few, many = (self._own_layers(s, sources) for s in (skip, end))
            if few > 1 or many <= few:
                return None
        if _is_modulated(end):
            return None
        self.skips[node] = skip
        return skip, end

    def summands(self, end: fx.Node, block: str) -> Iterator[fx.Node]:
        """Yield the branches that the block sums up to ``end``, itself if it is one."""
        sources = end.all_input_nodes
        is_sum = function_name(end) in _ADDITIONS and len(sources) == 2 and end not in self.skips
        is_sum &= self.traced.owner_of(end) == block
        if is_sum and all(self._own_layers(s, sources) for s in sources):
            for source in sources:
                yield from self.summands(source, block)
        else:
            yield end

    def inside(self, end: fx.Node, skip: fx.Node, block: str) -> list[fx.Node]:
        """Return the nodes of a branch: without the ways of other inputs up to its ``block``."""
        traced = self.traced
        shared = 1 << (traced.signal[skip] & traced.signal[end]).bit_length() >> 1
        found = [self.nodes[place] for place in places(self.upto[end] & ~self.upto[skip])]
        kept = [
            node
            for node in found
            if traced.signal[node] & shared
            or not self.upto[node] & self.inputs
            or f"{traced.owner_of(node)}.".startswith(f"{block}." if block else "")
        ]
        again = {s for n in kept for s in n.all_input_nodes if s.op == "get_attr"} - {skip, *kept}
        return [*sorted(again, key=lambda n: traced.own[n]), *kept]

    def _own_layers(self, node: fx.Node, sides: list[fx.Node]) -> int:
        """Return the number of layers of one side of a sum that the other has not."""
        other = union(self.upto[side] for side in sides if side is not node)
        return (self.upto[node] & ~other & self.layers).bit_count()

    def _leads_into(self, skip: fx.Node, end: fx.Node) -> bool:
        """Return whether ``end`` is computed from ``skip``, or from what that adds branches to."""
        while skip in self.skips and not self.upto[end] & self.traced.own[skip]:
            skip = self.skips[skip]
        return bool(self.upto[end] & self.traced.own[skip])


def _is_modulated(node: fx.Node) -> bool:
    """Return whether ``node`` is y · (1 + s) of signals: what is added then shifts it."""
    factors = list(node.all_input_nodes) if function_name(node) in _PRODUCTS else []
    while factors:
        factor = factors.pop()
        name, sources = function_name(factor), factor.all_input_nodes
        if name in _ADDITIONS and len(sources) == 1 and 1 in factor.args:
            return sources[0].op != "get_attr"
        if name in PASSING and sources:
            factors.append(sources[0])
    return False


def _branch(nodes: list[fx.Node], traced: Traced, *, block: str) -> Branch:
    """Return the branch that these nodes compute."""
    own = [n for n in nodes if n.op == "get_attr"]
    ends = _Ends(nodes, traced).of(nodes[-1])
    return Branch(
        modules=tuple(str(n.target) for n in nodes if names_module(n, traced.runs)),
        parameters=tuple(str(n.target) for n in own),
        ends=tuple(str(n.target) for n in ends),
        factors=tuple(str(n.target) for n in own if _multiplies(n, ends, traced)),
        block=block,
        scale=scale_behind(nodes[-1], traced.model, traced.layers),
    )


class _Ends:
    """Find the layers whose outputs come out of a branch past no other one."""

    def __init__(self, nodes: list[fx.Node], traced: Traced) -> None:
        self.traced, self.at = traced, {node: place for place, node in enumerate(nodes)}
        self.found: dict[fx.Node, list[fx.Node]] = {}

    def of(self, end: fx.Node) -> list[fx.Node]:
        """Return those layers: past no nonlinearity, unless there are none, the last one."""
        for node in self.at:  # in order of execution: what is in front of a step is known
            self.found[node] = self._of(node)
        layers = [node for node in self.at if runs_layer(node, self.traced.runs)]
        return self.found[end] or [max(layers, key=self._runs_at)]

    def _of(self, node: fx.Node) -> list[fx.Node]:
        if runs_layer(node, self.traced.runs):
            return [node]
        if nonlinearity_of(node, self.traced.model):
            return []
        before = [self.found[s] for s in node.all_input_nodes if self.found.get(s)]
        if function_name(node) in _ADDITIONS:
            return list(dict.fromkeys(layer for layers in before for layer in layers))
        return max(before, key=lambda layers: max(map(self._runs_at, layers)), default=[])

    def _runs_at(self, layer: fx.Node) -> int:
        if layer.op != "get_attr":
            return self.at[layer]
        return max(self.at.get(user, -1) for user in layer.users)


def _multiplies(node: fx.Node, ends: list[fx.Node], traced: Traced) -> bool:
    """Return whether a parameter, reshaped or not, multiplies what all the ``ends`` give."""
    wanted = union(traced.own[layer] for layer in ends)
    for user in node.users:
        name = function_name(user)
        others = union(traced.signal[s] for s in user.all_input_nodes if s is not node)
        if name in _PRODUCTS and not wanted & ~others:
            return True
        if name in PASSING and _multiplies(user, ends, traced):
            return True
    return False


def branches_at(model: nn.Module, path: str, weights: Iterable[str]) -> list[Branch]:
    """Return the module of that name as a branch, or those that it adds to its own input.

    Of several outputs, the first one that layers give counts.

    Args:
        model: that holds it.
        path: its qualified name.
        weights: qualified names of weights of the model.

    Returns:
        Nothing where the module cannot be traced, or no layer gives an output.
    """
    module, tracer, prefix = model.get_submodule(path), Tracer(), f"{path}."
    if tracer.is_leaf_module(module, path):
        return []
    try:
        graph = tracer.trace(module)
    except Exception:  # whatever the user's forward function does with a proxy
        return []
    own = {name.removeprefix(prefix) for name in weights if name.startswith(prefix)}
    traced = Traced(graph, module, own, tracer.node_name_to_scope)
    sums = _Sums(traced)
    outputs = sums.nodes[-1].all_input_nodes
    end = next((node for node in outputs if sums.upto[node] & sums.layers), None)
    if end is None:
        return []
    inside = [n for n in sums.nodes if sums.upto[end] & ~sums.inputs & traced.own[n]]
    whole = _branch(inside, traced, block="")
    inner = list(residual_branches(traced)) if _adds_to_input(sums, end) else []
    return [_prefixed(branch, prefix) for branch in inner or [whole]]


def _adds_to_input(sums: _Sums, stream: fx.Node) -> bool:
    """Return whether ``stream`` is an input plus branches."""
    for node in sums.nodes:
        sums.skip_and_end(node)
    while stream in sums.skips:
        stream = sums.skips[stream]
    return stream.op == "placeholder"


def _prefixed(branch: Branch, prefix: str) -> Branch:
    """Return a branch of a part of a model by the names that it has in the model."""
    modules, parameters, ends, factors = (
        tuple(prefix + name for name in names)
        for names in (branch.modules, branch.parameters, branch.ends, branch.factors)
    )
    block = f"{prefix}{branch.block}".rstrip(".")
    return replace(
        branch, modules=modules, parameters=parameters, ends=ends, factors=factors, block=block
    )
