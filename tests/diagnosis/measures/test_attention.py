"""Attentions that pick one key are watched, however they are written."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import init_bench as ib

X, Y = torch.randn(16, 12, 64, generator=torch.Generator().manual_seed(2)), torch.arange(16) % 10


class Attention(nn.Module):
    def __init__(self, how: str, std: float) -> None:
        super().__init__()
        self.how, self.norm = how, nn.LayerNorm(64)
        self.query_key, self.value = nn.Linear(64, 128, bias=False), nn.Linear(64, 64)
        nn.init.normal_(self.query_key.weight, std=std / 8)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.query_key(self.norm(x)).chunk(2, -1)
        v = self.value(x)
        if self.how == "torch":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif self.how == "einsum":
            weights = torch.einsum("bqd,bkd->bqk", q, k).mul(1 / 8).softmax(-1)
            y = torch.einsum("bqk,bkd->bqd", weights, v)
        else:
            y = F.softmax(q @ k.transpose(-1, -2) / 8, dim=-1) @ v
        out: Tensor = self.head((x + y).mean(1))
        return out


@pytest.mark.parametrize("how", ["by hand", "einsum", "torch"])
@pytest.mark.parametrize(("std", "expected"), [(1.0, 0), (3.0, 1)])
def test_attention_that_picks_one_key_is_watched(how: str, std: float, expected: int) -> None:
    torch.manual_seed(0)
    diagnosis = ib.diagnose(Attention(how, std), X, Y)
    found = diagnosis.verdicts[diagnosis.verdicts.verdict == "saturated"]
    assert len(found) == expected
    assert (found.value > 0.8).all() and (found.severity == "watch").all()


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0), (6.0, 1)])
def test_torchs_attention_is_asked_for_its_weights(factor: float, expected: int) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(64, 2, batch_first=True)
            self.head = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            y, _ = self.attention(x, x, x, need_weights=False)
            out: Tensor = self.head((x + y).mean(1))
            return out

    torch.manual_seed(0)
    model = Net()
    model.attention.in_proj_weight.data[:128] *= factor
    verdicts = ib.diagnose(model, X, Y).verdicts
    found = verdicts[verdicts.verdict == "saturated"]
    assert found.layer.tolist() == ["attention"] * expected


def test_a_softmax_that_weighs_nothing_is_no_attention() -> None:
    model = nn.Sequential(nn.Linear(64, 12), nn.Softmax(-1), nn.Flatten(), nn.Linear(144, 10))
    model[0].weight.data.mul_(30)  # type: ignore[operator]
    verdicts = ib.diagnose(model, X, Y).verdicts
    assert "saturated" not in verdicts.verdict.tolist()
