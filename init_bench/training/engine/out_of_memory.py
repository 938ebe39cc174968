"""Tell from an error that a device's memory ran out."""

import torch

_WORDS = ("out of memory", "ALLOC_FAILED")
"""Words of the errors of a device, or of a library on it such as cuBLAS."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that the memory of a device ran out.

    Example:
        >>> ran_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"))
        True
    """
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in _WORDS)
