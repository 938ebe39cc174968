"""Fill attention mimetically: products of its weights near the identity, as after training."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.hooks.random_streams import stream
from init_bench.init.graph.structure import layers_before, own_layer
from init_bench.init.lookup import Init
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.transformer_parts import Part, part_of

_HEADS = ("num_heads", "n_heads", "n_head", "num_attention_heads", "heads")
"""How modules call their number of heads."""


@dataclass(frozen=True, kw_only=True)
class _Attention:
    """Name the weights of one attention: apart, or queries, keys and values packed in one."""

    path: str
    parts: dict[Part, NamedParameter]
    heads: int


def mimetic_(
    network: Network,
    *,
    start: str = "xavier_uniform",
    query_key: float = 0.7,
    value_output: float = 0.4,
    heads: int | None = None,
) -> None:
    """Fill self-attention so that W_QᵀW_K of each head is near the identity, W_O W_V near minus it.

    Formula:
        M = c (Z + I), Z_ij ~ N(0, 1/d), c = ``query_key``; of each head W_Q = √S_k U_kᵀ and W_K =
        √S_k V_kᵀ from the k largest singular values of M = U S Vᵀ. M' = c' (Z − I), c' =
        ``value_output``; W_O = U √S, W_V = √S Vᵀ from all of M'. All else by ``start``.

    Shapes:
        network: any with attention of width d: torch's, or layers of the usual names; as many
        heads for keys and values as for queries. Made for vision models with sinusoidal positions;
        language models were found to have the other sign of W_O W_V: give value_output < 0.

    Raises:
        InitBenchError: there is no self-attention, it is unclear which of several weights is its
            query, key, value or output, its heads are not known, not equal or do not divide the
            width, or a factor is not finite.

    Source:
        Trockman & Kolter, Mimetic Initialization of Self-Attention Layers, 2023 (abstract read;
        constants and factors as in two reimplementations, code read, which differ in which of
        the products has 0.7).

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> layer = nn.MultiheadAttention(64, 1)
        >>> report = initialize(layer, "mimetic")
        >>> value = layer.in_proj_weight[128:]
        >>> -0.5 < float((layer.out_proj.weight @ value).diagonal().mean().detach()) < -0.3
        True
    """
    for name, factor in (("query_key", query_key), ("value_output", value_output)):
        check_finite(factor, name)
    found = list(_attentions(network, heads))
    if not found:
        raise InitBenchError(
            "mimetic found no self-attention: nn.MultiheadAttention, or layers called q_proj, "
            "k_proj, v_proj and o_proj, or c_attn and c_proj, and the like"
        )
    network.start(start)
    for attention in found:
        _fill(network, attention, query_key, value_output)


def _attentions(network: Network, heads: int | None) -> Iterator[_Attention]:
    around: dict[str, dict[Part, list[NamedParameter]]] = {}
    for parameter in network.weights:
        part = part_of(network, parameter)
        if part in ("query", "key", "value", "packed", "output"):
            home = parameter.path
            if parameter.attribute == "weight":
                home = home.rpartition(".")[0]
            around.setdefault(home, {}).setdefault(part, []).append(parameter)
    for path, found in around.items():
        if set(found) in ({"packed", "output"}, {"query", "key", "value", "output"}):
            parts = {part: _the_one(network, part, found) for part in found}
            yield _Attention(path=path, parts=parts, heads=heads or _heads(network, path))


def _the_one(
    network: Network, part: Part, found: dict[Part, list[NamedParameter]]
) -> NamedParameter:
    """Return the weight of that name; of several outputs the one that takes the values.

    Raises:
        InitBenchError: several are left.
    """
    left = [p for p in found[part] if not network.has_override(p)] or found[part]
    if len(left) > 1 and part == "output":
        values = {p.name for key in ("value", "packed") for p in found.get(key, ())}
        left = [p for p in left if values & _weights_before(network, p)] or left
    if len(left) > 1:
        names = [repr(p.name) for p in left]
        raise InitBenchError(
            f"{' and '.join(names)} may each be the {part} of one attention, and tracing does not "
            f"tell: fill all but one otherwise, overrides={{{names[-1]}: 'xavier_uniform'}}"
        )
    return left[0]


def _weights_before(network: Network, parameter: NamedParameter) -> set[str]:
    """Return the weights whose layers give what the layer of this one takes."""
    names = [p.name for p in network.weights]
    before = layers_before(network.model, names, parameter.name)
    return {name for name in names if own_layer(name, before) in before}


def _heads(network: Network, path: str) -> int:
    module = network.model.get_submodule(path)
    for holder in (module, getattr(module, "config", None)):
        for name in _HEADS:
            if isinstance(number := getattr(holder, name, None), int):
                return number
    raise InitBenchError(
        f"the number of heads of {_named(network, path)} is not known: it has none of "
        f"{', '.join(_HEADS)}; give heads=8 or what it is"
    )


def _named(network: Network, path: str) -> str:
    """Return what a message calls the module of that name; the model itself has none."""
    return repr(path) if path else f"this {type(network.model).__name__}"


def _fill(network: Network, attention: _Attention, query_key: float, value_output: float) -> None:
    shapes = {part: _shape(p) for part, p in attention.parts.items()}
    width = shapes["output"][0]
    whole = {"query": width, "key": width, "value": width, "packed": 3 * width, "output": width}
    if any(shape != (whole[part], width) for part, shape in shapes.items()):
        raise InitBenchError(
            f"mimetic needs queries, keys and values of the width of the stream, with as many "
            f"heads each, but the weights of {_named(network, attention.path)} (n_out, n_in) are "
            f"{shapes}; keep them out with keep=['{attention.path or '*'}'] or use another "
            f"initializer"
        )
    if attention.heads < 1 or width % attention.heads:
        raise InitBenchError(
            f"the number of heads must divide the width {width} of {attention.path!r}, got "
            f"{attention.heads}; give heads=8 or what it is"
        )
    values = _values(network, attention, width, query_key, value_output)
    packed = torch.cat([values[part] for part in ("query", "key", "value")])
    for part, parameter in attention.parts.items():
        made = packed if part == "packed" else values[part]
        note = "W_O W_V near minus the identity, W_QᵀW_K near the identity"
        network.draw(parameter, _writer(made), "mimetic", note)


def _shape(parameter: NamedParameter) -> tuple[int, int]:
    blocks = parameter.blocks(parameter.values)
    return sum(block.shape[0] for block in blocks), blocks[0].shape[1]


def _writer(made: Tensor) -> Init:
    """Return a fill that writes the rows of ``made``, block after block."""
    done = 0

    def fill(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        nonlocal done
        done += len(tensor)
        return tensor.copy_(made[done - len(tensor) : done])

    return fill


def _values(
    network: Network, attention: _Attention, width: int, query_key: float, value_output: float
) -> dict[Part, Tensor]:
    output = attention.parts["output"]
    device = "meta" if output.values.is_meta else "cpu"
    generator = stream(network.seed, output.name)
    eye, head = torch.eye(width, device=device), width // attention.heads

    def factors(product: Tensor) -> tuple[Tensor, Tensor]:
        left, size, right = torch.linalg.svd(product)
        return left * size.sqrt(), size.sqrt()[:, None] * right

    def noise() -> Tensor:
        draws = torch.empty(width, width, device=device)
        return draws.normal_(std=width**-0.5, generator=None if draws.is_meta else generator)

    pairs = [factors(query_key * (noise() + eye)) for _ in range(attention.heads)]
    query = torch.cat([left[:, :head].T for left, _ in pairs])
    key = torch.cat([right[:head] for _, right in pairs])
    out, value = factors(value_output * (noise() - eye))
    return {"query": query, "key": key, "value": value, "output": out}
