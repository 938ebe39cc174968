"""Predict the signal through residual blocks and transformer blocks at their random start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor, nn

from init_bench.activations.moments import GaussianMoments, Phi
from init_bench.activations.quadrature import Array
from init_bench.activations.recognition import menu_name_of
from init_bench.errors import InitBenchError, check_finite, check_int, lookup

NORMS = ("none", "pre", "post")
"""Where a block normalizes: nowhere, before its branch, after the sum."""


def residual_std(depth: int, branch_variance: float, *, norm: str = "none") -> Array:
    """Return the standard deviation of the residual stream after 0 … ``depth`` blocks.

    Formula:
        The branch turns variance 1 into v, independent of its input. No norm, x + f(x):
        (1 + v)^(l/2). Pre-norm, x + f(norm(x)): √(1 + l v). Post-norm, norm(x + f(x)): 1.

    Args:
        depth: number of blocks.
        branch_variance: v.
        norm: ``none``, ``pre`` or ``post``.

    Raises:
        InitBenchError: ``depth`` is below 1, v is negative, or ``norm`` is unknown.

    Source:
        Kedia et al., Transformers get stable, 2024; Xiong et al., On layer normalization in the
        transformer architecture, 2020.

    Example:
        >>> residual_std(3, 1.0, norm="pre").round(3).tolist()
        [1.0, 1.414, 1.732, 2.0]
    """
    v = check_finite(branch_variance, "branch_variance", minimum=0)
    blocks = np.arange(check_int(depth, "depth", minimum=1) + 1)
    lookup(dict.fromkeys(NORMS), norm, kind="norm")
    if norm == "none":
        return np.asarray((1 + v) ** (blocks / 2))
    return np.sqrt(1 + blocks * v) if norm == "pre" else np.ones(len(blocks))


Variances = tuple[float, float]
"""Of a linear layer: fan_in times the variance of the weights, and the variance of the biases."""


@dataclass(frozen=True, kw_only=True)
class TransformerBlock:
    """Describe the weights of a transformer block by their variances.

    Attributes:
        query, key, value, out: σ_w² and σ_b² of attention's four projections.
        up, down: of the two layers of the MLP.
        activation: φ between them.
        norm: ``none``, ``pre`` or ``post``.
    """

    query: Variances
    key: Variances
    value: Variances
    out: Variances
    up: Variances
    down: Variances
    activation: Phi = "gelu"
    norm: str = "pre"

    @classmethod
    def of(cls, layer: nn.TransformerEncoderLayer) -> "TransformerBlock":
        """Return the variances measured on the weights of one of torch's layers.

        Raises:
            InitBenchError: its activation is none of the menu's.
        """
        attention = layer.self_attn
        projections = attention.in_proj_weight.chunk(3)
        bias = attention.in_proj_bias
        biases = (None, None, None) if bias is None else bias.chunk(3)
        query, key, value = map(_variances, projections, biases)
        return cls(
            query=query,
            key=key,
            value=value,
            out=_variances(attention.out_proj.weight, attention.out_proj.bias),
            up=_variances(layer.linear1.weight, layer.linear1.bias),
            down=_variances(layer.linear2.weight, layer.linear2.bias),
            activation=_activation_of(layer),
            norm="pre" if layer.norm_first else "post",
        )


@dataclass(frozen=True)
class Signal:
    """Mean square of a token's features, and mean product of those of two tokens."""

    own: float
    shared: float

    @property
    def correlation(self) -> float:
        """Correlation of two tokens."""
        return self.shared / self.own if self.own > 0 else 0.0

    def __add__(self, other: "Signal") -> "Signal":
        return Signal(self.own + other.own, self.shared + other.shared)

    def normalized(self) -> "Signal":
        """Return the signal after a layer norm."""
        return Signal(1.0, self.correlation)

    def through(self, layer: Variances) -> "Signal":
        """Return the signal after a linear layer."""
        w2, b2 = layer
        return Signal(w2 * self.own + b2, w2 * self.shared + b2)


def transformer_profile(
    blocks: Sequence[TransformerBlock],
    *,
    tokens: int,
    second_moment: float = 1.0,
    correlation: float = 0.0,
) -> pd.DataFrame:
    """Return the residual stream's expected size, and how alike its tokens are, through depth.

    Formula:
        A layer norm makes the mean square 1, a linear layer turns it into σ_w² q + σ_b², a branch
        adds its own. Attention averages values v with weights a_ij = softmax(s_ij), Gaussian
        scores of variance S over j: Σ_j a_ij² is about 1/T + (e^S − 1)(1 − 1/T)/T, so the mean
        square is q_v Σ a² + k_v (1 − Σ a²), where k_v is the mean product of two tokens' values.
        Two tokens' rows of weights overlap likewise, with the covariance of their queries in S.
        Width is infinite, and e^S small beside T.

    Args:
        blocks: the blocks, first to last.
        tokens: number T of tokens.
        second_moment: mean square of the first block's input.
        correlation: of two tokens of it.

    Returns:
        ``block`` (1 …), ``part`` (``attention`` or ``mlp``), ``std`` of the stream after that
        part, ``branch_std`` of what the part added, ``correlation`` of two tokens of the stream.

    Raises:
        InitBenchError: no blocks or tokens, an unknown norm, or a number that is not finite.

    Source:
        Kedia et al., Transformers get stable, 2024, and Cowsik et al., Geometric dynamics of
        signal propagation predict trainability of transformers, 2024, for the approach; the
        formulas derived here.

    Example:
        >>> ones = dict.fromkeys(["query", "key", "value", "out", "up", "down"], (1.0, 0.0))
        >>> block = TransformerBlock(**ones, activation="relu")
        >>> table = transformer_profile([block], tokens=100)
        >>> table["std"].round(3).tolist(), table["correlation"].round(3).tolist()
        ([1.013, 1.236], [0.01, 0.112])
    """
    number = check_int(tokens, "tokens", minimum=1)
    own = check_finite(second_moment, "second_moment", minimum=0)
    if not blocks:
        raise InitBenchError("there is no block: give a list of TransformerBlock")
    stream = Signal(own, own * check_finite(correlation, "correlation"))
    rows = []
    for at, block in enumerate(blocks, start=1):
        for part, branch, after in _parts(block, stream, number):
            stream = after
            std, added = np.sqrt(stream.own), np.sqrt(branch.own)
            rows.append((at, part, std, added, stream.correlation))
    return pd.DataFrame(rows, columns=["block", "part", "std", "branch_std", "correlation"])


def _parts(
    block: TransformerBlock, stream: Signal, tokens: int
) -> Iterator[tuple[str, Signal, Signal]]:
    """Yield the name of each part, what it adds, and the stream after it."""
    lookup(dict.fromkeys(NORMS), block.norm, kind="norm")
    for part in ("attention", "mlp"):
        seen = stream.normalized() if block.norm == "pre" else stream
        branch = _attended(block, seen, tokens) if part == "attention" else _mlp(block, seen)
        stream = stream + branch
        if block.norm == "post":
            stream = stream.normalized()
        yield part, branch, stream


def _attended(block: TransformerBlock, seen: Signal, tokens: int) -> Signal:
    query, key, value = (seen.through(v) for v in (block.query, block.key, block.value))
    apart = key.own - key.shared  # what all keys share shifts a row of scores, and softmax not
    own = _overlap(query.own * apart, tokens)
    shared = _overlap(query.shared * apart, tokens)
    mixed = Signal(*(value.own * share + value.shared * (1 - share) for share in (own, shared)))
    return mixed.through(block.out)


def _overlap(variance: float, tokens: int) -> float:
    """Return Σ_j a_ij a_i'j for scores that covary so, over many tokens."""
    found = (1 + np.expm1(min(variance, 50.0)) * (1 - 1 / tokens)) / tokens
    return float(min(1.0, found))


def _mlp(block: TransformerBlock, seen: Signal) -> Signal:
    phi, hidden = GaussianMoments(block.activation), seen.through(block.up)
    moments = Signal(
        float(phi.second_moment(hidden.own)), phi.kernel(hidden.own, hidden.correlation)
    )
    return moments.through(block.down)


def _variances(weight: Tensor, bias: Tensor | None) -> Variances:
    w2 = weight.shape[1] * weight.detach().double().square().mean().item()
    return w2, 0.0 if bias is None else bias.detach().double().square().mean().item()


def _activation_of(layer: nn.TransformerEncoderLayer) -> Phi:
    """Return φ as the menu has it: torch's layer holds a function or a module."""
    phi = layer.activation
    return (menu_name_of(phi) or phi) if isinstance(phi, nn.Module) else phi
