"""Fill as GPT-2: from a small normal, smaller where a residual branch ends."""

from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.transformer_parts import branch_ends


def gpt2_(network: Network, *, std: float = 0.02, branches: str | None = None) -> None:
    """Fill a transformer as GPT-2: the variance of the residual stream does not grow with depth.

    Formula:
        W_ij ~ N(0, std²); the last weight of each residual branch N(0, std²/N), N the number of
        branches (2L in a transformer of L blocks). Biases 0.

    Shapes:
        network: any with residual sums x + f(x), its branches traced, or named by the ``fnmatch``
        pattern ``branches`` of module names, as in ``'blocks.*.attn'``, or their last layers of
        the usual names.

    Raises:
        InitBenchError: no residual branch was found or named, or ``std`` is negative.

    Source:
        Radford et al., Language Models are Unsupervised Multitask Learners, 2019, sec. 2.3; std
        as in OpenAI's ``gpt-2/src/model.py``, but for positions, which have 0.01 there.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        >>> table = initialize(model, "gpt2").table.set_index("parameter")
        >>> float(table.loc["layers.0.linear1.weight", "std_nominal"])
        0.02
        >>> float(table.loc["layers.0.linear2.weight", "std_nominal"])  # 0.02 / √4
        0.01
    """
    network.start(f"normal(std={std!r})")
    ends = branch_ends(network, branches)
    for last in dict.fromkeys(end for branch in ends for end in branch):
        network.scale(last, len(ends) ** -0.5, f"ends one of {len(ends)} residual branches")
