"""Models and inputs that a command line describes: ``MODULE:FACTORY`` and ``8,3,224,224``."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from init_bench.diagnosis.default_loss import cross_entropy
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.result import Diagnosis
from init_bench.diagnosis.training_steps import Optimizer
from init_bench.errors import InitBenchError, misfit
from init_bench.hooks.isolation import left_as_it_was
from init_bench.hooks.model_call import call
from init_bench.hooks.nested_tensors import first_tensor
from init_bench.init import initialize, parse
from init_bench.models import find_factory
from init_bench.randomness import drawing_from, stream

SMALLEST_VOCABULARY = 2
"""Integer inputs of a model without embeddings are drawn below this."""


DESCRIBED = (
    "--input describes what the model takes: 8,3,224,224 is its default, 8,128:int64 suits a model "
    "that begins with an embedding"
)


AS_BUILT = "as built"
"""Name of the weights that the factory itself leaves."""


def diagnoses(
    text: str,
    inputs: Sequence[str],
    inits: Sequence[str],
    *,
    steps: Sequence[int] = (0,),
    lr: float = 0.1,
) -> dict[str, Diagnosis]:
    """Return the diagnosis of the model that ``text`` names under each of ``inits``.

    Without ``inits`` the weights are as the factory leaves them, under ``as built``. If the
    output is logits, (samples, classes), gradients are those of the cross-entropy to random
    classes; else no gradients are judged. An initialiser that must see a batch or a loss sees
    the same inputs and that cross-entropy. The model is looked at after each of ``steps`` updates
    of plain SGD at rate ``lr`` on that one batch.

    Raises:
        InitBenchError: the model does not run on ``inputs``, its output is no logits and
            ``steps`` ask to train, or as ``find_factory``, ``make``, ``draw_inputs``,
            ``initialize`` and ``diagnose``.

    Example:
        >>> list(diagnoses("init_bench.models:mlp", ["8,4"], []))
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: model 'init_bench.models:mlp' cannot be built without arguments: missing a required argument: 'features'; name a function without any that builds it, such as def net(): return mlp(…)
    """  # noqa: E501 - the doctest shows the message as a user sees it
    factory = find_factory(text)
    specs = {str(parse(spec)): spec for spec in inits} or {AS_BUILT: ""}
    found = {}
    for name, spec in specs.items():
        model = make(factory, text)
        drawn = draw_inputs(inputs, model)
        targets = _targets_of(model, drawn)
        if spec:
            _initialize(model, spec, drawn, targets)
        if targets is None and max(steps, default=0) > 0:
            raise InitBenchError(
                f"{text} returns no logits (samples, classes): the command cannot train it for "
                f"steps {list(steps)}; ib.diagnose takes a loss_fn of your own"
            )
        found[name] = diagnose(model, drawn, targets, capture_at=steps, optimizer=_sgd(lr))
    return found


def _initialize(model: nn.Module, spec: str, inputs: object, targets: Tensor | None) -> None:
    """Fill the model; what must see a batch or a loss sees those of the diagnosis."""
    if targets is None and parse(spec).needs == "loss":
        raise InitBenchError(
            f"{spec} needs a loss: here that is the cross-entropy to random classes, and this "
            f"{type(model).__name__} does not return logits (samples, classes) for these inputs; "
            f"in Python, initialize(model, {spec!r}, batch=…, loss=…) takes any loss"
        )
    try:
        initialize(model, spec, batch=(inputs, targets), loss=cross_entropy)
    except InitBenchError as error:
        raise InitBenchError(f"init {spec!r}: {error}") from error


def _sgd(lr: float) -> Optimizer:
    return lambda model: torch.optim.SGD(model.parameters(), lr=lr)


def _targets_of(model: nn.Module, inputs: object) -> Tensor | None:
    """Return random targets of a classifier; say why the model does not run, if it does not."""
    try:
        with left_as_it_was(model), torch.no_grad():
            return random_classes(call(model, inputs))
    except Exception:
        try:
            diagnose(model, inputs)  # knows the layer
        except InitBenchError as error:
            raise InitBenchError(f"{error}\n{DESCRIBED}") from error
        return None


def make(factory: Callable[[], object], text: str, *, seed: int = 0) -> nn.Module:
    """Return the module that ``factory`` builds, drawn from the seed's own stream.

    Raises:
        InitBenchError: it takes arguments, fails, or returns no module.

    Example:
        >>> make(lambda: nn.Linear(2, 3), "mine:net")
        Linear(in_features=2, out_features=3, bias=True)
    """
    _refuse_arguments(factory, text)
    try:
        with drawing_from(stream(seed, "factory")):
            made = factory()
    except Exception as cause:
        raise InitBenchError(
            f"model {text!r} cannot be built, its own code fails{_where(cause, factory)}: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    if not isinstance(made, nn.Module):
        raise InitBenchError(
            f"model {text!r} must return a torch.nn.Module, got {type(made).__name__}"
        )
    return made


def _refuse_arguments(factory: Callable[..., object], text: str) -> None:
    if why := misfit(factory):
        raise InitBenchError(
            f"model {text!r} cannot be built without arguments: {why}; name a function without "
            f"any that builds it, such as def net(): return {text.rpartition(':')[2]}(…)"
        )


def _where(error: Exception, factory: Callable[..., object]) -> str:
    """Return file, line and function of the innermost code in the factory's own file, or else of
    that which is neither torch's nor ours."""
    ours = tuple(f"{Path(file).parent}{os.sep}" for file in (torch.__file__, __file__))
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(sys.modules.get(getattr(factory, "__module__", "")), "__file__", None)
    users = [frame for frame in frames if frame.filename == own]
    users = users or [frame for frame in frames if not frame.filename.startswith(ours)]
    return f" at {users[-1].filename}:{users[-1].lineno} in {users[-1].name}" if users else ""


def draw_inputs(descriptions: Sequence[str], model: nn.Module, *, seed: int = 0) -> object:
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
    drawn = [_drawn(text, high, stream(seed, f"input {i}")) for i, text in enumerate(descriptions)]
    return drawn[0] if len(drawn) == 1 else tuple(drawn)


def random_classes(output: object, *, seed: int = 0) -> Tensor | None:
    """Return random class targets if ``output`` is logits (samples, classes), else ``None``.

    Example:
        >>> random_classes(torch.zeros(4, 10)).shape, random_classes(torch.zeros(4, 10, 7))
        (torch.Size([4]), None)
    """
    logits = first_tensor(output)
    if logits is None or logits.dim() != 2 or logits.shape[1] < 2:
        return None
    generator = stream(seed, "targets")
    return torch.randint(logits.shape[1], (len(logits),), generator=generator)


def _drawn(text: str, high: int, generator: torch.Generator) -> Tensor:
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
    try:
        if dtype.is_floating_point:
            return torch.randn(sizes, generator=generator).to(dtype)
        return torch.randint(high, sizes, generator=generator).to(dtype)
    except (RuntimeError, TypeError) as cause:  # no memory for it, or no values of that type
        raise InitBenchError(
            f"input {text!r} cannot be made: {str(cause).splitlines()[0]}; give smaller sizes or "
            f"another type"
        ) from cause
