"""Assert in a test that a model's initialization is healthy."""

from typing import Any

from torch import nn

from init_bench.diagnosis.evidence.collection import Loss
from init_bench.diagnosis.judgement import named
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.verdict_rules import verdict_names
from init_bench.errors import InitBenchError, lookup


def assert_healthy(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
    *,
    allow: str | tuple[str, ...] = (),
) -> None:
    """Assert that ``model`` is healthy; the findings are the error's text.

    Args:
        model, inputs, targets, loss_fn: as for ``init_bench.diagnose``.
        allow: one verdict or several that are accepted for this model.

    Raises:
        AssertionError: a finding is bad, and its verdict is not allowed.
        InitBenchError: as ``diagnose``, or ``allow`` names an unknown verdict.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 2))
        >>> assert_healthy(model, torch.randn(8, 20, generator=torch.Generator().manual_seed(0)))
    """
    allowed = _allowed(allow)
    found = diagnose(model, inputs, targets, loss_fn)
    left = found.bad[~found.bad["verdict"].isin(allowed)].drop_duplicates("verdict")
    if left.empty:
        return
    firsts = zip(left["verdict"], left["layer"], strict=True)
    listed = ", ".join(f"{verdict} (first at {named(layer)})" for verdict, layer in firsts)
    raise AssertionError(f"not allowed: {listed}\n{found}" if allowed else str(found))


def _allowed(allow: object) -> tuple[str, ...]:
    """Return the verdicts that ``allow`` names, and refuse unknown ones."""
    allowed = (allow,) if isinstance(allow, str) else allow
    if not isinstance(allowed, tuple | list | set | frozenset):
        raise InitBenchError(
            f"allow must be the name of a verdict, or a tuple of names, got {allow!r}"
        )
    for name in allowed:
        lookup(dict.fromkeys(verdict_names()), str(name), kind="verdict")
    return tuple(allowed)
