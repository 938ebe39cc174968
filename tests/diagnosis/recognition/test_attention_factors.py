"""What the audit says of attention that a rule wrote as factors, and of branches that end at 0."""

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.hooks.random_streams import stream

WIDTH = 32


def encoder(heads: int = 4) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(WIDTH, heads, 64, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def looks(values: dict[str, Tensor]) -> dict[str, str]:
    table = ib.audit(values).table
    return dict(zip(table["parameter"], table["looks_like"], strict=True))


def states(values: dict[str, Tensor]) -> dict[str, str]:
    table = ib.audit(values).table
    return dict(zip(table["parameter"], table["state"], strict=True))


ATTENTION = ("layers.1.self_attn.in_proj_weight", "layers.1.self_attn.out_proj.weight")


@pytest.mark.parametrize("heads", [1, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mimetic_attention_is_known_at_any_number_of_heads(heads: int, dtype: torch.dtype) -> None:
    model = encoder(heads)
    ib.initialize(model, "mimetic")
    found = looks({name: value.to(dtype) for name, value in model.state_dict().items()})
    assert [found[name] for name in ATTENTION] == ["mimetic", "mimetic"]
    assert "mimetic" not in found["layers.1.linear1.weight"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mimetic_attention_is_known_apart_and_transposed(dtype: torch.dtype) -> None:
    model = encoder()
    ib.initialize(model, "mimetic")
    packed, output = (model.state_dict()[name].to(dtype) for name in ATTENTION)
    query, key, value = packed.chunk(3)
    apart = {"q_proj": query, "k_proj": key, "v_proj": value, "o_proj": output}
    stored = {f"h.0.attn.{name}.weight": value for name, value in apart.items()}
    transposed = {"h.0.attn.c_attn.weight": packed.T, "h.0.attn.c_proj.weight": output.T}
    found = looks(stored | transposed)
    assert {name for name, text in found.items() if text.startswith("mimetic")} == set(found)


@pytest.mark.parametrize("spec", ["orthogonal", "xavier_normal", "identity", "looks_linear"])
def test_other_rules_are_not_called_mimetic(spec: str) -> None:
    model = encoder()
    ib.initialize(model, spec)
    assert not any("mimetic" in text for text in looks(model.state_dict()).values())


def test_trained_mimetic_attention_is_no_longer_as_it_was_written() -> None:
    model = encoder()
    ib.initialize(model, "mimetic")
    values = model.state_dict()
    for name in ATTENTION:
        noise = torch.randn(values[name].shape, generator=stream(0, name))
        values[name] += 0.1 * values[name].std() * noise
    assert not any("mimetic" in looks(values)[name] for name in ATTENTION)


@pytest.mark.parametrize("spec", ["nanochat", "fixup"])
def test_a_branch_that_starts_at_zero_is_as_initialized(spec: str) -> None:
    model = encoder()
    ends = ["layers.0.self_attn.out_proj.weight", "layers.0.linear2.weight"]
    ib.initialize(model, spec)
    for name in ends:
        assert looks(model.state_dict())[name] == "nanochat or fixup (zeros)"
        assert states(model.state_dict())[name] == "fresh"


def test_zeros_elsewhere_stay_a_fault() -> None:
    values = {"layers.0.linear1.weight": torch.zeros(8, 8), "out_proj.weight": torch.zeros(8, 8)}
    assert set(states(values).values()) == {"all zero"}
