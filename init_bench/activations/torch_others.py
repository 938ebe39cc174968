"""List torch's nonlinearities beyond the menu, which capture and diagnose recognize too."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from init_bench.activations.menu import Activation

TORCH_OTHERS: dict[str, Activation] = {
    # without bounds: at 0 it rests as relu does, which is no saturation
    "relu6": Activation("min(6, max(0, a))", "Krizhevsky, 2010", nn.ReLU6, kinks=(6.0,)),
    "prelu": Activation("max(0, a) + w min(0, a), w learned", "He et al., 2015", nn.PReLU),
    "rrelu": Activation(
        "max(0, a) + u min(0, a), u drawn in training", "Xu et al., 2015", nn.RReLU
    ),
    "hardsigmoid": Activation(
        "min(1, max(0, a / 6 + 1/2))",
        "torch.nn.Hardsigmoid",
        nn.Hardsigmoid,
        bounds=(0.0, 1.0),
        kinks=(-3.0, 3.0),
    ),
    "hardswish": Activation(
        "a min(1, max(0, a / 6 + 1/2))", "Howard et al., 2019", nn.Hardswish, kinks=(-3.0, 3.0)
    ),
    "logsigmoid": Activation("-log(1 + exp(-a))", "torch.nn.LogSigmoid", nn.LogSigmoid),
    "tanhshrink": Activation("a - tanh(a)", "torch.nn.Tanhshrink", nn.Tanhshrink),
    "softshrink": Activation(
        "sign(a) max(0, |a| - 0.5)", "torch.nn.Softshrink", nn.Softshrink, kinks=(-0.5, 0.5)
    ),
    "hardshrink": Activation(
        "a if |a| > 0.5 else 0", "torch.nn.Hardshrink", nn.Hardshrink, kinks=(-0.5, 0.5)
    ),
    "threshold": Activation(
        "a if a > threshold else value", "torch.nn.Threshold", lambda: nn.Threshold(0.0, 0.0)
    ),
    "softmax": Activation(
        "exp(aᵢ) / Σ exp(a)", "torch.nn.Softmax", lambda: nn.Softmax(dim=-1), elementwise=False
    ),
    "log_softmax": Activation(
        "aᵢ - log Σ exp(a)", "torch.nn.LogSoftmax", lambda: nn.LogSoftmax(dim=-1), elementwise=False
    ),
    "glu": Activation(
        "a / (1 + exp(-b)), a and b the halves of the input",
        "Dauphin et al., 2016",
        nn.GLU,
        elementwise=False,
    ),
}
"""By the name of torch's function. Where torch takes arguments, formulas state its defaults."""


FUNCTIONS_ALONE: Mapping[str, Callable[[Tensor], Tensor]] = {"sin": torch.sin, "cos": torch.cos}
"""Elementwise functions that no module of torch's computes. They are nonlinearities after a layer;
capture leaves them out, as attention computes positions with them."""
