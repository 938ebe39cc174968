"""Fill by T-Fixup: transformers that train without layer normalization or warm-up."""

import math

import torch
from torch import nn

from init_bench.errors import InitBenchError
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter


def t_fixup_(network: Network) -> None:
    """Fill torch's transformer layers so that one step moves the output by as much at any depth.

    Formula:
        Weights by Glorot's uniform, embeddings by N(0, 1/d), d their width; then, N being the
        number of layers of the stack, the value and output projections of its attention and both
        weights of its MLP are multiplied by 0.67 N^(−1/4) in an encoder and by (9N)^(−1/4) in a
        decoder, embeddings by (9N)^(−1/4). Biases 0.

    Shapes:
        network: any with ``nn.TransformerEncoderLayer`` or ``nn.TransformerDecoderLayer`` inside.
        N of embeddings is the decoder's, without one the encoder's.

    Raises:
        InitBenchError: there is no such layer.

    Source:
        Huang et al., Improving Transformer Optimization Through Better Initialization, 2020,
        sec. 3.3 (which also takes the layer normalizations out). The authors' code differs: its
        query and key keep fairseq's smaller gain 1/√2, and N of an embedding is its own stack's.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 4)
        >>> table = initialize(model, "t_fixup").table.set_index("parameter")
        >>> row = table.loc["layers.0.linear1.weight"]
        >>> round(float(row["std_nominal"] / (2 / (8 + 16)) ** 0.5), 4), round(0.67 * 4**-0.25, 4)
        (0.4738, 0.4738)
    """
    network.start("xavier_uniform")
    encoder = _layers(network, nn.TransformerEncoderLayer)
    decoder = _layers(network, nn.TransformerDecoderLayer)
    if not encoder and not decoder:
        raise InitBenchError(
            "t_fixup found no nn.TransformerEncoderLayer and no nn.TransformerDecoderLayer; "
            "for residual branches of your own use fixup or gpt2"
        )
    decoding = (9 * len(decoder or encoder)) ** -0.25
    for layers, factor in ((encoder, 0.67 * max(1, len(encoder)) ** -0.25), (decoder, decoding)):
        for parameter in (parameter for path in layers for parameter in network.within(path)):
            _shrink(network, parameter, factor)
    for parameter in network.weights:
        if isinstance(parameter.module, nn.Embedding):
            network.fill(parameter, f"normal(std={parameter.values.shape[1] ** -0.5!r})")
            network.scale(parameter, decoding, f"times (9N)^(-1/4) = {decoding:.4g}")


def _layers(network: Network, kind: type[nn.Module]) -> list[str]:
    return [path for path, module in network.model.named_modules() if isinstance(module, kind)]


def _shrink(network: Network, parameter: NamedParameter, factor: float) -> None:
    """Scale a weight of the layer; of packed query, key and value the value's third alone."""
    note = f"times {factor:.4g}"
    if parameter.attribute == "in_proj_weight":
        scales = torch.tensor([1.0, 1.0, factor]).repeat_interleave(parameter.values.shape[0] // 3)
        values = parameter.values * scales.to(parameter.values)[:, None]
        done = network.filled[parameter.name]
        std = done.nominal.std and done.nominal.std * math.sqrt((2 + factor**2) / 3)
        network.write(parameter, values, done.initializer, f"value's third {note}", std=std)
    elif parameter.role == "weight" and parameter.attribute not in (
        "q_proj_weight",
        "k_proj_weight",
    ):
        network.scale(parameter, factor, note)
