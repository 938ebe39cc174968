"""Count what number formats lose, by casting to them."""

import torch
from torch import Tensor

DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
}


def lost_shares(values: Tensor, some: Tensor) -> dict[str, float]:
    """Return the share of ``some`` that becomes 0, and that of ``values`` no longer finite."""
    lost = {}
    for name, dtype in DTYPES.items():
        vanished = (some != 0) & (some.float().to(dtype).float() == 0)
        lost[f"{name}_underflow"] = vanished.double().mean().item()
        cast = values.float().to(dtype).float()
        beyond = ~cast.isfinite()
        if name == "float8_e4m3":  # has no infinity: torch cuts off, or makes nan of it
            beyond = values.double().abs() > 464
        lost[f"{name}_overflow"] = beyond.double().mean().item()
    return lost
