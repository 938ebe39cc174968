"""Find the batch dimension: by what a module says, and by what it is inside of."""

import torch
from torch import nn

from init_bench.hooks.batch_axis import batch_dim_of, batch_dims


def second(model: nn.Module) -> set[str]:
    return {name for name, dim in batch_dims(dict(model.named_modules())).items() if dim == 1}


def test_what_is_inside_a_transformer_follows_its_attention() -> None:
    model = nn.ModuleDict({
        "first": nn.TransformerEncoderLayer(8, 2, batch_first=True),
        "second": nn.TransformerEncoderLayer(8, 2),
        "head": nn.Linear(8, 2),
    })  # fmt: skip
    found = second(model)
    assert {"second", "second.self_attn", "second.linear1", "second.norm2"} < found
    assert not {name for name in found if not name.startswith("second")}


def test_a_whole_transformer_says_it_for_its_last_norm() -> None:
    layer = nn.TransformerEncoderLayer(8, 2)
    model = nn.TransformerEncoder(layer, 1, norm=nn.LayerNorm(8), enable_nested_tensor=False)
    assert {"", "norm", "layers.0.linear2"} < second(model)


def test_a_module_that_says_otherwise_is_believed() -> None:
    inner = nn.LSTM(2, 3, batch_first=True)
    outer = nn.ModuleDict({"lstm": inner})
    outer.batch_first = False  # type: ignore[assignment]
    assert second(outer) == {""}


def test_one_sequence_alone_is_its_own_samples() -> None:
    assert batch_dim_of(torch.ones(5, 3), 1) == 0
    assert batch_dim_of(torch.ones(5, 2, 3), 0) == 0
    assert batch_dim_of(torch.ones(5, 2, 3), 1) == 1
