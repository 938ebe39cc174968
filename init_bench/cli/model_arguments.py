"""Models and inputs that a command line describes: ``MODULE:FACTORY`` and ``8,3,224,224``."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError, first_line
from init_bench.hooks.nested_tensors import first_tensor, tensors_in
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.models import check_module
from init_bench.models.user_factory import why_not_sizes

SMALLEST_VOCABULARY = 2
"""Integer inputs of a model without embeddings are drawn below this."""


def make(factory: Callable[..., object], text: str, *arguments: object, seed: int = 0) -> nn.Module:
    """Return the module that ``factory`` builds of ``arguments``, drawn from the seed's own stream.

    Raises:
        InitBenchError: it does not take ``arguments``, fails, or returns no module.

    Example:
        >>> make(lambda: nn.Linear(2, 3), "mine:net")
        Linear(in_features=2, out_features=3, bias=True)
    """
    _check_arguments(factory, text, *arguments)
    try:
        with drawing_from(stream(seed, "factory")):
            built = factory(*arguments)
    except (Exception, SystemExit) as cause:  # one that parses a command line may leave
        raise InitBenchError(
            f"model {text!r} cannot be built, its own code fails{_where(cause, factory)}: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    return check_module(built, f"model {text!r}")


def _check_arguments(factory: Callable[..., object], text: str, *arguments: object) -> None:
    """Refuse a factory that cannot be called with ``arguments``: none, or a width and a depth."""
    why, name = why_not_sizes(factory, *arguments), text.rpartition(":")[2]
    if not why:
        return
    if arguments:
        sizes = ("width", "depth")[: len(arguments)]
        raise InitBenchError(
            f"model {text!r} cannot be built from {' and '.join(sizes)} alone: {why}; name a "
            f"function of these that builds it, such as def net({', '.join(sizes)}): "
            f"return {name}(…)"
        )
    raise InitBenchError(
        f"model {text!r} cannot be built without arguments: {why}; name a function without "
        f"any that builds it, such as def net(): return {name}(…)"
    )


def _where(error: BaseException, factory: Callable[..., object]) -> str:
    """Return file, line and function of the innermost code in the factory's own file, or else of
    that which is neither torch's nor ours."""
    ours = tuple(f"{Path(file).parent}{os.sep}" for file in (torch.__file__, __file__))
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(sys.modules.get(getattr(factory, "__module__", "")), "__file__", None)
    users = [frame for frame in frames if frame.filename == own]
    users = users or [frame for frame in frames if not frame.filename.startswith(ours)]
    return f" at {users[-1].filename}:{users[-1].lineno} in {users[-1].name}" if users else ""


def draw_inputs(descriptions: Sequence[str], model: nn.Module) -> object:
    """Return random inputs of the shapes and types described, a tuple if there are several.

    ``8,3,224,224`` is float32 from N(0, 1); ``8,128:int64`` holds indices that every embedding of
    ``model`` has; other types of torch likewise.

    Raises:
        InitBenchError: a description is malformed, or torch cannot make such a tensor.

    Example:
        >>> draw_inputs(["2,3:int64"], nn.Embedding(1, 4))
        tensor([[0, 0, 0],
                [0, 0, 0]])
    """
    tables = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    high = min(tables, default=SMALLEST_VOCABULARY)
    drawn = [_drawn(text, high, stream(0, f"input {i}")) for i, text in enumerate(descriptions)]
    return drawn[0] if len(drawn) == 1 else tuple(drawn)


def random_classes(output: object, inputs: object) -> Tensor | None:
    """Return random class targets if ``output`` is logits, else ``None``.

    Logits are (samples, classes), or one row of classes for each token of the inputs.

    Example:
        >>> tokens = torch.zeros(4, 7, dtype=torch.int64)
        >>> random_classes(torch.zeros(4, 10), tokens).shape
        torch.Size([4])
        >>> random_classes(torch.zeros(4, 7, 10), tokens).shape
        torch.Size([4, 7])
        >>> random_classes(torch.zeros(4, 10, 7), tokens)
    """
    logits, tokens = first_tensor(output), next(iter(tensors_in(inputs)), None)
    if logits is None or logits.dim() < 2 or logits.shape[-1] < 2:
        return None
    of_tokens = (
        tokens is not None and not tokens.is_floating_point() and tokens.shape == logits.shape[:-1]
    )
    if logits.dim() != 2 and not of_tokens:
        return None
    generator = stream(0, "targets")
    return torch.randint(logits.shape[-1], logits.shape[:-1], generator=generator)


def read_input(text: str) -> tuple[list[int], torch.dtype]:
    """Return the sizes and the type that an input's description states.

    Raises:
        InitBenchError: ``text`` is malformed.

    Example:
        >>> read_input("8,128:int64")
        ([8, 128], torch.int64)
    """
    shape, colon, kind = text.partition(":")
    dtype = getattr(torch, kind if colon else "float32", None)
    try:
        sizes = [int(size) for size in shape.split(",")]
    except ValueError:
        sizes = []
    if not sizes or not isinstance(dtype, torch.dtype):
        raise InitBenchError(
            f"input {text!r} must be sizes and, if not float32, a type of torch, such as "
            f"8,3,224,224 or 8,128:int64"
        )
    if min(sizes) < 1:
        raise InitBenchError(f"input {text!r}: sizes must be positive, got {min(sizes)}")
    return sizes, dtype


def _drawn(text: str, high: int, generator: torch.Generator) -> Tensor:
    sizes, dtype = read_input(text)
    try:
        if dtype.is_floating_point:
            return torch.randn(sizes, generator=generator).to(dtype)
        return torch.randint(high, sizes, generator=generator).to(dtype)
    except (RuntimeError, TypeError) as cause:  # no memory for it, or no values of that type
        raise InitBenchError(
            f"input {text!r} cannot be made: {first_line(cause)}; give smaller sizes or "
            f"another type"
        ) from cause
