"""In-place kernels: they compute what the module and autograd do, whoever wrote them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from init_bench.activations import ACTIVATIONS, Kernel
from init_bench.activations.in_place import KERNELS, autograd_kernel

A = torch.linspace(-4, 4, 97, dtype=torch.float64).view(1, 97, 1)
UPSTREAM = torch.linspace(1, 2, 97, dtype=torch.float64).view(1, 97, 1)
BY_HAND = [name for name, phi in ACTIVATIONS.items() if phi.module in KERNELS]


def both_passes(kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Return φ(a) and upstream · φ'(a), with one buffer for a and z where the kernel allows it."""
    a, upstream = A.clone(), UPSTREAM.clone()
    z = torch.empty_like(a) if kernel.needs_a else a
    kernel.forward(a, z)
    kernel.backward(upstream, a, z)
    return z, upstream


@pytest.mark.parametrize("name", BY_HAND)
def test_a_kernel_written_by_hand_equals_autograd(name: str) -> None:
    phi = ACTIVATIONS[name]
    by_autograd = autograd_kernel(phi.module())
    by_hand = phi.kernel_on(A.device)
    assert by_hand is KERNELS[phi.module]
    for written, derived in zip(both_passes(by_hand), both_passes(by_autograd), strict=True):
        torch.testing.assert_close(written, derived, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BY_HAND)
def test_the_kernel_by_autograd_equals_the_module(name: str) -> None:
    module = ACTIVATIONS[name].module()
    z, _ = both_passes(autograd_kernel(module))
    torch.testing.assert_close(z, module(A), rtol=0, atol=0)


def test_the_kernel_of_an_activation_comes_before_that_of_its_module() -> None:
    own = Kernel(lambda a, z: z.copy_(a), lambda u, a, z: u)
    assert replace(ACTIVATIONS["relu"], kernel=own).kernel_on(A.device) is own


def test_every_activation_of_ours_has_a_kernel_by_hand() -> None:
    assert BY_HAND == list(ACTIVATIONS)
