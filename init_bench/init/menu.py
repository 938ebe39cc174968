"""List the initializers of the package, one record each, in the order of every table.

To add one, write its function in the folder of what it must see (``tensor_inits`` …) and its
record here. Specs, reports, tests of draws, CLI and docs take all from these records.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from init_bench.init import std_formulas as std
from init_bench.init.batch_inits.admin import admin_
from init_bench.init.batch_inits.krahenbuhl import krahenbuhl_
from init_bench.init.batch_inits.lsuv import lsuv_
from init_bench.init.docstrings import section
from init_bench.init.lookup import (
    NOT_IN_SPECS,
    Init,
    InitRecord,
    add_record,
    all_inits,
    needs_of,
)
from init_bench.init.loss_inits.gradinit import gradinit_
from init_bench.init.loss_inits.metainit import metainit_
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
from init_bench.init.module_inits.torch_default import torch_default_
from init_bench.init.module_inits.zero import zero_
from init_bench.init.module_inits.zero_gamma import zero_gamma_
from init_bench.init.tensor_inits.constant import (
    constant_,
    normal_,
    ones_,
    trunc_normal_,
    uniform_,
    zeros_,
)
from init_bench.init.tensor_inits.critical import critical_normal_
from init_bench.init.tensor_inits.identity import dirac_, identity_, tanh_init_
from init_bench.init.tensor_inits.orthogonal import delta_orthogonal_, looks_linear_, orthogonal_
from init_bench.init.tensor_inits.sinusoidal import sinusoidal_
from init_bench.init.tensor_inits.sparse import sparse_
from init_bench.init.tensor_inits.torch_builtin import DEFAULT, TORCH_INITS
from init_bench.init.tensor_inits.variance_scaling import (
    he_normal_,
    he_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)


def _drawing_nothing(fill: Callable[..., Tensor], **words: str) -> Init:
    """Give ``fill``, which has torch's signature and draws nothing, the face of an ``Init``.

    ``words`` are the names under which a spec string gives its arguments, where they differ.
    """

    @functools.wraps(fill)
    def init_(
        tensor: Tensor, *values: Any, generator: torch.Generator | None = None, **arguments: Any
    ) -> Tensor:
        return fill(tensor, *values, **{words.get(k, k): value for k, value in arguments.items()})

    spoken = {parameter: word for word, parameter in words.items()}
    own = inspect.signature(fill)
    parameters = [p.replace(name=spoken.get(p.name, p.name)) for p in own.parameters.values()]
    init_.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return init_


_OF_TENSORS: tuple[InitRecord, ...] = (
    InitRecord("zeros", _drawing_nothing(zeros_), nominal_std=std.constant),
    InitRecord("ones", _drawing_nothing(ones_), nominal_std=std.constant),
    InitRecord("constant", _drawing_nothing(constant_, value="val"), nominal_std=std.constant),
    InitRecord("normal", normal_, nominal_std=std.normal, distribution="normal"),
    InitRecord("uniform", uniform_, nominal_std=std.uniform, distribution="uniform"),
    # N(0, 1/fan_in), the book's "Xavier":
    InitRecord("lecun_normal", lecun_normal_, nominal_std=std.lecun, distribution="normal"),
    InitRecord("lecun_uniform", lecun_uniform_, nominal_std=std.lecun, distribution="uniform"),
    InitRecord(
        "xavier_normal",
        xavier_normal_,
        nominal_std=std.xavier,
        distribution="normal",
        aliases=("glorot_normal",),
    ),
    InitRecord(
        "xavier_uniform",
        xavier_uniform_,
        nominal_std=std.xavier,
        distribution="uniform",
        aliases=("glorot_uniform",),
    ),
    InitRecord(
        "he_normal",
        he_normal_,
        nominal_std=std.he,
        distribution="normal",
        recognized_as=("he_normal", "he_normal(mode='fan_out')"),
        aliases=("kaiming_normal",),
    ),
    InitRecord(
        "he_uniform",
        he_uniform_,
        nominal_std=std.he,
        distribution="uniform",
        recognized_as=("he_uniform", "he_uniform(mode='fan_out')"),
        aliases=("kaiming_uniform",),
    ),
    InitRecord(
        "variance_scaling",
        variance_scaling_,
        nominal_std=std.variance_scaling,
        distribution="truncated_normal",
        recognized_as=(
            "variance_scaling(scale=1.0, mode='fan_in', distribution='truncated_normal')",
            "variance_scaling(scale=2.0, mode='fan_in', distribution='truncated_normal')",
            "variance_scaling(scale=1.0, mode='fan_avg', distribution='truncated_normal')",
        ),
    ),
    InitRecord(
        "trunc_normal",
        trunc_normal_,
        nominal_std=std.trunc_normal,
        distribution="truncated_normal",
        recognized_as=("trunc_normal",),
    ),
    InitRecord("orthogonal", orthogonal_, nominal_std=std.orthogonal),
    InitRecord("delta_orthogonal", delta_orthogonal_, nominal_std=std.delta_orthogonal),
    InitRecord("looks_linear", looks_linear_, nominal_std=std.looks_linear, meant_for=("relu",)),
    InitRecord("identity", _drawing_nothing(identity_), nominal_std=std.identity, aliases=("eye",)),
    InitRecord("dirac", _drawing_nothing(dirac_), nominal_std=std.dirac),
    InitRecord("sinusoidal", sinusoidal_, nominal_std=std.xavier),
    InitRecord("tanh_init", tanh_init_, nominal_std=std.tanh_init),
    InitRecord("sparse", sparse_, nominal_std=std.sparse),  # the spec must give its sparsity
    InitRecord(  # edge of chaos of a nonlinearity, biases included
        "critical_normal",
        critical_normal_,
        nominal_std=std.critical,
        distribution="normal",
        recognized_as=(),
        fills_biases=True,
        takes_nonlinearity=True,
    ),
)


_OF_NETWORKS: tuple[InitRecord, ...] = (
    InitRecord("fixup", fixup_, needs="module", meant_for=("no normalization",)),
    InitRecord("skipinit", skipinit_, needs="module"),
    InitRecord("zero_gamma", zero_gamma_, needs="module"),
    InitRecord("zero", zero_, needs="module"),
    InitRecord("gpt2", gpt2_, needs="module", meant_for=("attention",)),
    InitRecord("llama", llama_, needs="module", meant_for=("attention",)),
    InitRecord("fan_in", fan_in_, needs="module"),
    InitRecord("normalized", normalized_, needs="module", meant_for=("attention",)),
    InitRecord("nanochat", nanochat_, needs="module", meant_for=("attention",)),
    InitRecord("small", small_, needs="module", meant_for=("attention",)),
    InitRecord("t_fixup", t_fixup_, needs="module"),
    InitRecord("siren", siren_, needs="module", meant_for=("sine",)),
    InitRecord("as_built", as_built_, needs="module"),
    InitRecord("mup", mup_, needs="module"),
    InitRecord("completep", completep_, needs="module"),
    InitRecord(DEFAULT, torch_default_, needs="module", resets_modules=True),
    InitRecord("deepnorm", deepnorm_, needs="module"),
    InitRecord("sub_ln", sub_ln_, needs="module"),
    InitRecord("mimetic", mimetic_, needs="module"),
    InitRecord("idinit", idinit_, needs="module"),
    InitRecord("recurrent", recurrent_, needs="module"),
    InitRecord("mamba", mamba_, needs="module"),
    InitRecord("lora", lora_, needs="module"),
    InitRecord("moments", moments_, needs="module"),
    InitRecord("lsuv", lsuv_, needs="batch"),
    InitRecord("krahenbuhl", krahenbuhl_, needs="batch"),
    InitRecord("admin", admin_, needs="batch", meant_for=("attention",)),
    InitRecord("metainit", metainit_, needs="loss"),
    InitRecord("gradinit", gradinit_, needs="loss"),
)


def _torchs_own() -> Iterator[InitRecord]:
    """Yield torch's functions, each with what its counterpart of ours states."""
    ours = {name: r for r in _OF_TENSORS for name in (r.name, *r.aliases)}
    for name, fill in TORCH_INITS.items():
        record = ours.get(name.removeprefix("torch."), InitRecord(name, fill))
        yield replace(record, name=name, init=fill, recognized_as=None, aliases=())


for _record in (*_OF_TENSORS, *_torchs_own(), *_OF_NETWORKS):
    add_record(_record)


def signature_of(name: str) -> str:
    """Return how a spec calls the initializer, its defaults as they are.

    Example:
        >>> signature_of("normal"), signature_of("constant"), signature_of("zeros")
        ('normal(mean=0.0, std=1.0)', 'constant(value)', 'zeros')
    """
    own = list(inspect.signature(all_inits()[name]).parameters.values())[1:]
    taken = [p for p in own if p.name not in NOT_IN_SPECS]
    words = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in taken]
    return f"{name}({', '.join(words)})" if words else name


def menu_rows() -> list[dict[str, str]]:
    """Return a row per initializer: name, formula, needs, source, as its docstring states them.

    Example:
        >>> [row["formula"] for row in menu_rows() if row["name"] == "zeros"]
        ['W_ij = 0.']
    """
    return [_row(name) for name in all_inits()]


def _row(name: str) -> dict[str, str]:
    if name in TORCH_INITS:
        formula, source = f"as torch.nn.init.{name.removeprefix('torch.')}_", "torch.nn.init"
    else:
        init = all_inits()[name]
        formula, source = _formula(init), section(init, "Source") or "own"
    return {"name": name, "formula": formula, "source": source, "needs": needs_of(name)}


def _formula(init: object) -> str:
    """Return the formula, or the first line, of the docstring."""
    first, *_ = (inspect.getdoc(init) or "not stated").splitlines()
    return section(init, "Formula") or first
