"""Fill by the recipes of open language models: Llama, OLMo, nGPT, nanochat, DeepSeek."""

import functools
import math

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.whole_model.custom_norms import start_norms
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.transformer_parts import Place, is_tied_table, places

CUT = 3
"""Standard deviations at which the recipes cut a normal distribution."""


def llama_(
    network: Network, *, std: float = 0.02, depth: str = "total", outputs: str | None = None
) -> None:
    """Fill a transformer as Llama's reproductions do: branches end the smaller the more there are.

    Formula:
        W_ij ~ N(0, std²) cut at ±3 std; of the last weight of each residual branch std / √(2L), L
        the number of blocks (``depth='total'``), or std / √(2l), l = 1 … L its block
        (``depth='index'``). Scales of norms 1, biases 0.

    Shapes:
        network: a transformer, branches traced or layers of the usual names (gated MLPs, grouped
        queries, experts and routers too); else ``outputs`` names the weights that end a branch by
        ``fnmatch`` patterns, separated by commas.

    Raises:
        InitBenchError: a weight of a block cannot be placed, ``std`` is negative or ``depth``
            neither word.

    Source:
        ``llama`` and ``llama_depth`` of OLMo-core's ``nn/transformer/init.py`` (code read), which
        besides draws embeddings from N(0, 1), the head with 1/√d, and shrinks the MLP's up
        projection as it does the down projection.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        >>> table = initialize(model, "llama(depth='index')").table.set_index("parameter")
        >>> stds = table["std_nominal"]
        >>> ratio = stds["layers.0.linear2.weight"] / stds["layers.1.linear2.weight"]
        >>> round(float(ratio**2), 6)
        2.0
    """
    check_finite(std, "std", minimum=0)
    if depth not in ("total", "index"):
        raise InitBenchError(f"depth must be 'total' or 'index', got {depth!r}")
    found = places(network, outputs)
    network.start(cut_normal(std))
    start_norms(network)
    for name, place in found.items():
        if place.part == "output" and place.block is not None:
            blocks = place.blocks if depth == "total" else place.block + 1
            note = f"ends a residual branch: over √{2 * blocks}"
            network.scale(network.parameters[name], (2 * blocks) ** -0.5, note)


def fan_in_(network: Network) -> None:
    """Fill a transformer by fan_in alone, without regard to depth.

    Formula:
        W_ij ~ N(0, 1/fan_in) cut at ±3 std, embeddings N(0, 1); one that is the head too
        N(0, 1/d), d its width. Scales of norms 1, biases 0.

    Shapes:
        network: any.

    Raises:
        InitBenchError: nothing of its own; what ``initialize`` refuses, such as lazy parameters.

    Source:
        ``fan_in`` of OLMo-core's ``nn/transformer/init.py`` (code read).

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Sequential(nn.Embedding(10, 16), nn.Linear(16, 10))
        >>> initialize(model, "fan_in").table["std_nominal"].round(3).tolist()
        [1.0, 0.247, 0.0]
    """
    network.start("normal(std=1)")
    start_norms(network)
    for parameter in network.weights:
        if not parameter.is_table:
            network.fill(parameter, cut_normal(network.fan_in(parameter) ** -0.5))
        elif is_tied_table(network, parameter):
            width = parameter.values.shape[1]
            network.fill(parameter, f"normal(std={width**-0.5!r})", "the head too: by its fan_in")


def normalized_(network: Network, *, outputs: str | None = None) -> None:
    """Fill a transformer as nGPT: every vector along the residual stream has length 1.

    Formula:
        w ~ N(0, 1), then w / ‖w‖ for each row of the layers that read the stream and of
        embeddings and head, for each column of those that end a branch. Biases 0.

    Shapes:
        network: as for ``llama``. nGPT also normalizes after every step, and has scales of its
        own for queries, keys, MLP and logits: those are the model's and stay as they are.

    Raises:
        InitBenchError: a weight of a block cannot be placed.

    Source:
        Loshchilov et al., nGPT: Normalized Transformer with Representation Learning on the
        Hypersphere, 2024, sec. 2 (recalled); ``normalized`` of OLMo-core (code read), whose
        draws N(0, 1/d) are normalized before the first step too.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        >>> report = initialize(model, "normalized")
        >>> model.layers[0].linear1.weight.norm(dim=1).allclose(torch.ones(16))
        True
        >>> model.layers[0].linear2.weight.norm(dim=0).allclose(torch.ones(16))
        True
    """
    found = places(network, outputs)
    network.start("normal(std=1)")
    start_norms(network)
    for parameter in network.weights:
        place = found.get(parameter.name, Place(part="outside"))
        along = 0 if place.part == "output" else 1
        length = max(1, parameter.blocks(parameter.values)[0].shape[along])
        note = "columns of length 1" if along == 0 else "rows of length 1"
        fill = functools.partial(_unit_vectors, along=along)
        network.draw(parameter, fill, "normalized", note, std=length**-0.5)


def nanochat_(network: Network, *, outputs: str | None = None) -> None:
    """Fill a transformer as nanochat: branches start at 0, the head near it.

    Formula:
        W_ij ~ U(−√(3/n), √(3/n)), n = fan_in; the last weight of each residual branch 0;
        embeddings N(0, 1), head N(0, 0.001²). Biases 0.

    Shapes:
        network: as for ``llama``. Made for a model with a norm after its embeddings, normalized
        queries and keys, and a head of its own; a tied embedding gets the head's draw.

    Raises:
        InitBenchError: a weight of a block cannot be placed.

    Source:
        Karpathy's ``nanochat/gpt.py``, of which two versions were read: uniform draws and the
        head's 0.001 are from the later one, the zeros at the ends of branches from the earlier
        (the later one starts a scale behind them at 0).

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        >>> report = initialize(model, "nanochat")
        >>> model.layers[1].linear2.weight.count_nonzero().item()
        0
    """
    found = places(network, outputs)
    network.start("normal(std=1)")
    start_norms(network)
    for parameter in network.weights:
        place = found.get(parameter.name, Place(part="outside"))
        if place.part == "output":
            network.fill(parameter, "zeros", "ends a residual branch")
        elif place.part == "head" or place.tied:
            network.fill(parameter, "normal(std=0.001)", "head")
        elif place.part != "embedding":
            bound = math.sqrt(3 / network.fan_in(parameter))
            network.fill(parameter, f"uniform(a={-bound!r}, b={bound!r})")


def small_(network: Network, *, std: float = 0.006) -> None:
    """Fill every weight from one small normal distribution, whatever its size and depth.

    Formula:
        W_ij ~ N(0, std²). Biases 0, scales of norms 1.

    Shapes:
        network: any.

    Raises:
        InitBenchError: ``std`` is negative.

    Source:
        DeepSeek-AI, DeepSeek LLM, 2024, and DeepSeek-V3 Technical Report, 2024, sec. 4.2
        (recalled): "std 0.006".

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> initialize(nn.Linear(8, 4), "small").table["std_nominal"].tolist()
        [0.006, 0.0]
    """
    check_finite(std, "std", minimum=0)
    network.start(f"normal(std={std!r})")
    start_norms(network)


def cut_normal(std: float) -> str:
    """Return the spec of a normal distribution cut at ``CUT`` standard deviations.

    Example:
        >>> cut_normal(0.02)
        'trunc_normal(std=0.02, a=-0.06, b=0.06)'
    """
    return f"trunc_normal(std={std!r}, a={-CUT * std!r}, b={CUT * std!r})" if std else "zeros"


def _unit_vectors(
    tensor: Tensor, *, along: int, generator: torch.Generator | None = None
) -> Tensor:
    drawn = torch.empty_like(tensor, dtype=torch.float32).normal_(generator=generator)
    return tensor.copy_(drawn / drawn.norm(dim=along, keepdim=True))
