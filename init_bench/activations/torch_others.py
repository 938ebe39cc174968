"""List torch's nonlinearities beyond the menu, which capture and diagnose recognize too."""

from torch import nn

from init_bench.activations.menu import Activation

TORCH_OTHERS: dict[str, Activation] = {
    "relu6": Activation(
        formula="min(6, max(0, a))",
        source="Krizhevsky, 2010",
        module=nn.ReLU6,  # without bounds: at 0 it rests as relu does, which is no saturation
    ),
    "prelu": Activation(
        formula="max(0, a) + w min(0, a), w learned", source="He et al., 2015", module=nn.PReLU
    ),
    "rrelu": Activation(
        formula="max(0, a) + u min(0, a), u drawn in training",
        source="Xu et al., 2015",
        module=nn.RReLU,
    ),
    "hardsigmoid": Activation(
        formula="min(1, max(0, a / 6 + 1/2))",
        source="torch.nn.Hardsigmoid",
        module=nn.Hardsigmoid,
        bounds=(0.0, 1.0),
        kinks=(-3.0, 3.0),
    ),
    "hardswish": Activation(
        formula="a min(1, max(0, a / 6 + 1/2))",
        source="Howard et al., 2019",
        module=nn.Hardswish,
        kinks=(-3.0, 3.0),
    ),
    "logsigmoid": Activation(
        formula="-log(1 + exp(-a))", source="torch.nn.LogSigmoid", module=nn.LogSigmoid
    ),
    "tanhshrink": Activation(
        formula="a - tanh(a)", source="torch.nn.Tanhshrink", module=nn.Tanhshrink
    ),
    "softshrink": Activation(
        formula="sign(a) max(0, |a| - 0.5)",
        source="torch.nn.Softshrink",
        module=nn.Softshrink,
        kinks=(-0.5, 0.5),
    ),
    "hardshrink": Activation(
        formula="a if |a| > 0.5 else 0",
        source="torch.nn.Hardshrink",
        module=nn.Hardshrink,
        kinks=(-0.5, 0.5),
    ),
    "threshold": Activation(
        formula="a if a > threshold else value",
        source="torch.nn.Threshold",
        module=lambda: nn.Threshold(0.0, 0.0),
    ),
    "softmax": Activation(
        formula="exp(aᵢ) / Σ exp(a)",
        source="torch.nn.Softmax",
        module=lambda: nn.Softmax(dim=-1),
        elementwise=False,
    ),
    "log_softmax": Activation(
        formula="aᵢ - log Σ exp(a)",
        source="torch.nn.LogSoftmax",
        module=lambda: nn.LogSoftmax(dim=-1),
        elementwise=False,
    ),
    "glu": Activation(
        formula="a / (1 + exp(-b)), a and b the halves of the input",
        source="Dauphin et al., 2016",
        module=nn.GLU,
        elementwise=False,
    ),
}
"""By the name of torch's function. Where torch takes arguments, formulas state its defaults."""
