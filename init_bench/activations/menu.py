"""List the activations φ of the grid: formula, source, module, bounds."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import torch
from torch import nn

from init_bench.activations.in_place import KERNELS, Kernel, autograd_kernel
from init_bench.errors import InitBenchError


@dataclass(frozen=True)
class Activation:
    """Describe a nonlinearity z = φ(a).

    Attributes:
        formula: φ(a) in words of mathematics.
        source: paper or convention it comes from.
        module: builds the ``nn.Module`` that computes φ.
        bounds: infimum and supremum of φ if it saturates at both, else ``None``: values near
            them count as ``saturated``.
        kinks: points besides 0 where φ or a derivative of it jumps: expectations are integrated
            from kink to kink.
        elementwise: whether each output depends on one input alone; softmax's do not.
        kernel: φ and its derivative in place, which grids of ``mlp`` train with (see
            ``init_bench.activations.Kernel``); if ``None``, the kernel of ``module`` where that is
            one of torch's, else autograd differentiates it.
    """

    formula: str
    source: str
    module: Callable[[], nn.Module]
    _: KW_ONLY
    bounds: tuple[float, float] | None = None
    kinks: tuple[float, ...] = ()
    elementwise: bool = True
    kernel: Kernel | None = None

    def kernel_on(self, device: torch.device) -> Kernel:
        """Return ``kernel``, that of torch's module, or one by autograd on ``device``."""
        return self.kernel or KERNELS.get(self.module) or autograd_kernel(self.module().to(device))


ACTIVATIONS: dict[str, Activation] = {  # name: formula, source, module, the rest by keyword
    "identity": Activation("a", "linear network", nn.Identity),
    "sigmoid": Activation("1 / (1 + exp(-a))", "logistic function", nn.Sigmoid, bounds=(0.0, 1.0)),
    "tanh": Activation(
        "tanh(a)", "LeCun et al., Efficient BackProp, 1998, sec. 4.4", nn.Tanh, bounds=(-1.0, 1.0)
    ),
    "relu": Activation("max(0, a)", "Nair & Hinton, 2010", nn.ReLU),
    "leaky_relu": Activation("max(0, a) + 0.01 min(0, a)", "Maas et al., 2013", nn.LeakyReLU),
    "elu": Activation("a if a > 0 else exp(a) - 1", "Clevert et al., 2015, eq. 15", nn.ELU),
    "selu": Activation(
        "1.0507 (a if a > 0 else 1.6733 (exp(a) - 1))", "Klambauer et al., 2017, eq. 2", nn.SELU
    ),
    "celu": Activation("max(0, a) + min(0, exp(a) - 1)", "Barron, 2017", nn.CELU),
    "gelu": Activation(
        "a Φ(a), Φ the normal distribution function", "Hendrycks & Gimpel, 2016", nn.GELU
    ),
    "silu": Activation(
        "a / (1 + exp(-a))", "Elfwing et al., 2017; Ramachandran et al. (Swish), 2017", nn.SiLU
    ),
    "mish": Activation("a tanh(log(1 + exp(a)))", "Misra, 2019", nn.Mish),
    "softplus": Activation("log(1 + exp(a))", "Dugas et al., 2000", nn.Softplus),
    "softsign": Activation(
        "a / (1 + |a|)", "Glorot & Bengio, 2010", nn.Softsign, bounds=(-1.0, 1.0)
    ),
    "hardtanh": Activation(
        "min(1, max(-1, a))", "Collobert, 2004", nn.Hardtanh, bounds=(-1.0, 1.0), kinks=(-1.0, 1.0)
    ),
}


def register_activation(name: str, activation: Activation) -> None:
    """Add ``activation`` to the menu under ``name``; a taken name is refused, never replaced.

    Grids, the CLI, ``mlp`` and ``calculate_gain`` then take the name. Modules of the class that
    ``activation.module`` builds are recognized: ``capture`` counts what is saturated, ``diagnose``
    and ``initialize`` name the nonlinearity after a layer.

    Raises:
        InitBenchError: ``name`` is taken.

    Example:
        >>> relu6 = Activation(
        ...     formula="min(max(0, a), 6)", source="Krizhevsky, 2010",
        ...     module=nn.ReLU6, bounds=(0.0, 6.0))
        >>> register_activation("relu", relu6)
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: activation 'relu' is taken; choose another name
    """
    if name in ACTIVATIONS:
        raise InitBenchError(f"activation {name!r} is taken; choose another name")
    ACTIVATIONS[name] = activation
