"""Describe layers of several matrices by the worst one.

Recurrent layers have one per gate, attention has four projections, and a module that computes with
the weights of modules inside it, which do not run themselves, has those.
"""

import math
from collections.abc import Iterator, Mapping

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.activations.recognition import TABLES
from init_bench.init.whole_model.parameter_roles import gates_of, is_weight
from init_bench.statistics.layer_statistics import describe_weight


def worst_matrices(modules: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Return a row per layer of several matrices, its index the layer's name.

    Columns: ``weight_gain``, the √(columns · mean W²) that is furthest from 1, as a factor; of the
    matrix of which the smallest share of rows differ, ``units``, its rows, and ``distinct``, how
    many of them do. A gate's matrix is [W_ih W_hh], all that its units sum. nan where a value is
    not finite.

    Args:
        modules: by name, those of leaf calls.

    Example:
        >>> layer = nn.LSTM(6, 2)
        >>> _ = nn.init.constant_(layer.weight_ih_l0, 1.0)
        >>> _ = nn.init.constant_(layer.weight_hh_l0, 0.0)
        >>> worst_matrices({"lstm": layer}).round(3)
              weight_gain  units  distinct
        lstm        2.449      2       1.0
    """
    rows = {path: row for path, module in modules.items() if (row := _worst(module))}
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["weight_gain", "units", "distinct"]
    )


def _worst(module: nn.Module) -> tuple[float, int, float] | None:
    rows = [(len(matrix), *_gain_and_distinct(matrix)) for matrix in _matrices(module)]
    if not rows:
        return None
    gains = [gain for _, gain, _ in rows]
    units, _, distinct = min(rows, key=lambda row: row[2] / row[0])
    finite = not any(map(math.isnan, gains))
    return max(gains, key=distance_from_1) if finite else math.nan, units, distinct


def distance_from_1(gain: float) -> float:
    """Return |log gain|; inf of a gain that is 0 or not finite."""
    return abs(math.log(gain)) if 0 < gain < math.inf else math.inf


def _gain_and_distinct(matrix: Tensor) -> tuple[float, float]:
    statistics = describe_weight(matrix)
    return math.sqrt(matrix.shape[1]) * statistics["rms"], statistics["distinct"]


def _matrices(module: nn.Module) -> Iterator[Tensor]:
    """Yield the matrices of a layer that has several, units by what each sums."""
    if isinstance(module, nn.MultiheadAttention):
        yield from _attention(module)
    elif isinstance(module, nn.RNNBase):
        sides = ("", "_reverse") if module.bidirectional else ("",)
        for level in range(module.num_layers):
            for side in sides:
                yield from _gates(module, f"_l{level}{side}")
                if module.proj_size:
                    yield getattr(module, f"weight_hr_l{level}{side}")
    elif isinstance(module, nn.RNNCellBase):
        yield from _gates(module, "")
    else:
        for inner in modules_computed_with(module).values():
            yield inner.weight.detach().flatten(1)  # type: ignore[operator]


def modules_computed_with(module: nn.Module) -> dict[str, nn.Module]:
    """Return the modules with a matrix inside ``module``, by their names in it.

    In a leaf call they do not run: whatever is computed with their weights, ``module`` computes.
    Empty where ``module`` has a matrix of its own, and in torch's attention. Embeddings and
    transposed convolutions are left out: their rows are no units.

    Example:
        >>> list(modules_computed_with(nn.Sequential(nn.Linear(3, 2), nn.ReLU())))
        ['0']
    """
    own = module.named_parameters(recurse=False)
    if any(is_weight(module, name, value) for name, value in own) or isinstance(
        module, nn.MultiheadAttention
    ):
        return {}
    inside = {name: inner for name, inner in module.named_modules() if inner is not module}
    return {name: inner for name, inner in inside.items() if _multiplies(inner)}


def _multiplies(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    is_matrix = isinstance(weight, Tensor) and weight.dim() > 1
    return is_matrix and not isinstance(module, TABLES) and not getattr(module, "transposed", False)


def _attention(module: nn.MultiheadAttention) -> Iterator[Tensor]:
    if module.in_proj_weight is None:
        yield from (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    else:
        yield from module.in_proj_weight.detach().chunk(3)
    yield module.out_proj.weight


def _gates(module: nn.RNNBase | nn.RNNCellBase, suffix: str) -> Iterator[Tensor]:
    both = (getattr(module, f"weight_{kind}{suffix}") for kind in ("ih", "hh"))
    yield from torch.cat([weight.detach() for weight in both], dim=1).chunk(gates_of(module))
