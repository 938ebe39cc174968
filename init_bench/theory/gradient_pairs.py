"""Predict how alike the gradients of two inputs are after many layers."""

from init_bench.errors import check_finite, check_int
from init_bench.theory.mean_field import MeanField


def gradient_correlation(
    net: MeanField, depth: int, *, cosine: float = 0.0, q: float = 1.0, residual: bool = False
) -> float:
    """Return the correlation of the gradients, with respect to the input, at two inputs.

    Formula:
        Plain, a' = W φ(a) + b: Π E[φ'(a) φ'(b)] / E[φ'(a)²] over the layers, a and b Gaussian with
        the length and the correlation of that layer's pre-activations. For He's ReLU each factor
        is κ₀(ρ) = 1 − arccos(ρ) / π. Residual, h' = h + W φ(h): each factor is
        (1 + σ_w² E[φ'(a) φ'(b)]) / (1 + σ_w² E[φ'(a)²]), lengths and covariances add.

    Args:
        net: φ, σ_w² and σ_b² of the layers, or of the residual branches.
        depth: number of nonlinear layers, or of residual blocks.
        cosine: correlation of the inputs.
        q: length of the first pre-activations, or of the input of the first block.
        residual: whether each layer is added to its input.

    Raises:
        InitBenchError: ``depth`` is below 1, ``q`` is negative, or ``cosine`` or ``q`` is not
            finite.

    Source:
        Balduzzi et al., The shattered gradients problem, 2017; κ₀: Cho & Saul, Kernel methods for
        deep learning, 2009.

    Example:
        >>> he = MeanField(activation="relu", sigma_w2=2.0)
        >>> [round(gradient_correlation(he, depth), 4) for depth in (1, 2, 5, 50)]
        [0.5, 0.3016, 0.1046, 0.0009]
    """
    layers = check_int(depth, "depth", minimum=1)
    c, found = check_finite(cosine, "cosine"), 1.0
    q = check_finite(q, "q", minimum=0)
    own = 1.0 if residual else 0.0
    for _ in range(layers):
        together = net.sigma_w2 * net.nonlinearity.slope_kernel(q, c)
        alone = net.sigma_w2 * float(net.nonlinearity.slope_moment(q))
        found *= (own + together) / (own + alone)
        after = float(net.length_map(q))
        c = float((own * q * c + after * net.correlation_map(c, q)) / (own * q + after))
        q = own * q + after
    return found
