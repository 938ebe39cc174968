"""Fill with orthogonal matrices: whole, at a kernel's center, or mirrored."""

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.tensor_inits.checks import check_dimensions, check_draws, writable
from init_bench.init.tensor_inits.identity import kernel_center


def orthogonal_(
    tensor: Tensor, gain: float = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place with ``gain`` times a random (semi-)orthogonal matrix.

    Half types are drawn and factorized in float32, then rounded.

    Formula:
        W Wᵀ = gain² I if n_out ≤ n_in · k, else Wᵀ W = gain² I, with W flattened to
        ``(n_out, n_in · k)`` and uniform (Haar): Q of the QR factorization of a normal matrix,
        each column times the sign of R's diagonal.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``, k positions of the kernel.

    Raises:
        InitBenchError: ``gain`` is not finite, or ``tensor`` has fewer than two dimensions.

    Source:
        Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural
        networks, 2013; the signs: Mezzadri, How to generate random matrices from the classical
        compact groups, 2007.

    Example:
        >>> import torch
        >>> from init_bench.init import orthogonal_
        >>> w = orthogonal_(torch.empty(3, 5), generator=torch.Generator())
        >>> torch.allclose(w @ w.T, torch.eye(3), atol=1e-6)
        True
    """
    check_draws(tensor)
    check_dimensions(tensor, range(2, 65), "orthogonal_")
    gain = check_finite(gain, "gain")
    if tensor.numel() == 0 or tensor.is_meta:
        return tensor
    rows = tensor.shape[0]
    matrix = tensor.new_empty((rows, tensor.numel() // rows), dtype=_precise(tensor.dtype))
    factor = _orthogonalized(matrix.normal_(generator=generator), gain)
    writable(tensor).copy_(factor.view(tensor.shape))
    return tensor


def delta_orthogonal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place with a random orthogonal matrix at the kernel's center.

    Formula:
        W_··c = gain · H with Hᵀ H = I at the center c, and 0 elsewhere: with circular padding
        and stride 1 the convolution keeps every input's length, times gain.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)`` with n_out ≥ n_in; a matrix is a kernel of one
        position.

    Raises:
        InitBenchError: ``gain`` is not finite, n_out < n_in, or ``tensor`` has fewer than two
            dimensions.

    Source:
        Xiao et al., Dynamical Isometry and a Mean Field Theory of CNNs, 2018, algorithm 2, as in
        TensorFlow's ``ConvolutionDeltaOrthogonal``.

    Example:
        >>> import torch
        >>> from init_bench.init import delta_orthogonal_
        >>> w = delta_orthogonal_(torch.empty(4, 2, 3), generator=torch.Generator())
        >>> torch.allclose(w[:, :, 1].T @ w[:, :, 1], torch.eye(2), atol=1e-6)
        True
    """
    check_draws(tensor)
    check_dimensions(tensor, range(2, 65), "delta_orthogonal_")
    if tensor.shape[0] < tensor.shape[1]:
        raise InitBenchError(
            f"delta_orthogonal_ needs n_out >= n_in to keep lengths, got shape "
            f"{tuple(tensor.shape)}; use orthogonal_ for a layer that narrows"
        )
    gain = check_finite(gain, "gain")
    if tensor.numel():
        with torch.no_grad():
            tensor.zero_()
            orthogonal_(kernel_center(tensor), gain, generator)
    return tensor


def looks_linear_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place with mirrored blocks: a network of ReLUs starts out linear.

    A pair of units (relu(v), relu(−v)) carries v, as a concatenated ReLU does; mirrored weights
    turn pairs into pairs, so that all layers together are linear before training.

    Formula:
        W = [[A, −A], [−A, A]] with A = gain times a semi-orthogonal matrix, as ``orthogonal_``.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``, n_out and n_in even; A is a quarter of it. A first
        layer whose inputs are no pairs sees only the differences of their two halves.

    Raises:
        InitBenchError: ``gain`` is not finite, n_out or n_in is odd, or ``tensor`` has fewer
            than two dimensions.

    Source:
        Balduzzi et al., The Shattered Gradients Problem, 2017, sec. 4.

    Example:
        >>> import torch
        >>> from init_bench.init import looks_linear_
        >>> w = looks_linear_(torch.empty(4, 4), generator=torch.Generator())
        >>> torch.equal(w[:2], -w[2:]), torch.equal(w[:, :2], -w[:, 2:])
        (True, True)
    """
    check_draws(tensor)
    check_dimensions(tensor, range(2, 65), "looks_linear_")
    if tensor.shape[0] % 2 or tensor.shape[1] % 2:
        raise InitBenchError(
            f"looks_linear_ pairs units, so n_out and n_in must be even, got shape "
            f"{tuple(tensor.shape)}"
        )
    with torch.no_grad():
        quarter = orthogonal_(tensor[: len(tensor) // 2].chunk(2, dim=1)[0], gain, generator)
        half = torch.cat([quarter, -quarter], dim=1)
        return tensor.copy_(torch.cat([half, -half]))


def _precise(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype to factorize in: LAPACK knows no half types."""
    return torch.float32 if dtype.itemsize < 4 else dtype


def _orthogonalized(matrix: Tensor, gain: float) -> Tensor:
    """Return ``gain`` times the orthogonal factor of ``matrix``, uniform if that is normal."""
    wide = matrix.shape[0] < matrix.shape[1]
    # The Householder form gives Q and R's diagonal without the copy of R that linalg.qr makes.
    reflectors, scales = torch.geqrf(matrix.T if wide else matrix)
    signs = reflectors.diagonal().sgn().mul_(gain)
    factor: Tensor = torch.linalg.householder_product(reflectors, scales).mul_(signs)
    return factor.T if wide else factor
