"""What a difference says: equal, changed by how much and of which rank, replaced, renamed."""

import pytest
import torch
from torch import Tensor

import init_bench as ib
from init_bench.hooks.random_streams import stream


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=stream(seed, "normal"))


def row(before: Tensor, after: Tensor) -> dict[str, object]:
    found = ib.diff({"w": before}, {"w": after}).table.to_dict("records")[0]
    return {str(key): value for key, value in found.items()}


def test_the_relative_change_is_that_of_the_norms() -> None:
    before, step = normal(40, 30), normal(40, 30, seed=1) * 0.01
    found = row(before, before + step)
    change = ((before + step).double() - before.double()).norm() / before.double().norm()
    assert found["state"] == "changed"
    assert found["relative_change"] == pytest.approx(change.item(), rel=1e-12)
    assert found["norm_before"] == pytest.approx(before.double().norm().item(), rel=1e-12)


@pytest.mark.parametrize("rank", [1, 4, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_that_was_merged_shows_by_its_rank(rank: int, dtype: torch.dtype) -> None:
    before = normal(96, 120).to(dtype)
    adapter = normal(96, rank, seed=1) @ normal(rank, 120, seed=2)
    assert row(before, (before + adapter).to(dtype))["rank"] == rank


def test_a_change_of_high_rank_is_given_none() -> None:
    found = row(normal(96, 120), normal(96, 120) + normal(96, 120, seed=1))
    assert found["rank"] != found["rank"]


def test_values_that_have_nothing_to_do_with_those_before_were_replaced() -> None:
    assert row(normal(40, 30), normal(40, 30, seed=1))["state"] == "replaced"
    assert row(normal(40, 30), -normal(40, 30))["state"] == "changed"


def test_bits_are_compared_and_not_values() -> None:
    nan = torch.tensor([torch.nan, 0.0])
    assert row(nan, nan.clone())["state"] == "equal"
    assert row(torch.tensor([0.0]), torch.tensor([-0.0]))["state"] == "changed"


def test_a_cast_alone_is_told() -> None:
    before = normal(20, 20)
    assert row(before, before.bfloat16())["state"] == "rounded"
    assert row(before, before.bfloat16() * 2)["state"] == "changed"


def test_names_and_shapes_that_do_not_meet() -> None:
    before = {"a.w": normal(3, 3), "a.v": normal(2), "same": normal(4)}
    after = {"net.a.w": normal(3, 3), "net.a.v": normal(2), "same": normal(5)}
    difference = ib.diff(before, after)
    assert difference.table.set_index("parameter")["state"].to_dict() == {
        "a.w": "removed",
        "a.v": "removed",
        "same": "reshaped",
        "net.a.w": "added",
        "net.a.v": "added",
    }
    assert "With the prefix 'net.'" in difference.summary and "2 more match" in difference.summary
    assert len(difference.changed) == 5


def test_equal_states_are_said_to_be_equal() -> None:
    assert (
        ib.diff({"w": normal(3)}, {"w": normal(3)}).summary == "All 1 parameters have equal bits."
    )
