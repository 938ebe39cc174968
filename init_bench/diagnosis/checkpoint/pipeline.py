"""Audit a checkpoint without running it, and compare two."""

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from init_bench.diagnosis.checkpoint.change import change_of, same_bits
from init_bench.diagnosis.checkpoint.origin import Origin, numbered, origin_of
from init_bench.diagnosis.checkpoint.result import Audit, Difference
from init_bench.diagnosis.checkpoint.stored_tensor import Source, StoredTensor, tensors_of
from init_bench.diagnosis.checkpoint.tensor_scan import Scan, scan

COLUMNS = (
    "parameter",
    "module",
    "shape",
    "dtype",
    "mean",
    "std",
    "largest",
    "zero",
    "nonfinite",
    "looks_like",
    "chance",
    "state",
    "tied_to",
    "copy_of",
)


CHANGES = (
    "parameter",
    "state",
    "relative_change",
    "norm_before",
    "norm_after",
    "correlation",
    "rank",
    "shape_before",
    "shape_after",
    "dtype_before",
    "dtype_after",
)


def audit(model: Source, *, reference: Source | None = None) -> Audit:
    """Say of every parameter which rule could have drawn it, and which are still as drawn.

    Nothing is run: values alone are read, of a file one tensor after another. A parameter is
    *fresh* if it is constant, or if it passes every test of a known rule and values of another
    origin would come so near to that rule with a chance of at most 5 %. A rule's own draws fail
    its tests with a chance of at most 1e-5.

    A small change does not show, and this chance does not speak of it. Noise added to n normal
    values is noticed from a relative size of about (48 / n)^(1/4), which is 10 % for a matrix of
    768 × 768. Training is noticed sooner, because it moves rows and columns as a whole.

    Args:
        model: a module, a state dict, or the path of a file: ``.safetensors`` (or a folder of
            them), or ``.pt``, ``.pth``, ``.bin``, ``.ckpt`` of ``torch.save``, which are read
            without running code in them. Persistent buffers are audited too.
        reference: the same model in another state: before loading, before fine-tuning, from
            another seed. What changed is in ``.difference``.

    Returns:
        ``Audit``: ``.summary``, ``.table``, ``.fresh``, ``.figure()``, ``.save(folder)``.

    Raises:
        InitBenchError: ``model`` or ``reference`` holds no tensors, does not exist, is damaged, or
            is a pickle of more than tensors.

    Example:
        >>> import torch, init_bench as ib
        >>> net = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 8, bias=False))
        >>> with torch.no_grad():  # as if trained, the last layer left out
        ...     for i, weight in enumerate([*net.parameters()][:-1]):
        ...         draws = torch.randn(weight.shape, generator=torch.Generator().manual_seed(i))
        ...         weight += draws * 0.05
        >>> ib.audit(net).fresh
        ['2.weight']
    """
    tensors = tensors_of(model)
    difference = None if reference is None else diff(reference, model)
    rows, scans = _rows(tensors)
    copies = _copies(tensors, scans)
    for row in rows:
        row["copy_of"] = copies.get(row["parameter"], "")
        if row["copy_of"] and row["state"] in ("other", "unsure"):
            row["state"] = "copy"
    return Audit(
        name=_name(model), table=pd.DataFrame(rows, columns=list(COLUMNS)), difference=difference
    )


def diff(before: Source, after: Source) -> Difference:
    """Say what changed between two states of a model: by loading, training or a second init.

    Args:
        before: a module, a state dict or a path, as ``audit`` takes.
        after: another.

    Returns:
        ``Difference``: ``.summary``, ``.table``, ``.changed``, ``.figure()``, ``.save(folder)``.

    Raises:
        InitBenchError: as ``audit``.

    Example:
        >>> import torch, init_bench as ib
        >>> net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
        >>> before = {name: value.clone() for name, value in net.state_dict().items()}
        >>> _ = net[1].weight.data.mul_(1.1)
        >>> changed = ib.diff(before, net).changed
        >>> changed[["parameter", "relative_change"]].round(6).to_numpy().tolist()
        [['1.weight', 0.1]]
    """
    old, new = tensors_of(before), tensors_of(after)
    names = [*old, *(name for name in new if name not in old)]
    rows = [_change_row(name, old.get(name), new.get(name)) for name in names]
    return Difference(
        name=_name(after), before=_name(before), table=pd.DataFrame(rows, columns=list(CHANGES))
    )


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return Path(source).name
    return type(source).__name__ if isinstance(source, nn.Module) else "state dict"


def _rows(tensors: Mapping[str, StoredTensor]) -> tuple[list[dict[str, Any]], dict[str, Scan]]:
    """Return a row per name, and a scan of each tensor under the first of its names."""
    depths, firsts = numbered(tensors), dict[Hashable, str]()
    rows: dict[str, dict[str, Any]] = {}
    scans: dict[str, Scan] = {}
    for name, tensor in tensors.items():
        first = firsts.setdefault(tensor.memory or name, name)
        if first != name:
            rows[name] = {**rows[first], "parameter": name, "tied_to": first, "state": "tied"}
            continue
        if not tensor.missing and tensor.number and tensor.dtype.is_floating_point:
            scans[name] = scan(tensor)
        rows[name] = _row(tensor, scans.get(name), depths[name])
    return [*rows.values()], scans


def _row(tensor: StoredTensor, found: Scan | None, depth: int) -> dict[str, Any]:
    origin = _unscanned(tensor) if found is None else origin_of(tensor, found, depth)
    return {
        "parameter": tensor.name,
        "module": type(tensor.parameter.module).__name__ if tensor.of_model else "",
        "shape": tensor.shape,
        "dtype": str(tensor.dtype).removeprefix("torch."),
        **({} if found is None else _numbers(found)),
        "looks_like": origin.looks_like,
        "chance": origin.chance,
        "state": origin.state,
        "tied_to": "",
    }


def _unscanned(tensor: StoredTensor) -> Origin:
    return Origin(state="never filled" if tensor.missing else "not judged")


def _numbers(found: Scan) -> dict[str, float]:
    share = {"zero": found.zeros / found.number, "nonfinite": found.nonfinite / found.number}
    if found.nonfinite:
        return share
    mean, square = (float(power) / found.number for power in found.powers[:2])
    std = math.sqrt(max(0.0, square - mean**2)) if found.low < found.high else 0.0
    return {"mean": mean, "std": std, "largest": found.largest, **share}


def _copies(tensors: Mapping[str, StoredTensor], scans: Mapping[str, Scan]) -> dict[str, str]:
    """Return which tensors hold the bits of an earlier one; constants are no copies."""
    firsts: dict[Hashable, str] = {}
    copies = {}
    for name, found in scans.items():
        if found.nonfinite or found.low == found.high:
            continue
        tensor = tensors[name]
        key = (tensor.shape, tensor.dtype, found.powers.tobytes())
        first = firsts.setdefault(key, name)
        if first != name and same_bits(tensors[first], tensor):
            copies[name] = first
    return copies


def _change_row(
    name: str, before: StoredTensor | None, after: StoredTensor | None
) -> dict[str, Any]:
    change = change_of(before, after)
    return {
        "parameter": name,
        "state": change.state,
        "relative_change": change.relative,
        "norm_before": change.norm_before,
        "norm_after": change.norm_after,
        "correlation": change.correlation,
        "rank": change.rank,
        "shape_before": before and before.shape,
        "shape_after": after and after.shape,
        "dtype_before": before and str(before.dtype).removeprefix("torch."),
        "dtype_after": after and str(after.dtype).removeprefix("torch."),
    }
