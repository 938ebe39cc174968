"""Refuse parameters that have no memory where values are needed."""

from torch import nn

from init_bench.errors import InitBenchError


def refuse_meta(model: nn.Module) -> None:
    """Refuse a parameter without memory, beside others that have some or are to be run.

    Raises:
        InitBenchError: there is one; the message names it.

    Example:
        >>> refuse_meta(nn.Linear(2, 2))
    """
    for name, value in model.named_parameters():
        if value.is_meta:
            raise InitBenchError(
                f"parameter {name!r} is on the meta device and has no values: give it memory with "
                f"model.to_empty(device=...), then initialize"
            )
