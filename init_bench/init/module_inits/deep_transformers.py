"""Fill deep transformers: DeepNorm and Sub-LN, whose norms and factors are the model's."""

import math
from collections.abc import Iterator

from torch import fx, nn

from init_bench.errors import InitBenchError
from init_bench.init.graph.dataflow import function_name
from init_bench.init.graph.tracer import Tracer
from init_bench.init.whole_model.network import Network
from init_bench.init.whole_model.own_norms import is_any_norm, start_norms
from init_bench.init.whole_model.transformer_parts import Place, places, scale_value

_SCALED = ("value", "inside", "output")
"""The parts whose weights are made smaller or larger; queries and keys are not."""


def deepnorm_(network: Network, *, outputs: str | None = None) -> None:
    """Fill a transformer of N layers so that updates stay bounded with LayerNorm(αx + f(x)).

    Formula:
        Glorot's normal, with gain β = (8N)^(−1/4) for value and output projections and the MLP,
        1 for queries and keys; the model multiplies its skips by α = (2N)^(1/4). Biases 0.

    Shapes:
        network: an encoder or a decoder, placed as by ``llama``. α is the model's: the report
        says so where no skip of the model is multiplied by it.

    Raises:
        InitBenchError: a weight of a block cannot be placed, or the model is both encoder and
            decoder, which have an α and a β each.

    Source:
        Wang et al., DeepNet: Scaling Transformers to 1,000 Layers, 2022, figure 2 (recalled);
        (8N)^(1/4) and the parts as in ``torchscale/architecture/encoder.py`` (code read).

    Example:
        >>> from init_bench import initialize
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> report = initialize(nn.TransformerEncoder(layer, num_layers=2), "deepnorm")
        >>> row = report.rows[4]
        >>> row.parameter, round(row.std_nominal / (2 / 24) ** 0.5, 3), 16 ** (-1 / 4)
        ('layers.0.linear1.weight', 0.5, 0.5)
        >>> row.note
        'times beta = 0.5; needs skips times alpha = 1.414, which this model has not'
    """
    depth = _fill(network, outputs)
    alpha, beta = (2 * depth) ** 0.25, (8 * depth) ** -0.25
    has_alpha = any(math.isclose(alpha, found, rel_tol=0.01) for found in skip_factors(network))
    missing = f"; needs skips times alpha = {alpha:.4g}, which this model has not"
    _scale(network, outputs, beta, f"times beta = {beta:.4g}{'' if has_alpha else missing}")


def sub_ln_(network: Network, *, outputs: str | None = None) -> None:
    """Fill a transformer of N layers with Sub-LN: a second norm before each output projection.

    Formula:
        Glorot's normal, with gain γ = √(ln 2N) for value and output projections and the MLP, 1
        for queries and keys. Biases 0.

    Shapes:
        network: an encoder or a decoder, placed as by ``llama``. The norms are the model's: the
        report says so where a block has fewer than four.

    Raises:
        InitBenchError: as ``deepnorm``.

    Source:
        Wang et al., Foundation Transformers (Magneto), 2022, figure 2 (recalled); √(ln 2N) and
        the parts as in ``torchscale/architecture/encoder.py`` (code read).

    Example:
        >>> from init_bench import initialize
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> report = initialize(nn.TransformerEncoder(layer, num_layers=4), "sub_ln")
        >>> row = report.rows[4]
        >>> round((row.std_nominal / (2 / 24) ** 0.5) ** 2, 4), round(math.log(8), 4)
        (2.0794, 2.0794)
    """
    depth = _fill(network, outputs)
    gain = math.sqrt(math.log(2 * depth))
    norms = sum(is_any_norm(module) for module in network.model.modules())
    missing = "; needs a norm before each output projection too, which this model has not"
    _scale(
        network, outputs, gain, f"times gamma = {gain:.4g}{missing if norms < 4 * depth else ''}"
    )


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


def _fill(network: Network, outputs: str | None) -> int:
    """Fill by Glorot's normal; return the number of layers."""
    kinds = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
    parts = list(network.model.modules())
    if all(any(isinstance(module, kind) for module in parts) for kind in kinds):
        raise InitBenchError(
            "this model is encoder and decoder, whose factors differ: initialise each alone, "
            "initialize(model.encoder, ...), or use t_fixup"
        )
    found = places(network, outputs)
    network.start("xavier_normal")
    start_norms(network)
    return max(place.blocks for place in found.values())


def _scale(network: Network, outputs: str | None, factor: float, note: str) -> None:
    for name, place in places(network, outputs).items():
        parameter = network.parameters[name]
        if place.part == "packed":
            scale_value(network, parameter, factor, note)
        elif _is_scaled(place):
            network.scale(parameter, factor, note)


def _is_scaled(place: Place) -> bool:
    return place.part in _SCALED and place.block is not None
