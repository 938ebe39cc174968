"""Find weights that a model holds where torch does not look: in lists, or as plain tensors."""

from collections.abc import Iterator

from torch import Tensor, nn

from init_bench.diagnosis.phrases import listed

MOST_NAMED = 4
"""Attributes that a remark names."""


def remarks_on_unregistered(model: nn.Module) -> Iterator[str]:
    """Name attributes whose weights ``model.parameters()`` leaves out, though they could learn.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> model.hidden = [nn.Linear(2, 2)]
        >>> print(*remarks_on_unregistered(model))
        no optimizer of model.parameters() trains what these hold: hidden; nn.ModuleList, nn.ModuleDict and nn.Parameter register weights; is it meant?
    """  # noqa: E501 - the doctest shows the message as a user sees it
    known = set(map(id, model.parameters()))
    outside = [
        f"{path}.{name}".lstrip(".")
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if not name.startswith("_") and any(id(x) not in known for x in _learning(value))
    ]
    if outside:
        yield (
            f"no optimizer of model.parameters() trains what these hold: "
            f"{listed(outside, MOST_NAMED)}; nn.ModuleList, nn.ModuleDict and nn.Parameter "
            f"register weights; is it meant?"
        )


def _learning(value: object) -> Iterator[Tensor]:
    """Yield the trainable parameters in an attribute: in lists, and those that a tensor is made of.

    A parameter that was moved or scaled when it was made, as by ``nn.Parameter(w).cuda()``, is a
    tensor one step away from one. Results of a forward function are further away.
    """
    if isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, nn.Module):
                yield from (weight for weight in part.parameters() if weight.requires_grad)
            else:
                yield from _learning(part)
    elif isinstance(value, Tensor) and value.requires_grad:
        steps = [] if value.grad_fn is None else value.grad_fn.next_functions
        sources = [getattr(step, "variable", None) for step, _ in steps if step is not None]
        yield from (x for x in (value, *sources) if isinstance(x, nn.Parameter))
