"""Open checkpoint files: safetensors tensor by tensor, pickles without running their code."""

import importlib
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, first_line

PICKLES = (".pt", ".pth", ".bin", ".ckpt")


SUFFIXES = (".safetensors", *PICKLES)
"""Endings of the files that can be audited."""


INSIDE = ("state_dict", "model_state_dict", "model", "module", "net")
"""Keys under which training scripts store the state dict."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """Describe one tensor of a safetensors file, and read its rows.

    The file is opened for each read: an open one keeps every page that was read in memory.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows ``start`` to ``stop``; of a tensor without dimensions, all."""
        with _opened(self.path) as file:
            if not self.shape or (start, stop) == (0, self.shape[0]):
                values: Tensor = file.get_tensor(self.name)
                return values
            part: Tensor = file.get_slice(self.name)[start:stop]
            return part


def is_pickle(path: Path) -> bool:
    """Return whether ``path`` is a file that ``torch.load`` reads.

    Raises:
        InitBenchError: there is no such file, or its ending is unknown.
    """
    if not path.exists():
        raise InitBenchError(
            f"there is no file {path}: give {_endings()}, a folder of safetensors files, or a "
            f"model (MODULE:FACTORY on the command line)"
        )
    if path.is_dir() or path.suffix == ".safetensors":
        return False
    if path.suffix not in PICKLES:
        raise InitBenchError(f"{path} cannot be audited: give {_endings()}")
    return True


def read_headers(path: Path) -> dict[str, Header]:
    """Return the headers of a safetensors file, or of all in a folder.

    Raises:
        InitBenchError: the folder holds none, safetensors is not installed, or a file is damaged.
    """
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise InitBenchError(f"folder {path} holds no .safetensors file; name {_endings()}")
    return {header.name: header for file in files for header in _headers(file)}


def read_pickle(path: Path) -> Mapping[str, Any]:
    """Return what a pickle holds, its tensors mapped from the file and not read.

    Raises:
        InitBenchError: it holds more than tensors and plain values, is damaged, or is no mapping.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of older releases are what one audits
            held = _load(path)
    except Exception as cause:  # a damaged archive fails in many ways
        found = ", ".join(re.findall(r"GLOBAL (\S+)", str(cause)))
        if not found or not isinstance(cause, pickle.UnpicklingError):
            raise InitBenchError(
                f"{path} cannot be read: it is no file of torch.save, or is damaged; copy or "
                f"download it again"
            ) from cause
        raise InitBenchError(
            f"{path} holds Python objects beside tensors ({found}), and to read them would run "
            f"their code. If you trust it, load it yourself, with torch.load(path, "
            f"weights_only=False), and pass its state_dict() to ib.audit"
        ) from cause
    if not isinstance(held, Mapping):
        raise InitBenchError(
            f"{path} holds a {type(held).__name__}, not a state dict: save model.state_dict()"
        )
    return held


def state_dict_of(held: Mapping[str, Any], source: str) -> dict[str, Tensor]:
    """Return the tensors of a state dict, or of the one that a training script stored inside.

    Raises:
        InitBenchError: there are none.

    Example:
        >>> list(state_dict_of({"epoch": 3, "model": {"w": torch.zeros(2)}}, "last.pt"))
        ['w']
    """
    for own in (held, *(held[key] for key in INSIDE if isinstance(held.get(key), Mapping))):
        tensors = {str(name): value for name, value in own.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    keys = ", ".join(map(repr, list(held)[:8])) or "none"
    raise InitBenchError(
        f"{source} is no state dict: it maps no name to a tensor, neither itself nor under "
        f"{', '.join(INSIDE)}; its keys are: {keys}"
    )


def _load(path: Path) -> Any:
    """Load a file of ``torch.save``; one of before torch 1.6 cannot be mapped and is read."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as cause:
        if "mmap" not in str(cause):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)


def _opened(path: Path) -> Any:
    try:
        safetensors = importlib.import_module("safetensors")
    except ImportError:
        raise InitBenchError(
            f"reading {path} needs the package safetensors: pip install safetensors"
        ) from None
    return safetensors.safe_open(path, framework="pt")


def _headers(path: Path) -> Iterator[Header]:
    try:
        with _opened(path) as file:
            for name in file.keys():
                shape = tuple(file.get_slice(name).get_shape())
                sample = file.get_slice(name)[0:0] if shape else file.get_tensor(name)
                yield Header(path=path, name=name, shape=shape, dtype=sample.dtype)
    except InitBenchError:
        raise
    except Exception as cause:  # safetensors has an error of its own, and the package is optional
        raise InitBenchError(
            f"{path} cannot be read, it is cut off or no safetensors file: "
            f"{type(cause).__name__}: {first_line(cause)}; copy or download it again"
        ) from cause


def _endings() -> str:
    return f"a file that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
