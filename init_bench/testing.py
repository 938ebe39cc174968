"""Assert in a test that a model's initialization is healthy."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from init_bench.diagnosis.judgment import named
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.rules.menu import verdict_names
from init_bench.errors import InitBenchError, lookup
from init_bench.files import make_folder, write_atomic

WRITE_BASELINES = "INIT_BENCH_WRITE_BASELINES"
"""Environment variable: set to 1, ``assert_healthy`` writes its baselines and asserts nothing."""


def assert_healthy(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
    *,
    allow: str | tuple[str, ...] = (),
    baseline: str | Path | None = None,
) -> None:
    """Assert that ``model`` is healthy; the findings are the error's text.

    Names of verdicts are stable: tests may rely on them.

    With ``baseline`` only what is new fails: a bad finding whose verdict and layer are not in that
    file. ``write_baseline`` makes the file, and so does running the tests with
    ``INIT_BENCH_WRITE_BASELINES=1``, which asserts nothing. A finding that is gone does not fail;
    write the file again to forget it. Commit the file with the test.

    Args:
        model, inputs, targets, loss_fn: as for ``init_bench.diagnose``.
        allow: one verdict or several that are accepted for this model.
        baseline: a JSON file of known findings.

    Raises:
        AssertionError: a finding is bad, its verdict is not allowed, and it is not known.
        InitBenchError: as ``diagnose``, ``allow`` names an unknown verdict, or ``baseline`` is
            missing or no such file.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 2))
        >>> assert_healthy(model, torch.randn(8, 20, generator=torch.Generator().manual_seed(0)))
    """
    allowed = _allowed(allow)
    if baseline is not None and os.environ.get(WRITE_BASELINES) == "1":
        write_baseline(baseline, model, inputs, targets, loss_fn)
        return
    known = set() if baseline is None else _read(Path(baseline))
    found = diagnose(model, inputs, targets, loss_fn)
    left = found.bad[~found.bad["verdict"].isin(allowed)]
    pairs = pd.Series(list(zip(left["verdict"], left["layer"], strict=True)), left.index, object)
    left = left[~pairs.isin(known)].drop_duplicates("verdict")
    if left.empty:
        return
    firsts = ", ".join(f"{verdict} (first at {named(layer)})" for verdict, layer in _pairs(left))
    if known:
        raise AssertionError(f"not in {baseline}: {firsts}\n{found}")
    raise AssertionError(f"not allowed: {firsts}\n{found}" if allowed else str(found))


def write_baseline(
    path: str | Path,
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
) -> None:
    """Write the bad findings of ``model`` to ``path``, for ``assert_healthy(…, baseline=path)``.

    The file is JSON, a verdict and layer per finding, sorted, so that a diff shows what changed.

    Args:
        path: of the file; its folder is made.
        model, inputs, targets, loss_fn: as for ``init_bench.diagnose``.

    Raises:
        InitBenchError: as ``diagnose``, or the folder cannot be made.

    Example:
        >>> import tempfile, torch
        >>> folder, x = tempfile.mkdtemp(), torch.randn(8, 20)
        >>> model = nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 2))
        >>> _ = model[0].weight.data.zero_()
        >>> write_baseline(f"{folder}/mlp.json", model, x)
        >>> assert_healthy(model, x, baseline=f"{folder}/mlp.json")
    """
    bad = diagnose(model, inputs, targets, loss_fn).bad
    findings = [{"verdict": verdict, "layer": layer} for verdict, layer in sorted(_pairs(bad))]
    text = json.dumps({"findings": findings}, indent=2, ensure_ascii=False) + "\n"
    make_folder(Path(path).parent)
    write_atomic(Path(path), lambda part: part.write_text(text, "utf-8"))


def _pairs(findings: pd.DataFrame) -> list[tuple[str, str]]:
    """Return verdict and layer of each finding."""
    return list(dict.fromkeys(zip(findings["verdict"], findings["layer"], strict=True)))


def _read(path: Path) -> set[tuple[str, str]]:
    """Return verdict and layer of the findings in a baseline."""
    how = f"call init_bench.testing.write_baseline, or run the tests with {WRITE_BASELINES}=1"
    try:
        findings = json.loads(path.read_text("utf-8"))["findings"]
        return {(str(one["verdict"]), str(one["layer"])) for one in findings}
    except FileNotFoundError:
        raise InitBenchError(f"there is no baseline {path}: {how}") from None
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise InitBenchError(f"{path} is no baseline ({cause!r}): {how}") from None


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
