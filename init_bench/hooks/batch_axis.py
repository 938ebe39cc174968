"""Along which dimension a module's tensors count the samples."""

from collections.abc import Mapping

from torch import Tensor, nn

_TRANSFORMERS = (
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


def samples_second(modules: Mapping[str, nn.Module]) -> set[str]:
    """Return the names of the modules whose tensors have the samples in their second dimension.

    Those that say ``batch_first=False``, torch's transformers around such an attention, and what
    is inside either, if it does not say otherwise.

    Args:
        modules: by qualified name, outer ones first.

    Example:
        >>> model = nn.ModuleDict({"rnn": nn.LSTM(2, 3), "head": nn.Linear(3, 1)})
        >>> samples_second(dict(model.named_modules()))
        {'rnn'}
    """
    second: set[str] = set()
    for path, module in modules.items():
        first = _batch_first(module)
        inherited = first is None and path != "" and path.rpartition(".")[0] in second
        if first is False or inherited:
            second.add(path)
    return second


def samples_along(tensor: Tensor, *, second: bool) -> int:
    """Return the dimension of the samples: one sequence alone, of two dimensions, has its first.

    Example:
        >>> import torch
        >>> samples_along(torch.ones(5, 2, 3), second=True)
        1
    """
    return int(second and tensor.dim() > 2)


def _batch_first(module: nn.Module) -> bool | None:
    """Return what ``module`` says of itself, ``None`` where it says nothing."""
    if isinstance(module, _TRANSFORMERS):
        parts = (part for part in module.modules() if isinstance(part, nn.MultiheadAttention))
        return next((bool(part.batch_first) for part in parts), None)
    said = getattr(module, "batch_first", None)
    return said if isinstance(said, bool) else None
