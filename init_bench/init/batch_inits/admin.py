"""Fill by Admin: weigh each residual branch against the variance of those before it."""

import math

from torch import Tensor

from init_bench.errors import InitBenchError
from init_bench.init.batch_inits.affine_layers import Affine, affine_or_why_not, while_running
from init_bench.init.graph.branch import Branch
from init_bench.init.graph.structure import is_any_norm
from init_bench.init.whole_model.branch_factors import scalars_of
from init_bench.init.whole_model.custom_norms import start_norms
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.transformer_parts import branch_ends, stack_of


def admin_(network: Network, *, start: str = "xavier_uniform", branches: str | None = None) -> None:
    """Divide each residual branch by the spread of the branches before it, seen on the batch.

    Made for post-norm blocks LayerNorm(ω x + f(x)), which Admin gives a factor ω on the skip. A
    model without such factors needs none: LayerNorm(ω x + f) = LayerNorm(x + f / ω), so the last
    layer of each branch is divided by ω, and forward stays as it is. Gradients are those of a
    fixed ω. A model's own ω stays as ``start`` left it. One forward pass does it: later branches
    see what the earlier ones became. The model runs in the mode it is in (``train`` or ``eval``);
    running statistics and RNG states come back.

    Formula:
        W_i ← W_i / ω_i, b_i ← b_i / ω_i for the last layer of branch i, with
        ω_i² = 1 + Σ_{j<i} Var[f_j], Var over the whole output of f_j before it is divided; 1 is
        the variance that a norm leaves on the first skip. Encoder and decoder count apart.

    Shapes:
        network: any with residual sums x + f(x), traced, of the usual names, or named by the
        ``fnmatch`` pattern ``branches`` of module names. f_j is the output of the branch's last
        linear layer or convolution, times the numbers and scalar factors behind it; dropout
        behind it is not seen. Without a norm behind the sums (pre-norm) this is no longer the
        paper's rule: the branches still shrink, the skip stays 1.

    Raises:
        InitBenchError: no residual branch was found or named; one ends in a norm, which undoes
            any factor; its last weight is shared, ends another branch too, or is in no layer that
            is affine in it; its output is not finite on the batch, or the batch does not fit.

    Source:
        Liu, Liu, Gao, Chen & Han, Understanding the Difficulty of Training Transformers, 2020,
        sec. 4 (recalled); ω_1 = 1, ω_{i+1}² = Var[ω_i x] + Var[f_i] as in a copy of the authors'
        fairseq layers (code read).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        >>> model = nn.TransformerEncoder(layer, num_layers=2)
        >>> x = torch.randn(32, 5, 8, generator=torch.Generator().manual_seed(0))
        >>> table = initialize(model, "admin", batch=x).table.set_index("parameter")
        >>> table.loc["layers.0.self_attn.out_proj.weight", "note"]
        'ends residual branch 1: over omega = 1'
        >>> table.loc["layers.1.linear2.weight", "note"].rpartition(" = ")[0]
        'ends residual branch 4: over omega'
    """
    found = network.branches(branches) if branches else network.structure.branches
    for branch in found:
        _refuse_norm_at_end(network, branch)
    layers = _last_layers(network, branch_ends(network, branches))
    network.start(start)
    start_norms(network)
    factors = {network.ends_of(branch)[-1]: _factor(network, branch) for branch in found}
    totals: dict[str, list[float]] = {}

    def divide(layer: Affine, output: Tensor) -> Tensor:
        before = totals.setdefault(stack_of(network, layer.weight), [1.0])
        omega = math.sqrt(sum(before))
        note = f"ends residual branch {len(before)}: over omega = {omega:.4g}"
        before.append(_variance(layer.path, output) * factors.get(layer.weight, 1.0) ** 2)
        signal, _ = layer.split(output)
        if not network.has_override(layer.weight):
            network.scale(layer.weight, 1 / omega, note)
            signal = signal / omega
        if layer.bias is not None:
            network.scale(layer.bias, 1 / omega)
        return signal if layer.added is None else signal + layer.added

    while_running(network, layers, divide, with_overrides=True)


def _refuse_norm_at_end(network: Network, branch: Branch) -> None:
    last = network.ends_of(branch)[-1]
    for path in reversed(branch.modules):
        if last in network.within(path):
            return
        module = network.module_at(path)
        if module is not None and is_any_norm(module):
            raise InitBenchError(
                f"the residual branch {', '.join(branch.modules)} ends in the norm {path!r}, "
                f"which undoes any factor before it; admin is made for LayerNorm(x + f(x))"
            )


def _last_layers(network: Network, ends: list[list[NamedParameter]]) -> list[Affine]:
    found = []
    each = dict.fromkeys(end for branch in ends for end in branch)
    for parameter, layer in affine_or_why_not(network, each):
        beside = [branch for branch in ends if parameter in branch]
        if len(beside) > 1:
            layer = "it ends more than one branch"
        elif len(beside[0]) > 1:
            layer = "others end the same branch beside it"
        if not isinstance(layer, Affine):
            raise InitBenchError(
                f"admin cannot divide {parameter.name!r}, which ends a residual branch: {layer}; "
                f"name the branches it may divide, as in branches='blocks.*.mlp'"
            )
        found.append(layer)
    return found


def _factor(network: Network, branch: Branch) -> float:
    """Return what the branch is multiplied by behind its last layer."""
    return branch.scale * math.prod(float(p.values) for p in scalars_of(network, branch))


def _variance(path: str, output: Tensor) -> float:
    variance = output.float().var(correction=0).item()
    if not math.isfinite(variance):
        raise InitBenchError(
            f"the output of {path!r}, which ends a residual branch, is not finite on this batch; "
            f"check the batch and the layers before it"
        )
    return variance
