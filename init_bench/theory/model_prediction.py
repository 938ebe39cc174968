"""Predict a given model by mean field theory, if the theory covers it."""

from dataclasses import dataclass

import pandas as pd
from torch import Tensor, nn

from init_bench.activations.recognition import menu_name_of
from init_bench.errors import InitBenchError
from init_bench.theory.inputs import Inputs
from init_bench.theory.mean_field import MeanField
from init_bench.theory.profile import profile_of
from init_bench.theory.weights import has_mean_zero, variances

COLUMNS = ("layer", "std", "sample_std", "gradient")
"""Columns of ``expected_of``."""


_CHANGES_NOTHING = nn.Flatten, nn.Identity


@dataclass
class _Block:
    """A weight layer and the nonlinearity after it: the names of both, ``phi`` the menu's."""

    name: str
    linear: nn.Linear
    behind: str = ""
    phi: str = "identity"


def expected_of(model: nn.Module, inputs: object) -> pd.DataFrame | None:
    """Return the statistics that mean field predicts for every layer, at the present weights.

    Each layer's σ_w² and σ_b² are measured on its own weights and biases; what is expected is the
    mean over networks drawn with these. It covers an ``nn.Sequential`` of ``nn.Linear``, each with
    a nonlinearity of the menu after it or none, whose weights and biases have mean 0.

    Returns:
        ``layer`` (the model's own name), ``std``, ``sample_std`` and ``gradient``, as a multiple
        of its size at the last layer. ``None`` for any other model or input.

    Example:
        >>> import torch, init_bench as ib
        >>> model = nn.Sequential(nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 10))
        >>> report = ib.initialize(model, "he_normal")
        >>> expected_of(model, torch.eye(400))["gradient"].round(1).tolist()
        [0.2, 0.2, 1.0]
        >>> expected_of(nn.Conv2d(1, 1, 3), torch.ones(2, 1, 3, 3)) is None
        True
    """
    if not isinstance(model, nn.Sequential):
        return None
    if not isinstance(inputs, Tensor) or inputs.dim() < 2 or not inputs.is_floating_point():
        return None
    blocks = _blocks(model)
    if not blocks or inputs[0].numel() != blocks[0].linear.in_features:
        return None
    try:
        return _expected(blocks, inputs)
    except InitBenchError:  # weights or biases that mean field says nothing about
        return None


def _blocks(model: nn.Sequential) -> list[_Block] | None:
    """Return the weight layers of ``model``; ``None`` if it holds anything else, or one twice."""
    parts = [
        (name, part)
        for name, part in model.named_modules(remove_duplicate=False)
        if not isinstance(part, (nn.Sequential, *_CHANGES_NOTHING))
    ]
    if len({part for _, part in parts}) < len(parts):
        return None
    blocks: list[_Block] = []
    for name, part in parts:
        phi = menu_name_of(part)
        if type(part) is nn.Linear:
            blocks.append(_Block(name, part))
        elif phi and blocks and not blocks[-1].behind:
            blocks[-1].behind, blocks[-1].phi = name, phi
        else:
            return None
    return blocks


def _expected(blocks: list[_Block], inputs: Tensor) -> pd.DataFrame:
    # A profile ends in a layer without a nonlinearity: one is added that changes nothing.
    layers = [*map(_mean_field, blocks), MeanField(activation="identity", sigma_w2=1.0)]
    widths = [blocks[0].linear.in_features, *(block.linear.out_features for block in blocks)]
    table = profile_of(layers, [*widths, widths[-1]], Inputs.of(inputs))
    is_gradient = table["kind"] == "gradient"
    found = table[~is_gradient].set_index("index").iloc[:-1]
    found["layer"] = [name for block in blocks for name in (block.name, block.behind)]
    found["gradient"] = table[is_gradient].set_index("index")["std"]
    return found.loc[found["layer"] != "", list(COLUMNS)].reset_index(drop=True)


def _mean_field(block: _Block) -> MeanField:
    bias = block.linear.bias
    if bias is not None and not has_mean_zero(bias.detach().double()):
        raise InitBenchError(f"mean field needs biases of mean 0, those of {block.name!r} are not")
    sigma_w2, sigma_b2 = variances(block.linear, block.name)
    return MeanField(activation=block.phi, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
