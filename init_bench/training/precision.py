"""Set how float32 products are rounded on CUDA devices, and refuse what a device cannot do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from init_bench.errors import InitBenchError

PRECISIONS = ("float32", "tf32", "bfloat16")
"""Precisions of the matrix products of a grid."""


def check_precision(precision: str, device: torch.device) -> None:
    """Check that ``device`` has products of this precision.

    Raises:
        InitBenchError: it has not; tf32 is a mode of NVIDIA's GPUs since Ampere.
    """
    if precision != "tf32":
        return
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        raise InitBenchError(
            f"precision 'tf32' needs an NVIDIA GPU of compute capability 8.0 or higher, and the "
            f"device is {str(device)!r}: use float32 or bfloat16"
        )


@contextmanager
def float32_products(precision: str, device: torch.device) -> Iterator[None]:
    """Round float32 products and convolutions to TF32 on CUDA only if ``precision`` is tf32.

    Torch's own default uses TF32 for convolutions. Of cuDNN's kernels only those are chosen that
    give the same bits each time. The settings are global: they hold for every thread, and are
    restored when the block ends.
    """
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before = [backend.fp32_precision for backend in backends]
    deterministic = cudnn.deterministic
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    cudnn.deterministic = True
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value
        cudnn.deterministic = deterministic
