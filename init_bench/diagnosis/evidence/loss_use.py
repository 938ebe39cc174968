"""Observe how a loss uses the output: what it gives to torch's losses, what cuts its gradient."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from init_bench.hooks.nested_tensors import map_tensors, tensors_in
from init_bench.statistics.layer_statistics import rms

ROUNDING = 1e-3
"""How far sums of probabilities may be from 1 in float32."""


OTHER_OUTPUTS = 32
"""Outputs for which a loss is computed before it is said to depend on none."""


FAR = (2.0, 20.0, 200.0)
"""Standard deviations of what is added to an output by turns, relative to its RMS: classes change
places, and values leave the range in which a clamp or margin shuts them out."""


NO_GRADIENT = "no gradient"
IGNORED = "ignored"
"""How a loss uses an output at which no gradient arrives, see ``Evidence.output_used``."""


class LossUse(TorchFunctionMode):
    """Observe the functions that a loss calls inside the block.

    Attributes:
        floor: what a cross-entropy cannot fall below because it gets probabilities, see
            ``floor_of``; nan where it does not.
        mass: the sum of exponentials of what a negative log-likelihood gets, see ``mass_of``; nan
            where it gets log-probabilities.
        cuts: names of the functions that took a tensor with a gradient and returned one without.

    Example:
        >>> probabilities, targets = torch.full((2, 10), 0.1), torch.tensor([0, 1])
        >>> with LossUse() as use:
        ...     loss = torch.nn.functional.cross_entropy(probabilities, targets)
        >>> round(use.floor, 4), use.mass
        (1.4612, nan)
    """

    def __init__(self) -> None:
        super().__init__()
        self.floor = self.mass = math.nan
        self.cuts: dict[str, None] = {}

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        try:
            self._observe(name, args, kwargs)
        except Exception:  # values that cannot be read, as under torch.func.vmap
            return result
        if isinstance(result, Tensor | float | list) and not _learns(result):
            if _learns((args, kwargs)):
                self.cuts[_cut_of(func)] = None
        return result

    def _observe(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name not in ("nll_loss", "cross_entropy", "log_softmax", "logsumexp"):
            return
        given = (args[0] if args else kwargs["input"]).detach()
        classes = min(1, given.dim() - 1)
        if name in ("log_softmax", "logsumexp"):
            classes = kwargs["dim"] if "dim" in kwargs else args[1]
        if name == "nll_loss":
            self.mass = _either(mass_of(given, classes), self.mass)
        else:
            self.floor = _either(floor_of(given, classes), self.floor)


def floor_of(given: Tensor, classes: int) -> float:
    """Return what a cross-entropy of probabilities cannot fall below; nan of other values.

    Probabilities are values from 0 whose sum over the classes is 1, or over the last dimension:
    a softmax of the wrong one. The loss takes them for logits. Logarithms of probabilities are no
    fault: a second log-softmax leaves them as they are.

    Formula:
        log(e + K - 1) - 1, reached where one of K classes has probability 1.

    Args:
        given: what the cross-entropy gets.
        classes: the dimension of the classes.

    Example:
        >>> round(floor_of(torch.full((2, 10), 0.1), 1), 4), floor_of(torch.zeros(2, 10), 1)
        (1.4612, nan)
    """
    if given.shape[classes] < 2 or bool((given < 0).any()):
        return math.nan
    rounding = max(ROUNDING, torch.finfo(given.dtype).eps)
    sums = (given.float().sum(dim) for dim in (classes, -1) if given.shape[dim] > 1)
    if not any(bool(((one - 1).abs() < rounding).all()) for one in sums):
        return math.nan
    return math.log(math.e + given.shape[classes] - 1) - 1


def mass_of(given: Tensor, classes: int) -> float:
    """Return the sum over the classes of the exponentials of ``given``, the median over samples.

    Of log-probabilities it is 1; nan is returned of these, and of what is nowhere above 0:
    log-probabilities with weights, as of a focal loss, are no fault.

    Args:
        given: what the negative log-likelihood gets.
        classes: the dimension of the classes.

    Example:
        >>> logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> round(mass_of(logits, 1), 4), mass_of(logits.log_softmax(1), 1)
        (3.7183, nan)
    """
    certain = given.max() > ROUNDING or not given.any()  # logits of an output layer of zeros
    if given.shape[classes] < 2 or not certain:
        return math.nan
    return given.float().logsumexp(classes).median().exp().item()


def depends_on_output(
    loss_fn: Callable[[Any, Any], Tensor], output: Any, targets: Any, loss: float
) -> bool:
    """Return whether the loss of some other output is another one, or is none at all.

    Example:
        >>> output, targets = torch.eye(3), torch.tensor([0, 1, 1])
        >>> wrong = lambda output, targets: (output.argmax(1) != targets).float().mean()
        >>> depends_on_output(wrong, output, targets, 1 / 3)
        True
        >>> depends_on_output(lambda output, targets: 0 * output.sum(), output, targets, 0.0)
        False
    """
    generator = torch.Generator().manual_seed(0)

    def moved(tensor: Tensor, far: float) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        noise = torch.randn(tensor.shape, generator=generator) * far * (rms(tensor) or 1.0)
        return tensor + noise.to(tensor.device, tensor.dtype)

    try:
        with torch.enable_grad():
            moves = (partial(moved, far=FAR[i % len(FAR)]) for i in range(OTHER_OUTPUTS))
            others = (map_tensors(move, output) for move in moves)
            return any(loss_fn(other, targets).item() != loss for other in others)
    except Exception:  # whatever the user's loss raises at values that it does not take
        return True


def _learns(result: object) -> bool:
    return any(tensor.requires_grad for tensor in tensors_in(result))


def _cut_of(func: Any) -> str:
    """Return the name of what cuts the gradient off."""
    if not torch.is_grad_enabled():
        return "no_grad"
    name: str = func.__name__
    return name if name != "__get__" else func.__self__.__name__  # of an attribute, as .data


def _either(first: float, second: float) -> float:
    return second if math.isnan(first) else first
