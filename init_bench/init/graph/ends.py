"""Find where a traced network begins and ends, and the numbers that scale what it computes."""

import operator
from collections import deque
from collections.abc import Callable, Container, Mapping

import torch
from torch import fx, nn
from torch.nn import functional

from init_bench.init.graph.node_inputs import carried, function_name, is_lookup, union

Signals = Mapping[fx.Node, int]
"""What each node carries the values of, as ``node_inputs.signals`` finds it."""


PASSING = frozenset(
    "view reshape transpose permute contiguous flatten getitem squeeze unsqueeze float to dropout "
    "movedim mean".split()
)
"""Steps that keep a factor of their input a factor of their output."""


_PRODUCTS: Mapping[str, Callable[[float, float], float]] = {
    "mul": operator.mul,
    "imul": operator.mul,
    "multiply": operator.mul,
    "div": operator.truediv,
    "truediv": operator.truediv,
    "itruediv": operator.truediv,
    "divide": operator.truediv,
}
"""Steps that multiply or divide, by name."""


def first_and_last(
    layers: Mapping[fx.Node, str], signals: Signals, model: nn.Module
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the layers into which no other one leads, and those that lead into none.

    Args:
        layers: the name of the layer that each node runs.
        signals: what each node carries the values of.
        model: that was traced.
    """
    places, points, before = _layers_before(layers, signals, model)
    leading = union(before.values())
    first = frozenset(points[point] for point, found in before.items() if not found)
    followed = {name for point, name in points.items() if leading >> places[point] & 1}
    return first, frozenset(points.values()) - followed


def nearest_before(
    target: str, layers: Mapping[fx.Node, str], signals: Signals, model: nn.Module
) -> set[str]:
    """Return the layers that lead into the one named ``target``, but for those before them.

    Args:
        target: one of the names in ``layers``.
        layers, signals, model: as for ``first_and_last``.
    """
    places, points, before = _layers_before(layers, signals, model)
    found = union(before[point] for point, name in points.items() if name == target)
    inside = [point for point in points if found >> places[point] & 1]
    farther = union(before[point] for point in inside)
    return {points[point] for point in inside if not farther >> places[point] & 1}


def _layers_before(
    layers: Mapping[fx.Node, str], signals: Signals, model: nn.Module
) -> tuple[dict[fx.Node, int], dict[fx.Node, str], dict[fx.Node, int]]:
    """Return the place of each node, each layer by the step where it meets its signal, and what
    layers lead into each of those steps, as bits."""
    places = {node: place for place, node in enumerate(signals)}
    starts = union(
        1 << place
        for node, place in places.items()
        if node.op in ("placeholder", "call_module") or is_lookup(node, model)
    )
    at = {node: _point(node, signals, starts, model) for node in layers}
    points = {point: layers[node] for node, point in at.items()}
    every = union(1 << places[point] for point in points)
    before = {point: signals[point] & every & ~(1 << places[point]) for point in points}
    return places, points, before


def _point(node: fx.Node, signals: Signals, starts: int, model: nn.Module) -> fx.Node:
    """Return where a weight meets a signal: the step that takes it, or the layer itself."""
    if node.op != "get_attr":
        return node
    queue = deque(node.users)
    while queue:
        user = queue.popleft()
        if is_lookup(user, model) or signals[user] & starts:
            return user
        queue.extend(user.users)
    return node


def scale_behind(node: fx.Node, model: nn.Module, stop: Container[fx.Node]) -> float:
    """Return the product of the numbers that a signal meets on its last way into ``node``.

    Example:
        >>> class Halved(nn.Module):
        ...     def forward(self, x):
        ...         return (x.relu() * 2 / 4).flatten(1)
        >>> graph = fx.symbolic_trace(Halved()).graph
        >>> scale_behind(list(graph.nodes)[-2], Halved(), set())
        0.5
    """
    scale = 1.0
    while node not in stop:
        sources = carried(node, model) if node.op.startswith("call") else []
        if len(sources) != 1:
            break
        name = function_name(node)
        number = next((arg for arg in node.args if isinstance(arg, int | float)), None)
        if name in _PRODUCTS and number:
            scale = _PRODUCTS[name](scale, number)
        elif name not in PASSING and not _passes(node, model):
            break
        node = sources[0]
    return scale


def _passes(node: fx.Node, model: nn.Module) -> bool:
    if node.op != "call_module":
        return False
    module = model.get_submodule(str(node.target))
    return isinstance(module, nn.Dropout | nn.Identity | nn.Flatten)


def plain_attention(graph: fx.Graph, owner_of: Callable[[fx.Node], str]) -> list[str]:
    """Return the modules that call torch's attention without a scale: it divides by √d."""
    calls = (functional.scaled_dot_product_attention, torch._C._nn.scaled_dot_product_attention)
    return [
        owner_of(node)
        for node in graph.nodes
        if node.op == "call_function"
        and node.target in calls
        and node.kwargs.get("scale") is None
        and len(node.args) < 7
    ]
