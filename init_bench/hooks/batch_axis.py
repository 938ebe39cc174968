"""Find the batch dimension of a module's tensors."""

from collections.abc import Mapping

from torch import Tensor, nn

_TRANSFORMERS = (
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


def batch_dims(modules: Mapping[str, nn.Module]) -> dict[str, int]:
    """Return the batch dimension of each module's tensors by the module's name: 0 or 1.

    It is 1 in modules with ``batch_first=False``, in torch's transformers around such an attention,
    and in whatever either contains, unless that says otherwise.

    Args:
        modules: by qualified name, outer ones first.

    Example:
        >>> model = nn.ModuleDict({"rnn": nn.LSTM(2, 3), "head": nn.Linear(3, 1)})
        >>> batch_dims(dict(model.named_modules()))
        {'': 0, 'rnn': 1, 'head': 0}
    """
    dims: dict[str, int] = {}
    for path, module in modules.items():
        batch_first = _batch_first(module)
        inherited = dims.get(path.rpartition(".")[0], 0) if path else 0
        dims[path] = inherited if batch_first is None else int(not batch_first)
    return dims


def batch_dim_of(tensor: Tensor, batch_dim: int) -> int:
    """Return the batch dimension of ``tensor``, made by a module whose batch dimension is known.

    A tensor of two dimensions is one sequence without a batch: its steps count as samples.

    Example:
        >>> import torch
        >>> batch_dim_of(torch.ones(5, 2, 3), 1), batch_dim_of(torch.ones(5, 3), 1)
        (1, 0)
    """
    return batch_dim if tensor.dim() > 2 else 0


def _batch_first(module: nn.Module) -> bool | None:
    """Return the module's own ``batch_first``, ``None`` where it has none."""
    if isinstance(module, _TRANSFORMERS):
        parts = (part for part in module.modules() if isinstance(part, nn.MultiheadAttention))
        return next((bool(part.batch_first) for part in parts), None)
    own = getattr(module, "batch_first", None)
    return own if isinstance(own, bool) else None
