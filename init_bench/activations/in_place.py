"""Compute nonlinearities and their derivatives in place: the kernels that grids train with."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

aten = torch.ops.aten


@dataclass(frozen=True)
class Kernel:
    """Compute z = φ(a) and ∂/∂a = φ'(a) ∂/∂z into buffers that exist, without a graph.

    Attributes:
        forward: ``(a, z)``: writes φ(a) into ``z``, which may be ``a`` itself.
        backward: ``(upstream, a, z)``: multiplies ``upstream`` = ∂/∂z by φ'(a) in place.
        needs_a: whether ``backward`` reads ``a``; if not, ``z`` may have overwritten it.
    """

    forward: Callable[[Tensor, Tensor], object]
    backward: Callable[[Tensor, Tensor, Tensor], object]
    needs_a: bool = False


def elu_kernel(alpha: float, scale: float) -> Kernel:
    """Return the kernel of scale · (a if a > 0 else alpha (exp(a) - 1))."""
    return Kernel(
        lambda a, z: aten.elu.out(a, alpha, scale, 1.0, out=z),
        lambda u, a, z: aten.elu_backward.grad_input(u, alpha, scale, 1.0, True, z, grad_input=u),
    )


KERNELS: dict[Callable[[], nn.Module], Kernel] = {
    nn.Identity: Kernel(lambda a, z: z.copy_(a), lambda u, a, z: u),
    nn.Sigmoid: Kernel(
        lambda a, z: torch.sigmoid(a, out=z),
        lambda u, a, z: aten.sigmoid_backward.grad_input(u, z, grad_input=u),
    ),
    nn.Tanh: Kernel(
        lambda a, z: torch.tanh(a, out=z),
        lambda u, a, z: aten.tanh_backward.grad_input(u, z, grad_input=u),
    ),
    nn.ReLU: Kernel(
        lambda a, z: torch.clamp_min(a, 0, out=z),
        lambda u, a, z: aten.threshold_backward.grad_input(u, z, 0, grad_input=u),
    ),
    nn.LeakyReLU: Kernel(
        lambda a, z: aten.leaky_relu.out(a, 0.01, out=z),
        lambda u, a, z: aten.leaky_relu_backward.grad_input(u, z, 0.01, True, grad_input=u),
    ),
    nn.ELU: elu_kernel(1.0, 1.0),
    nn.CELU: elu_kernel(1.0, 1.0),  # of alpha = 1, as ELU
    nn.SELU: elu_kernel(1.6732632423543772848170429916717, 1.0507009873554804934193349852946),
    nn.GELU: Kernel(
        lambda a, z: aten.gelu.out(a, out=z),
        lambda u, a, z: aten.gelu_backward.grad_input(u, a, grad_input=u),
        needs_a=True,
    ),
    nn.SiLU: Kernel(
        lambda a, z: aten.silu.out(a, out=z),
        lambda u, a, z: aten.silu_backward.grad_input(u, a, grad_input=u),
        needs_a=True,
    ),
    nn.Mish: Kernel(
        lambda a, z: aten.mish.out(a, out=z),
        lambda u, a, z: u.copy_(aten.mish_backward(u, a)),
        needs_a=True,
    ),
    nn.Softplus: Kernel(
        lambda a, z: aten.softplus.out(a, out=z),
        lambda u, a, z: aten.softplus_backward.grad_input(u, a, 1, 20, grad_input=u),
        needs_a=True,
    ),
    nn.Softsign: Kernel(
        lambda a, z: torch.div(a, a.abs().add_(1), out=z),
        lambda u, a, z: u.mul_((1 - z.abs()).square_()),
    ),
    nn.Hardtanh: Kernel(
        lambda a, z: torch.clamp(a, -1.0, 1.0, out=z),
        lambda u, a, z: aten.hardtanh_backward.grad_input(u, z, -1.0, 1.0, grad_input=u),
    ),
}
"""Kernels of torch's modules, as these are without arguments."""


def autograd_kernel(phi: nn.Module) -> Kernel:
    """Return the kernel of a nonlinearity whose derivative nobody wrote: autograd takes it."""

    def backward(upstream: Tensor, a: Tensor, z: Tensor) -> None:
        with torch.enable_grad():
            leaf = a.detach().requires_grad_()
            upstream.copy_(torch.autograd.grad(phi(leaf), leaf, upstream)[0])

    return Kernel(lambda a, z: z.copy_(phi(a.clone())), backward, needs_a=True)
