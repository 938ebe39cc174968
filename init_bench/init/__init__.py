"""Initialisers in the dialect of ``torch.nn.init``: in place, trailing underscore, returned."""

from init_bench.init.constant import constant_, normal_, ones_, uniform_, zeros_
from init_bench.init.fixup import fixup_
from init_bench.init.gpt2 import gpt2_
from init_bench.init.gradinit import gradinit_
from init_bench.init.krahenbuhl import krahenbuhl_
from init_bench.init.lsuv import lsuv_
from init_bench.init.menu import (
    ALIASES,
    BATCH_INITS,
    INITS,
    KINDS,
    LOSS_INITS,
    MODULE_INITS,
    Init,
    NetworkInit,
    all_inits,
    menu_rows,
    register_init,
)
from init_bench.init.metainit import metainit_
from init_bench.init.network import Network
from init_bench.init.report import Report
from init_bench.init.siren import siren_
from init_bench.init.skipinit import skipinit_
from init_bench.init.spec import InitSpec, canonical, parse
from init_bench.init.t_fixup import t_fixup_
from init_bench.init.variance_scaling import (
    calculate_gain,
    fans,
    he_normal_,
    he_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)
from init_bench.init.whole_model import initialize
from init_bench.init.zero import zero_
from init_bench.init.zero_gamma import zero_gamma_

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
    "all_inits",
    "calculate_gain",
    "canonical",
    "constant_",
    "fans",
    "fixup_",
    "gpt2_",
    "gradinit_",
    "he_normal_",
    "he_uniform_",
    "initialize",
    "krahenbuhl_",
    "lecun_normal_",
    "lecun_uniform_",
    "lsuv_",
    "menu_rows",
    "metainit_",
    "normal_",
    "ones_",
    "parse",
    "register_init",
    "siren_",
    "skipinit_",
    "t_fixup_",
    "uniform_",
    "variance_scaling_",
    "xavier_normal_",
    "xavier_uniform_",
    "zero_",
    "zero_gamma_",
    "zeros_",
]
