"""Fill deep transformers: DeepNorm and Sub-LN, whose norms and factors are the model's."""

import math
from collections.abc import Iterator

from torch import fx

from init_bench.errors import InitBenchError
from init_bench.init.graph.node_inputs import function_name
from init_bench.init.graph.structure import is_any_norm
from init_bench.init.graph.tracer import Tracer
from init_bench.init.whole_model.custom_norms import start_norms
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.transformer_parts import Place, places, scale_value, stack_of

_SCALED = ("value", "inside", "output")
"""The parts whose weights are made smaller or larger; queries and keys are not."""


def deepnorm_(network: Network, *, outputs: str | None = None) -> None:
    """Fill a transformer of N layers so that updates stay bounded with LayerNorm(αx + f(x)).

    Formula:
        Glorot's normal, with gain β = (8N)^(−1/4) for value and output projections and the MLP,
        1 for queries and keys; the model multiplies its skips by α = (2N)^(1/4). Biases 0. Of N
        layers of an encoder with M of a decoder: β = 0.87 (N⁴M)^(−1/16), α = 0.81 (N⁴M)^(1/16) in
        the encoder, β = (12M)^(−1/4), α = (3M)^(1/4) in the decoder.

    Shapes:
        network: an encoder, a decoder or both, placed as by ``llama``; of both, blocks are told
        apart by torch's classes or by ``encoder`` and ``decoder`` in their names. α is the
        model's: the report says so where no skip of the model is multiplied by it.

    Raises:
        InitBenchError: a weight of a block cannot be placed, or a model with an encoder and a
            decoder has blocks that are in neither.

    Source:
        Wang et al., DeepNet: Scaling Transformers to 1,000 Layers, 2022, figure 2 (recalled);
        (8N)^(1/4) and the parts as in ``torchscale/architecture/encoder.py`` (code read).

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> report = initialize(nn.TransformerEncoder(layer, num_layers=2), "deepnorm")
        >>> row = report.rows[4]
        >>> row.parameter, round(row.std_nominal / (2 / 24) ** 0.5, 3), 16 ** (-1 / 4)
        ('layers.0.linear1.weight', 0.5, 0.5)
        >>> row.note
        'times beta = 0.5; needs skips times alpha = 1.414, which this model has not'
    """
    found, depths = _fill(network, outputs)
    present = list(skip_factors(network))
    for role, (alpha, beta) in _deepnorm_factors(depths).items():
        has_alpha = any(math.isclose(alpha, factor, rel_tol=0.01) for factor in present)
        missing = f"; needs skips times alpha = {alpha:.4g}, which this model has not"
        note = f"times beta = {beta:.4g}{'' if has_alpha else missing}"
        _scale(network, _within(network, found, role), beta, note)


def _deepnorm_factors(depths: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Return α and β of each stack."""
    if "" in depths:
        return {"": ((2 * depths[""]) ** 0.25, (8 * depths[""]) ** -0.25)}
    both = (depths["encoder"] ** 4 * depths["decoder"]) ** (1 / 16)
    decoding = (3 * depths["decoder"]) ** 0.25, (12 * depths["decoder"]) ** -0.25
    return {"encoder": (0.81 * both, 0.87 / both), "decoder": decoding}


def sub_ln_(network: Network, *, outputs: str | None = None) -> None:
    """Fill a transformer of N layers with Sub-LN: a second norm before each output projection.

    Formula:
        Glorot's normal, with gain γ = √(ln 2N) for value and output projections and the MLP, 1
        for queries and keys. Biases 0. Of N layers of an encoder with M of a decoder: γ =
        √(ln 3M · ln 2N / 3) in the encoder, √(ln 3M) in the decoder.

    Shapes:
        network: as for ``deepnorm``. The norms are the model's: the report says so where a block
        has fewer than four.

    Raises:
        InitBenchError: as ``deepnorm``.

    Source:
        Wang et al., Foundation Transformers (Magneto), 2022, figure 2 (recalled); √(ln 2N) and
        the parts as in ``torchscale/architecture/encoder.py`` (code read).

    Example:
        >>> import math
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> report = initialize(nn.TransformerEncoder(layer, num_layers=4), "sub_ln")
        >>> row = report.rows[4]
        >>> round((row.std_nominal / (2 / 24) ** 0.5) ** 2, 4), round(math.log(8), 4)
        (2.0794, 2.0794)
    """
    found, depths = _fill(network, outputs)
    norms = sum(is_any_norm(module) for module in network.model.modules())
    missing = "; needs a norm before each output projection too, which this model has not"
    lacks = missing if norms < 4 * sum(depths.values()) else ""
    for role, gain in _sub_ln_gains(depths).items():
        _scale(network, _within(network, found, role), gain, f"times gamma = {gain:.4g}{lacks}")


def _sub_ln_gains(depths: dict[str, int]) -> dict[str, float]:
    if "" in depths:
        return {"": math.sqrt(math.log(2 * depths[""]))}
    decoding = math.log(3 * depths["decoder"])
    encoding = math.sqrt(decoding * math.log(2 * depths["encoder"]) / 3)
    return {"encoder": encoding, "decoder": math.sqrt(decoding)}


def skip_factors(network: Network) -> Iterator[float]:
    """Yield the constants that multiply one side of a sum, or that a block calls ``alpha``."""
    for module in network.model.modules():
        if isinstance(value := getattr(module, "alpha", None), int | float):
            yield float(value)
    try:
        graph = Tracer().trace(network.model)
    except Exception:  # whatever the user's forward function does with a proxy
        return
    for node in graph.nodes:
        if function_name(node) in ("add", "iadd"):
            yield from _constants(node)


def _constants(add: fx.Node) -> Iterator[float]:
    if isinstance(alpha := add.kwargs.get("alpha"), int | float):
        yield float(alpha)
    for source in add.all_input_nodes:
        if function_name(source) in ("mul", "imul"):
            yield from (float(value) for value in source.args if isinstance(value, int | float))


def _fill(network: Network, outputs: str | None) -> tuple[dict[str, Place], dict[str, int]]:
    """Fill by Glorot's normal; return the place of each weight of a block, and the depths."""
    found = {name: place for name, place in places(network, outputs).items() if place.blocks}
    depths = _depths(network, found)
    network.start("xavier_normal")
    start_norms(network)
    return found, depths


def _depths(network: Network, found: dict[str, Place]) -> dict[str, int]:
    """Return the number of layers of encoder and decoder, or of the one stack under no name."""
    depths: dict[str, int] = {}
    for name, place in found.items():
        role = stack_of(network, network.parameters[name])
        depths[role] = max(place.blocks, depths.get(role, 0))
    if not {"encoder", "decoder"} <= set(depths):
        return {"": max(depths.values())}
    if "" in depths:
        unclear = next(name for name in found if not stack_of(network, network.parameters[name]))
        raise InitBenchError(
            f"this model has encoder and decoder, whose factors differ, and {unclear!r} is in "
            f"neither: initialize each stack alone, initialize(model.encoder, ...), or keep it "
            f"out with an override"
        )
    return depths


def _within(network: Network, found: dict[str, Place], role: str) -> dict[str, Place]:
    """Return the weights of one stack; of all, where it has no name."""
    return {
        n: place
        for n, place in found.items()
        if not role or stack_of(network, network.parameters[n]) == role
    }


def _scale(network: Network, found: dict[str, Place], factor: float, note: str) -> None:
    for name, place in found.items():
        parameter = network.parameters[name]
        if place.part == "packed":
            scale_value(network, parameter, factor, note)
        elif place.part in _SCALED:
            network.scale(parameter, factor, note)
