"""Fill by IDInit: every layer an identity, padded where it is not square."""

import torch
from torch import Tensor

from init_bench.errors import check_finite
from init_bench.init.tensor_inits.identity import repeated_identity
from init_bench.init.whole_model.network_editor import Network


def idinit_(
    network: Network, *, tau: float = 1.0, epsilon: float = 1e-6, branches: str | None = None
) -> None:
    """Fill every weight with an identity, and the ends of residual branches with a tiny one.

    Formula:
        W_ij = τ if i = j modulo the smaller side, else 0; the last weight of each residual branch
        the same with ε for τ. A kernel is the matrix of its positions beside each other (n_out,
        k · n_in), so that outputs see shifted inputs. Biases 0. Nothing is drawn.

    Shapes:
        network: any; branches are traced or named by the ``fnmatch`` pattern ``branches`` of
        module names, and may be missing.

    Raises:
        InitBenchError: ``tau`` or ``epsilon`` is not finite, or ``branches`` matches nothing.

    Source:
        Pan et al., IDInit: A Universal and Stable Initialization Method for Neural Network
        Training, 2025 (abstract and a summary with τ = 1, ε = 1e-6 read; the padding and the
        kernels are recalled; its small noise for convolutions is left out).

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Linear(2, 4, bias=False)
        >>> report = initialize(model, "idinit")
        >>> model.weight.tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    tau, epsilon = check_finite(tau, "tau"), check_finite(epsilon, "epsilon")
    found = network.branches(branches) if branches else list(network.structure.branches)
    ends = {end.name for branch in found for end in network.ends_of(branch)}
    network.start("zeros")
    for parameter in network.weights:
        size = epsilon if parameter.name in ends else tau

        def fill(
            tensor: Tensor, *, generator: torch.Generator | None = None, size: float = size
        ) -> Tensor:
            return _identity(tensor, size)

        note = "ends its residual branch" if parameter.name in ends else ""
        network.draw(parameter, fill, "idinit", note)


def _identity(tensor: Tensor, size: float) -> Tensor:
    """Write the padded identity; positions of a kernel come first among the columns."""
    if tensor.is_meta or not tensor.numel():
        return tensor
    rows, columns = len(tensor), tensor.numel() // len(tensor)
    matrix = size * repeated_identity(rows, columns)
    n_in = tensor.shape[1]
    kernel = matrix.view(rows, columns // n_in, n_in).transpose(1, 2)
    return tensor.copy_(kernel.reshape(tensor.shape))
