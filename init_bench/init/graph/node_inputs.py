"""Find which inputs of an fx node carry tensor values: sizes and indices do not."""

import functools
import operator
from collections.abc import Iterable, Iterator
from typing import Any

from torch import fx, nn
from torch.nn import functional

_ABOUT = frozenset(
    "shape size stride dim ndim ndimension numel nelement len device dtype layout is_cuda "
    "is_floating_point is_complex requires_grad element_size itemsize nbytes".split()
)
"""Operations that return a tensor's properties, not its values."""


_MAKERS = ("new_", "zeros_like", "ones_like", "empty_like", "full_like", "rand")
"""How the names of steps begin that make a tensor as large as another."""


_FIRST_ALONE = frozenset(
    "getitem index_select gather take take_along_dim narrow select expand_as view_as reshape_as "
    "type_as to".split()
)
"""Steps that carry their first input: the others say where to look or how to lay it out."""


SUMMING = frozenset(
    "linear matmul mm mv bmm addmm einsum tensordot embedding conv1d conv2d conv3d "
    "conv_transpose1d conv_transpose2d conv_transpose3d".split()
)
"""Functions whose outputs sum over a weight."""


_LOOKUPS = (nn.Embedding, nn.EmbeddingBag)


_FUNCTIONAL_LOOKUPS = (functional.embedding, functional.embedding_bag)


def function_name(node: fx.Node) -> str:
    """Return the name of the function or method that ``node`` calls, empty if it calls none."""
    target: Any = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    return name.rstrip("_") if node.op in ("call_function", "call_method") else ""


def carried(node: fx.Node, model: nn.Module) -> list[fx.Node]:
    """Return the inputs of ``node`` whose values flow through it.

    Example:
        >>> class Sliced(nn.Module):
        ...     def forward(self, table, x):
        ...         return table[: x.shape[0]]
        >>> graph = fx.symbolic_trace(Sliced()).graph
        >>> [(node, carried(node, Sliced())) for node in graph.nodes if node.args]
        [(getattr_1, []), (getitem, [getattr_1]), (getitem_1, [table]), (output, [getitem_1])]
    """
    sources = node.all_input_nodes
    if node.op == "call_module":
        return [] if is_lookup(node, model) else sources
    if node.target in _FUNCTIONAL_LOOKUPS:
        return [source for source in sources if source is not node.args[0]]
    name = _asked(node)
    if name in _ABOUT or name.startswith(_MAKERS):
        return []
    return sources[:1] if name in _FIRST_ALONE else sources


def is_lookup(node: fx.Node, model: nn.Module) -> bool:
    """Return whether ``node`` looks up rows of a table, a parameter in brackets too."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(str(node.target)), _LOOKUPS)
    if function_name(node) == "getitem" and len(node.all_input_nodes) > 1:
        return node.all_input_nodes[0].op == "get_attr"
    return node.target in _FUNCTIONAL_LOOKUPS


def signals(graph: fx.Graph, model: nn.Module, layers: set[fx.Node]) -> dict[fx.Node, int]:
    """Return what each node carries the values of, as bits: itself, and what flows into it.

    A node into which sizes alone go carries nothing, unless it is one of the ``layers``.
    """
    found: dict[fx.Node, int] = {}
    for place, node in enumerate(graph.nodes):
        above = union(found[source] for source in carried(node, model))
        starts = node in layers or not node.all_input_nodes
        found[node] = above | 1 << place if above or starts else 0
    return found


def union(sets: Iterable[int]) -> int:
    """Return the union of sets of nodes, as bits."""
    return functools.reduce(operator.or_, sets, 0)


def places(nodes: int) -> Iterator[int]:
    """Yield the places in the graph of a set of nodes, the first one first.

    A set is an integer, bit i its i-th node: a network of 1,000 blocks has millions of pairs of a
    node and one above it, too many to hold one by one.

    Example:
        >>> list(places(0b1101))
        [0, 2, 3]
    """
    while nodes:
        lowest = nodes & -nodes
        yield lowest.bit_length() - 1
        nodes ^= lowest


def _asked(node: fx.Node) -> str:
    """Return the name of what ``node`` calls, or of the attribute it reads."""
    name = function_name(node)
    return str(node.args[1]) if name == "getattr" else name
