"""Initialisers in the dialect of ``torch.nn.init``: in place, trailing underscore, returned.

Every public function of ``torch.nn.init`` is here under its name, with its arguments and, drawn
from the same generator, its bits; ``from init_bench import init`` can stand wherever
``from torch.nn import init`` did.
"""

from init_bench.init.constants import (
    constant_,
    normal_,
    ones_,
    trunc_normal_,
    uniform_,
    zeros_,
)
from init_bench.init.critical import critical_normal_
from init_bench.init.deprecated import (
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    sparse,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from init_bench.init.fans import fans, module_fans
from init_bench.init.gain import calculate_gain
from init_bench.init.identities import dirac_, eye_, identity_
from init_bench.init.menu import ALIASES, INITS, Init, menu_rows, register_init
from init_bench.init.orthogonality import delta_orthogonal_, looks_linear_, orthogonal_
from init_bench.init.plugins import load_plugins
from init_bench.init.sparsity import sparse_
from init_bench.init.spec import InitSpec, canonical, parse
from init_bench.init.variance_scaling import (
    he_normal_,
    he_uniform_,
    kaiming_normal_,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)
from init_bench.init.whole_model import initialize

__all__ = [
    "ALIASES",
    "INITS",
    "Init",
    "InitSpec",
    "calculate_gain",
    "canonical",
    "constant",
    "constant_",
    "critical_normal_",
    "delta_orthogonal_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "fans",
    "he_normal_",
    "he_uniform_",
    "identity_",
    "initialize",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "looks_linear_",
    "menu_rows",
    "module_fans",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "parse",
    "register_init",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "variance_scaling_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]

_calculate_fan_in_and_fan_out = fans  # private in torch, yet in many a reset_parameters

load_plugins()  # last: a plug-in may import anything of the above
