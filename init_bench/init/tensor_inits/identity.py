"""Fill so that the input passes through."""

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.tensor_inits.checks import (
    check_dimensions,
    check_draws,
    check_values,
    writable,
)


def eye_(tensor: Tensor) -> Tensor:
    """Fill the matrix ``tensor`` in place with the identity; ``identity_`` does kernels too.

    Formula:
        W_ij = 1 if i = j, else 0.

    Shapes:
        tensor: ``(n_out, n_in)``.

    Raises:
        InitBenchError: ``tensor`` has not two dimensions.

    Source:
        ``torch.nn.init.eye_``.

    Example:
        >>> eye_(torch.empty(2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    check_dimensions(tensor, range(2, 3), "eye_")
    return identity_(tensor)


def identity_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill ``tensor`` in place with ``gain`` times the identity map.

    Formula:
        W_ij = gain if i = j, else 0; of a kernel at its center, and 0 elsewhere.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``. The first min(n_out, n_in) channels pass.

    Raises:
        InitBenchError: ``gain`` is not finite, or ``tensor`` has fewer than two dimensions.

    Source:
        Le et al., A Simple Way to Initialize Recurrent Networks of Rectified Linear Units,
        2015, sec. 3.

    Example:
        >>> import torch
        >>> from init_bench.init import identity_
        >>> x = torch.tensor([1.0, 2.0, 3.0])
        >>> identity_(torch.empty(3, 3), gain=0.5) @ x
        tensor([0.5000, 1.0000, 1.5000])
    """
    check_values(tensor)
    check_dimensions(tensor, range(2, 65), "identity_")
    gain = check_finite(gain, "gain")
    with torch.no_grad():
        if tensor.numel():
            tensor.zero_()
            kernel_center(tensor).diagonal().fill_(gain)
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the kernel ``tensor`` in place so that each group of channels passes through.

    Formula:
        W_ijk = 1 if i mod (n_out / groups) = j and k is the kernel's center, else 0.

    Shapes:
        tensor: ``(n_out, n_in / groups, *kernel)`` with one to three axes of the kernel.

    Raises:
        InitBenchError: ``tensor`` has not three to five dimensions, or ``groups`` does not
            divide n_out.

    Source:
        Zagoruyko & Komodakis, DiracNets, 2017; ``torch.nn.init.dirac_``.

    Example:
        >>> import torch
        >>> from init_bench.init import dirac_
        >>> w = dirac_(torch.empty(4, 4, 3, 3))
        >>> x = torch.rand(1, 4, 5, 5)
        >>> torch.equal(torch.conv2d(x, w, padding=1), x)
        True
    """
    check_values(tensor)
    check_dimensions(tensor, range(3, 6), "dirac_")
    if groups < 1 or tensor.shape[0] % groups:
        raise InitBenchError(
            f"groups must divide n_out, got groups={groups!r} for shape {tuple(tensor.shape)}"
        )
    with torch.no_grad():
        if tensor.numel():
            tensor.zero_()
            for block in kernel_center(tensor).chunk(groups):
                block.diagonal().fill_(1)
    return tensor


def kernel_center(tensor: Tensor) -> Tensor:
    """Return the matrix at the center of a kernel, k // 2 along each axis, as a view.

    Example:
        >>> w = torch.arange(6.0).reshape(1, 2, 3)
        >>> kernel_center(w)
        tensor([[1., 4.]])
    """
    for size in tensor.shape[2:]:
        tensor = tensor.select(2, size // 2)
    return tensor


def tanh_init_(
    tensor: Tensor, noise: float = 0.085, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place with a repeated identity and a little noise, for deep tanh networks.

    Formula:
        W = D + Z, D_ij = 1 if i = j (mod n_in), else 0; Z_ij ~ N(0, noise² / n_in), noise = 0.085.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``, n_in counts the kernel.

    Raises:
        InitBenchError: ``noise`` is negative, or ``tensor`` has fewer than two dimensions.

    Source:
        Lee, Choi & Kim, Robust Weight Initialization for Tanh Neural Networks with Fixed Point
        Analysis, 2025 (abstract and a summary with W, sigma_z and 0.085 read; D is recalled).

    Example:
        >>> import torch
        >>> from init_bench.init import tanh_init_
        >>> w = tanh_init_(torch.empty(6, 3), generator=torch.Generator())
        >>> torch.equal(w.round()[3:].abs(), torch.eye(3))
        True
    """
    check_draws(tensor)
    check_dimensions(tensor, range(2, 65), "tanh_init_")
    noise = check_finite(noise, "noise", minimum=0)
    if not tensor.numel() or tensor.is_meta:
        return tensor
    rows, columns = len(tensor), tensor.numel() // len(tensor)
    drawn = tensor.new_empty((rows, columns), dtype=torch.float32)
    drawn.normal_(std=noise * columns**-0.5, generator=generator)
    drawn[torch.arange(rows), torch.arange(rows) % columns] += 1
    writable(tensor).copy_(drawn.view(tensor.shape))
    return tensor


def repeated_identity(rows: int, columns: int) -> Tensor:
    """Return the matrix whose entries are 1 where i = j modulo the smaller side, else 0.

    Example:
        >>> repeated_identity(2, 4).tolist()
        [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    short = min(rows, columns)
    i, j = torch.arange(rows)[:, None] % short, torch.arange(columns) % short
    return (i == j).float()
