"""Initialisers in the dialect of ``torch.nn.init``: in place, trailing underscore, returned."""

from init_bench.init.constant import constant_, normal_, ones_, uniform_, zeros_
from init_bench.init.fans import fans, module_fans
from init_bench.init.menu import ALIASES, INITS, Init, menu_rows, register_init
from init_bench.init.spec import InitSpec, canonical, parse
from init_bench.init.variance_scaling import (
    calculate_gain,
    he_normal_,
    he_uniform_,
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
    "constant_",
    "fans",
    "he_normal_",
    "he_uniform_",
    "initialize",
    "lecun_normal_",
    "lecun_uniform_",
    "menu_rows",
    "module_fans",
    "normal_",
    "ones_",
    "parse",
    "register_init",
    "uniform_",
    "variance_scaling_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]
