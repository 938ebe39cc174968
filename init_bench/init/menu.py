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
from init_bench.init.batch_inits import admin, krahenbuhl, lsuv
from init_bench.init.docstrings import section
from init_bench.init.lookup import (
    NOT_IN_SPECS,
    Init,
    InitRecord,
    add_record,
    all_inits,
    needs_of,
)
from init_bench.init.loss_inits import gradinit, metainit
from init_bench.init.module_inits import (
    as_built,
    deep_transformers,
    fixup,
    gpt2,
    idinit,
    language_models,
    lora,
    mamba,
    mimetic,
    moments,
    mup,
    recurrent,
    siren,
    skipinit,
    t_fixup,
    torch_default,
    zero,
    zero_gamma,
)
from init_bench.init.tensor_inits import (
    constant,
    critical,
    identity,
    orthogonal,
    sinusoidal,
    sparse,
)
from init_bench.init.tensor_inits import variance_scaling as scaling
from init_bench.init.tensor_inits.torch_builtin import DEFAULT, TORCH_INITS


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
    InitRecord("zeros", _drawing_nothing(constant.zeros_), nominal_std=std.constant),
    InitRecord("ones", _drawing_nothing(constant.ones_), nominal_std=std.constant),
    InitRecord(
        "constant", _drawing_nothing(constant.constant_, value="val"), nominal_std=std.constant
    ),
    InitRecord("normal", constant.normal_, nominal_std=std.normal, distribution="normal"),
    InitRecord("uniform", constant.uniform_, nominal_std=std.uniform, distribution="uniform"),
    # N(0, 1/fan_in), the book's "Xavier":
    InitRecord("lecun_normal", scaling.lecun_normal_, nominal_std=std.lecun, distribution="normal"),
    InitRecord(
        "lecun_uniform", scaling.lecun_uniform_, nominal_std=std.lecun, distribution="uniform"
    ),
    InitRecord(
        "xavier_normal",
        scaling.xavier_normal_,
        nominal_std=std.xavier,
        distribution="normal",
        aliases=("glorot_normal",),
    ),
    InitRecord(
        "xavier_uniform",
        scaling.xavier_uniform_,
        nominal_std=std.xavier,
        distribution="uniform",
        aliases=("glorot_uniform",),
    ),
    InitRecord(
        "he_normal",
        scaling.he_normal_,
        nominal_std=std.he,
        distribution="normal",
        recognized_as=("he_normal", "he_normal(mode='fan_out')"),
        aliases=("kaiming_normal",),
    ),
    InitRecord(
        "he_uniform",
        scaling.he_uniform_,
        nominal_std=std.he,
        distribution="uniform",
        recognized_as=("he_uniform", "he_uniform(mode='fan_out')"),
        aliases=("kaiming_uniform",),
    ),
    InitRecord(
        "variance_scaling",
        scaling.variance_scaling_,
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
        constant.trunc_normal_,
        nominal_std=std.trunc_normal,
        distribution="truncated_normal",
        recognized_as=("trunc_normal",),
    ),
    InitRecord("orthogonal", orthogonal.orthogonal_, nominal_std=std.orthogonal),
    InitRecord("delta_orthogonal", orthogonal.delta_orthogonal_, nominal_std=std.delta_orthogonal),
    InitRecord(
        "looks_linear", orthogonal.looks_linear_, nominal_std=std.looks_linear, meant_for=("relu",)
    ),
    InitRecord(
        "identity", _drawing_nothing(identity.identity_), nominal_std=std.identity, aliases=("eye",)
    ),
    InitRecord("dirac", _drawing_nothing(identity.dirac_), nominal_std=std.dirac),
    InitRecord("sinusoidal", sinusoidal.sinusoidal_, nominal_std=std.xavier),
    InitRecord("tanh_init", identity.tanh_init_, nominal_std=std.tanh_init),
    InitRecord("sparse", sparse.sparse_, nominal_std=std.sparse),  # the spec must give its sparsity
    InitRecord(  # edge of chaos of a nonlinearity, biases included
        "critical_normal",
        critical.critical_normal_,
        nominal_std=std.critical,
        distribution="normal",
        recognized_as=(),
        fills_biases=True,
        takes_nonlinearity=True,
    ),
)


_OF_NETWORKS: tuple[InitRecord, ...] = (
    InitRecord("fixup", fixup.fixup_, needs="module", meant_for=("no normalization",)),
    InitRecord("skipinit", skipinit.skipinit_, needs="module"),
    InitRecord("zero_gamma", zero_gamma.zero_gamma_, needs="module"),
    InitRecord("zero", zero.zero_, needs="module"),
    InitRecord("gpt2", gpt2.gpt2_, needs="module", meant_for=("attention",)),
    InitRecord("llama", language_models.llama_, needs="module", meant_for=("attention",)),
    InitRecord("fan_in", language_models.fan_in_, needs="module"),
    InitRecord("normalized", language_models.normalized_, needs="module", meant_for=("attention",)),
    InitRecord("nanochat", language_models.nanochat_, needs="module", meant_for=("attention",)),
    InitRecord("small", language_models.small_, needs="module", meant_for=("attention",)),
    InitRecord("t_fixup", t_fixup.t_fixup_, needs="module"),
    InitRecord("siren", siren.siren_, needs="module", meant_for=("sine",)),
    InitRecord("as_built", as_built.as_built_, needs="module"),
    InitRecord("mup", mup.mup_, needs="module"),
    InitRecord("completep", mup.completep_, needs="module"),
    InitRecord(DEFAULT, torch_default.torch_default_, needs="module", resets_modules=True),
    InitRecord("deepnorm", deep_transformers.deepnorm_, needs="module"),
    InitRecord("sub_ln", deep_transformers.sub_ln_, needs="module"),
    InitRecord("mimetic", mimetic.mimetic_, needs="module"),
    InitRecord("idinit", idinit.idinit_, needs="module"),
    InitRecord("recurrent", recurrent.recurrent_, needs="module"),
    InitRecord("mamba", mamba.mamba_, needs="module"),
    InitRecord("lora", lora.lora_, needs="module"),
    InitRecord("moments", moments.moments_, needs="module"),
    InitRecord("lsuv", lsuv.lsuv_, needs="batch"),
    InitRecord("krahenbuhl", krahenbuhl.krahenbuhl_, needs="batch"),
    InitRecord("admin", admin.admin_, needs="batch", meant_for=("attention",)),
    InitRecord("metainit", metainit.metainit_, needs="loss"),
    InitRecord("gradinit", gradinit.gradinit_, needs="loss"),
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
