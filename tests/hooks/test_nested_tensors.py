"""Tensors are found wherever models keep them, and those without statistics are passed by."""

from dataclasses import dataclass
from types import MappingProxyType

import pytest
import torch

from init_bench.hooks.nested_tensors import dense_tensors, first_tensor, map_tensors, tensors_in

DENSE = torch.ones(2, 3)


@dataclass
class Output:
    """What a model of a library may return."""

    words: str
    logits: torch.Tensor


NESTED: dict[str, object] = {
    "itself": DENSE,
    "a mapping": {"name": "x", "logits": DENSE},
    "a tuple in a list": [1, (None, DENSE)],
    "a dataclass": Output("x", DENSE),
}


@pytest.mark.parametrize("name", NESTED)
def test_a_tensor_is_found_however_it_is_nested(name: str) -> None:
    for found in (tensors_in, dense_tensors):
        assert [tensor is DENSE for tensor in found(NESTED[name])] == [True]
    assert first_tensor(NESTED[name]) is DENSE


@pytest.mark.parametrize(
    "without",
    [torch.ones(3).to_sparse(), torch.tensor([1]), torch.tensor(1.0), torch.ones(0, 3)],
    ids=["sparse", "integers", "no dimension", "empty"],
)
def test_what_has_no_statistics_is_passed_by(without: torch.Tensor) -> None:
    assert first_tensor((without, DENSE)) is DENSE and first_tensor(without) is None


def test_a_class_of_dataclasses_holds_no_tensor() -> None:
    assert list(tensors_in(Output)) == []


def test_the_tensors_of_a_read_only_mapping_are_mapped_too() -> None:
    inputs = MappingProxyType({"x": torch.ones(2), "name": "first"})
    assert map_tensors(lambda x: x[:1], inputs) == {"x": torch.ones(1), "name": "first"}
