"""Initializers in the dialect of ``torch.nn.init``: in place, trailing underscore, returned.

Every public function of ``torch.nn.init`` is here under its name, with its arguments and, drawn
from the same generator, its bits; ``from init_bench import init`` can stand wherever
``from torch.nn import init`` did.
"""

from init_bench.activations.gains import calculate_gain
from init_bench.init.batch_inits.admin import admin_
from init_bench.init.batch_inits.krahenbuhl import krahenbuhl_
from init_bench.init.batch_inits.lsuv import lsuv_
from init_bench.init.lookup import (
    ALIASES,
    BATCH_INITS,
    INITS,
    KINDS,
    LOSS_INITS,
    MODULE_INITS,
    Init,
    all_inits,
    register_init,
)
from init_bench.init.loss_inits.gradinit import gradinit_
from init_bench.init.loss_inits.metainit import metainit_
from init_bench.init.menu import menu_rows
from init_bench.init.module_inits.as_built import as_built_
from init_bench.init.module_inits.deep_transformers import deepnorm_, sub_ln_
from init_bench.init.module_inits.fixup import fixup_
from init_bench.init.module_inits.gpt2 import gpt2_
from init_bench.init.module_inits.idinit import idinit_
from init_bench.init.module_inits.language_models import (
    fan_in_,
    llama_,
    nanochat_,
    normalized_,
    small_,
)
from init_bench.init.module_inits.lora import lora_
from init_bench.init.module_inits.mamba import mamba_
from init_bench.init.module_inits.mimetic import mimetic_
from init_bench.init.module_inits.moments import moments_
from init_bench.init.module_inits.mup import completep_, mup_
from init_bench.init.module_inits.recurrent import recurrent_
from init_bench.init.module_inits.siren import siren_
from init_bench.init.module_inits.skipinit import skipinit_
from init_bench.init.module_inits.t_fixup import t_fixup_
from init_bench.init.module_inits.zero import zero_
from init_bench.init.module_inits.zero_gamma import zero_gamma_
from init_bench.init.plugins import load_plugins
from init_bench.init.spec import InitSpec, canonical, parse
from init_bench.init.tensor_inits.constant import (
    constant_,
    normal_,
    ones_,
    trunc_normal_,
    uniform_,
    zeros_,
)
from init_bench.init.tensor_inits.critical import critical_normal_
from init_bench.init.tensor_inits.deprecated import (
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
from init_bench.init.tensor_inits.fans import fans, module_fans
from init_bench.init.tensor_inits.identity import dirac_, eye_, identity_, tanh_init_
from init_bench.init.tensor_inits.orthogonal import delta_orthogonal_, looks_linear_, orthogonal_
from init_bench.init.tensor_inits.sinusoidal import sinusoidal_
from init_bench.init.tensor_inits.sparse import sparse_
from init_bench.init.tensor_inits.variance_scaling import (
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
from init_bench.init.whole_model.initialization import initialize
from init_bench.init.whole_model.network_editor import Network, NetworkInit
from init_bench.init.whole_model.report import Report

__all__ = [
    "ALIASES",
    "BATCH_INITS",
    "INITS",
    "KINDS",
    "LOSS_INITS",
    "MODULE_INITS",
    "Init",
    "InitSpec",
    "Network",
    "NetworkInit",
    "Report",
    "admin_",
    "all_inits",
    "as_built_",
    "calculate_gain",
    "canonical",
    "completep_",
    "constant",
    "constant_",
    "critical_normal_",
    "deepnorm_",
    "delta_orthogonal_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "fan_in_",
    "fans",
    "fixup_",
    "gpt2_",
    "gradinit_",
    "he_normal_",
    "he_uniform_",
    "identity_",
    "idinit_",
    "initialize",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "krahenbuhl_",
    "lecun_normal_",
    "lecun_uniform_",
    "llama_",
    "looks_linear_",
    "lora_",
    "lsuv_",
    "mamba_",
    "menu_rows",
    "metainit_",
    "mimetic_",
    "module_fans",
    "moments_",
    "mup_",
    "nanochat_",
    "normal",
    "normal_",
    "normalized_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "parse",
    "recurrent_",
    "register_init",
    "sinusoidal_",
    "siren_",
    "skipinit_",
    "small_",
    "sparse",
    "sparse_",
    "sub_ln_",
    "t_fixup_",
    "tanh_init_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "variance_scaling_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zero_",
    "zero_gamma_",
    "zeros_",
]


_calculate_fan_in_and_fan_out = fans  # private in torch, yet in many a reset_parameters


load_plugins()  # last: a plug-in may import anything of the above
