"""Fill so that most inputs of a unit are left out."""

import math

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.tensor_inits.checks import check_dimensions, check_draws


def sparse_(
    tensor: Tensor,
    sparsity: float,
    std: float = 0.01,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill the matrix ``tensor`` in place from N(0, std²), with zeros in every column.

    Unlike torch's, all draws come from ``generator`` if it is given, the places of the zeros
    too.

    Formula:
        W_ij ~ N(0, std²), but ⌈sparsity · n_out⌉ of each column, drawn without replacement,
        are 0.

    Shapes:
        tensor: ``(n_out, n_in)``.

    Raises:
        InitBenchError: ``sparsity`` is not between 0 and 1, ``std`` is negative or not finite,
            or ``tensor`` has not two dimensions.

    Source:
        Martens, Deep learning via Hessian-free optimization, 2010, sec. 5 (whose units keep a
        fixed number of inputs); ``torch.nn.init.sparse_``.

    Example:
        >>> import torch
        >>> from init_bench.init import sparse_
        >>> w = sparse_(torch.empty(10, 3), sparsity=0.75, generator=torch.Generator())
        >>> (w == 0).sum(dim=0)
        tensor([8, 8, 8])
    """
    check_draws(tensor)
    check_dimensions(tensor, range(2, 3), "sparse_")
    if not 0 <= check_finite(sparsity, "sparsity") <= 1:
        raise InitBenchError(
            f"sparsity is a fraction between 0 and 1, got {sparsity!r} for a weight of shape "
            f"{tuple(tensor.shape)}"
        )
    std = check_finite(std, "std", minimum=0)
    if tensor.is_meta or not tensor.numel():
        return tensor
    with torch.no_grad():
        tensor.normal_(0, std, generator=generator)
        return tensor.scatter_(0, _zeros(tensor, math.ceil(sparsity * len(tensor)), generator), 0)


def _zeros(tensor: Tensor, number: int, generator: torch.Generator | None) -> Tensor:
    """Return the rows of ``number`` zeros for each column, one permutation a column as torch."""
    rows, columns = tensor.shape
    device = torch.device("cpu") if generator is None else generator.device
    drawn = [
        torch.randperm(rows, generator=generator, device=device)[:number] for _ in range(columns)
    ]
    return torch.stack(drawn, dim=1).to(tensor.device)
