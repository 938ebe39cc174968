"""Sorted columns hold what they were given, to the bit, in a quarter of the memory for bytes."""

import pytest
import torch

from init_bench.datasets.column_order import sort_columns

IMAGES = torch.randint(0, 256, (300, 20), generator=torch.Generator().manual_seed(0))
IMAGES = (IMAGES * (torch.arange(20) % 3 > 0) * (torch.arange(300) % 7 > 0)[:, None]).byte()


@pytest.mark.parametrize("raw", [IMAGES, IMAGES / 255, IMAGES.double()], ids=lambda x: str(x.dtype))
def test_values_are_those_of_the_data(raw: torch.Tensor) -> None:
    columns = sort_columns(raw)
    values = raw if raw.is_floating_point() else raw.float() / 255
    assert torch.equal(columns.restored(), values)
    assert torch.equal(columns.restored(slice(10)), values[:10])
    assert torch.equal(columns.values(), values[:, columns.order])
    assert columns.stored.dtype == raw.dtype
    used = (values != 0).sum(dim=0)[columns.order]
    assert bool((used[1:] <= used[:-1]).all())


@pytest.mark.parametrize("raw", [IMAGES, IMAGES.double()], ids=lambda x: str(x.dtype))
def test_leading_columns_of_some_samples_are_taken(raw: torch.Tensor) -> None:
    columns, samples = sort_columns(raw), torch.tensor([5, 299, 5])
    out = torch.full((3, 20), -1.0, dtype=columns.dtype)
    taken = columns.take(samples, 6, out)
    assert torch.equal(taken, columns.values()[samples][:, :6])
    assert taken.data_ptr() == out.data_ptr()


def test_a_sample_is_zero_beyond_the_columns_that_it_uses() -> None:
    columns = sort_columns(IMAGES)
    for row, used in zip(columns.values(), columns.used.tolist(), strict=True):
        assert not row[used:].any()
        assert used == 1 or row[used - 1] != 0
