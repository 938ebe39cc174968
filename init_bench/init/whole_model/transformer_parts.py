"""Place the weights of a transformer: embedding, head, attention, MLP, ends of branches."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from torch import nn

from init_bench.errors import InitBenchError
from init_bench.hooks.module_names import has_children
from init_bench.init.whole_model.model_graph import ModelGraph
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter

Part = Literal[
    "embedding", "head", "outside", "query", "key", "value", "packed", "router", "inside", "output"
]
"""What a weight is for: ``packed`` holds query, key and value one after another, ``output`` ends a
residual branch, ``inside`` is any other of a block, ``outside`` lies before or after the blocks."""


_NAMES: dict[Part, str] = {
    "query": "q_proj query wq w_q c_q to_q q_lin q q_proj_weight",
    "key": "k_proj key wk w_k c_k to_k k_lin k k_proj_weight",
    "value": "v_proj value wv w_v c_v to_v v_lin v v_proj_weight",
    "packed": "c_attn qkv query_key_value wqkv in_proj_weight qkv_proj w_pack w_qkv to_qkv",
    "output": (
        "o_proj out_proj wo w_o w_out out_lin to_out o c_proj proj dense "
        "down_proj w2 fc2 linear2 dense_4h_to_h fc_out lin2 ff_out"
    ),
    "inside": (
        "gate_proj up_proj gate_up_proj w1 w3 v1 fc1 c_fc linear1 dense_h_to_4h fc_in lin1 wi "
        "wi_0 wi_1 ff_proj w_in w12 in_proj x_proj dt_proj conv1d"
    ),
    "router": "router",
}


_PART_OF: dict[str, Part] = {name: part for part, text in _NAMES.items() for name in text.split()}
"""What the usual names of layers say, those of PyTorch's, transformers', timm's and fairseq's."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Say where a weight stands.

    Attributes:
        part: what it is for.
        attention: whether it belongs to attention, and not to an MLP.
        block: index of its block, from 0; ``None`` outside.
        blocks: how many blocks its stack has; 0 outside.
        tied: whether an embedding is the head too.
    """

    part: Part
    attention: bool = False
    block: int | None = None
    blocks: int = 0
    tied: bool = False


def places(network: Network, outputs: str | None = None) -> dict[str, Place]:
    """Return the place of every weight, by qualified name.

    The end of a residual branch is found by tracing; where the forward function cannot be traced,
    blocks are the modules of a list of equal ones, and the usual names tell what is what.

    Args:
        network: the model, nothing changed in it.
        outputs: ``fnmatch`` patterns of qualified weight or module names, separated by commas: the
            weights that end a residual branch. All others of a block then lie inside.

    Raises:
        InitBenchError: a weight of a block is neither traced nor of a known name, and has no
            override; no weight ends a residual branch; a pattern matches nothing.
    """
    found = dict(_outside(network))
    found |= _by_pattern(network, outputs) if outputs else _in_blocks(network)
    if not any(place.part == "output" for place in found.values()):
        if outputs:
            raise InitBenchError(
                f"outputs={outputs!r} matches no weight inside a list of blocks; there are: "
                f"{', '.join(p.name for p in network.weights[:8])}"
            )
        network.branches(  # says why there is none
            instead="name the weights that end one, as in outputs='blocks.*.fc2', or use an "
            "initializer that asks for none, such as fan_in or small"
        )
    return found


def branch_ends(network: Network, pattern: str | None = None) -> list[list[NamedParameter]]:
    """Return the weights that end each residual branch, traced, named by a pattern or by its name.

    Raises:
        InitBenchError: there is none.
    """
    if pattern is None and not network.structure.branches:
        found = {name for name, _, part in _named(network) if part == "output"}
        if found:
            return [[parameter] for parameter in network.weights if parameter.name in found]
    return [network.ends_of(branch) for branch in network.branches(pattern)]


def stack_of(network: ModelGraph, parameter: NamedParameter) -> str:
    """Return ``encoder`` or ``decoder``, where the modules around the weight say so; else ""."""
    path = parameter.path.split(".")
    for end in range(len(path), 0, -1):
        module = network.model.get_submodule(".".join(path[:end]))
        if isinstance(module, nn.TransformerEncoderLayer) or path[end - 1] == "encoder":
            return "encoder"
        if isinstance(module, nn.TransformerDecoderLayer) or path[end - 1] == "decoder":
            return "decoder"
    return ""


def scale_value(network: Network, parameter: NamedParameter, factor: float, note: str) -> None:
    """Multiply the value's part of packed query, key and value; queries are as wide as inputs."""
    if network.has_override(parameter):
        return
    values = parameter.values.clone()
    blocks = parameter.blocks(values)
    if len(blocks) == 3:
        share = 1 / 3
        blocks[-1].mul_(factor)
    else:
        rows, columns = blocks[0].shape
        number = (rows - columns) // 2
        share = number / rows
        blocks[0][rows - number :].mul_(factor)
    done = network.filled[parameter.name]
    std = done.nominal.std and done.nominal.std * math.sqrt(1 - share + share * factor**2)
    network.write(parameter, values, done.initializer, f"value's part {note}", std=std)


def _outside(network: Network) -> Iterator[tuple[str, Place]]:
    """Yield embeddings and the weights before and after the blocks; the last one is the head."""
    inside = {name for name, _, _ in _named(network)} | set(_traced(network))
    ends = [p for p in network.weights if not p.is_table and p.name not in inside]
    defined = [name for name, p in network.parameters.items() if p in ends or name in inside]
    for parameter in network.weights:
        if parameter.is_table:
            yield parameter.name, Place(part="embedding", tied=is_tied_table(network, parameter))
        elif parameter in ends:
            is_head = parameter is ends[-1] and parameter.name == defined[-1]
            yield parameter.name, Place(part="head" if is_head else "outside")


def is_tied_table(network: ModelGraph, table: NamedParameter) -> bool:
    """Return whether another module uses the table as a matrix."""
    value = table.parameter
    return any(
        value is other and not isinstance(module, nn.Embedding | nn.EmbeddingBag)
        for module in network.model.modules()
        for other in module._parameters.values()
    )


def _by_pattern(network: Network, outputs: str) -> dict[str, Place]:
    patterns = [part.strip() for part in outputs.split(",")]
    found = {}
    for name, place, _ in _named(network):
        parameter = network.parameters[name]
        hit = any(fnmatchcase(text, p) for text in (name, parameter.path) for p in patterns)
        found[name] = replace(place, part="output" if hit else "inside")
    return found


def _in_blocks(network: Network) -> dict[str, Place]:
    if traced := _traced(network):
        return traced
    found = {}
    for name, place, part in _named(network):
        parameter = network.parameters[name]
        if part is None and not network.has_override(parameter):
            raise InitBenchError(_unplaced(parameter))
        found[name] = replace(place, part=part or "inside")
    return found


def _unplaced(parameter: NamedParameter) -> str:
    asked = f"*.{parameter.path.rpartition('.')[2]}"
    kind, shape = type(parameter.module).__name__, tuple(parameter.values.shape)
    return (
        f"cannot place {parameter.name!r} ({kind}, shape {shape}): the forward function was not "
        f"traced, and the name tells no role. Name the weights that end a residual branch, with "
        f"this one or without: outputs={asked!r} (several patterns with commas); or give it an "
        f"override, overrides={{{parameter.name!r}: 'normal(std=0.02)'}}"
    )


def _traced(network: Network) -> dict[str, Place]:
    """Return the places in traced residual branches; outside a list of blocks two are a block."""
    found: dict[str, Place] = {}
    lists = dict(_stacks(network.model))
    branches = network.structure.branches
    for index, branch in enumerate(branches):
        ends = network.ends_of(branch)
        for parameter in network.weights_of(branch):
            named = part_of(network, parameter) or "inside"
            inner: Part = "inside" if named == "output" else named
            in_list = _block_of(parameter.path, lists)
            block, blocks = in_list or (index // 2, (len(branches) + 1) // 2)
            found[parameter.name] = Place(
                part="output" if parameter in ends else inner,
                attention=_in_attention(parameter),
                block=block,
                blocks=blocks,
            )
    return found


def _named(network: ModelGraph) -> Iterator[tuple[str, Place, Part | None]]:
    """Yield each weight of a list of blocks with its place, and the part that its name tells."""
    lists = dict(_stacks(network.model))
    for parameter in network.weights:
        home = _block_of(parameter.path, lists)
        if home is None or parameter.is_table:
            continue
        index, blocks = home
        place = Place(part="inside", attention=_in_attention(parameter), block=index, blocks=blocks)
        yield parameter.name, place, part_of(network, parameter)


def _stacks(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Yield the lists of blocks: equal modules of several layers; the outermost come first."""
    for path, module in model.named_modules():
        parts = list(module.children())
        is_list = isinstance(module, nn.ModuleList | nn.Sequential)
        if is_list and parts and len({type(p) for p in parts}) == 1 and has_children(parts[0]):
            yield path, len(parts)


def _block_of(path: str, lists: Mapping[str, int]) -> tuple[int, int] | None:
    """Return index and number of the block around a module, ``None`` where there is none."""
    for home, number in lists.items():
        prefix = f"{home}." if home else ""
        first = path.removeprefix(prefix).split(".")[0]
        if path.startswith(prefix) and first.isdigit():
            return int(first), number
    return None


def part_of(network: ModelGraph, parameter: NamedParameter) -> Part | None:
    """Return what the name of a weight says about it, ``None`` if nothing.

    One whose outputs are as many as the matrices of a stack beside it is a router.
    """
    around = parameter.path.rpartition(".")[0]
    if parameter.role == "weight" and isinstance(parameter.module, nn.Linear):
        if parameter.values.shape[0] in network.stacks.get(around, ()):
            return "router"
    beside = dict(network.model.get_submodule(around).named_children())
    if _own_name(parameter) == "gate" and "experts" in beside:
        return "router"
    return part_named(parameter)


def part_named(parameter: NamedParameter) -> Part | None:
    """Return what the name of a weight says, whatever lies beside it; ``None`` if nothing."""
    name = _own_name(parameter)
    around, _, last = parameter.path.rpartition(".")
    if name == "dense" and around.rpartition(".")[2] == "intermediate":
        return "inside"
    return _PART_OF.get(name) or _PART_OF.get(last.lower())


def _own_name(parameter: NamedParameter) -> str:
    """Return what names a weight: its module, or itself where the module holds several."""
    own = parameter.path.rpartition(".")[2] if parameter.attribute == "weight" else ""
    return (own or parameter.attribute).lower()


def _in_attention(parameter: NamedParameter) -> bool:
    return any("attn" in p or "attention" in p for p in parameter.name.lower().split("."))
