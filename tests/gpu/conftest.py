"""The device of these tests: a GPU, or what ``INIT_BENCH_DEVICE`` names (``cpu`` to rehearse)."""

import os

import pytest
import torch

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="session")
def device() -> torch.device:
    name = os.environ.get("INIT_BENCH_DEVICE")
    if name is None and not torch.cuda.is_available():
        pytest.skip("no CUDA device here; INIT_BENCH_DEVICE=cpu rehearses")
    return torch.device(name or "cuda:0")
