"""Settings of torch hold inside the block, and are what they were after it."""

from typing import Any

import pytest
import torch

from init_bench.training.precision import float32_products

CUDNN: Any = torch.backends.cudnn


def settings() -> list[object]:
    backends: list[Any] = [torch.backends.cuda.matmul, CUDNN.conv, CUDNN.rnn]
    return [CUDNN.deterministic, *(backend.fp32_precision for backend in backends)]


@pytest.mark.parametrize(("precision", "rounding"), [("float32", "ieee"), ("tf32", "tf32")])
def test_products_are_rounded_as_asked_and_kernels_repeat_their_bits(
    precision: str, rounding: str
) -> None:
    before = settings()
    with float32_products(precision, torch.device("cuda")):
        assert settings() == [True, rounding, rounding, rounding]
    assert settings() == before
