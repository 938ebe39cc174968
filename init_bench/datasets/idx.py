"""Check and read IDX files, the format of MNIST."""

import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from init_bench.errors import InitBenchError

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


_UNSIGNED_BYTE = 8


def read(folder: Path) -> dict[str, Tensor]:
    """Return the four tensors of a folder of raw IDX files: images (uint8) and labels (int64).

    Raises:
        InitBenchError: a file is missing, compressed, not an IDX file of bytes, too short or
            too long, or images and labels differ in number.
    """
    tensors = {part: _read_bytes(folder / name) for part, name in FILES.items()}
    for split in ("train", "test"):
        images, labels = len(tensors[f"{split}_images"]), len(tensors[f"{split}_labels"])
        if images != labels:
            raise InitBenchError(f"{folder}: {images} {split} images but {labels} {split} labels")
    train, test = (tuple(tensors[f"{split}_images"].shape[1:]) for split in ("train", "test"))
    if train != test:
        raise InitBenchError(f"{folder}: train images are {train} pixels, test images {test}")
    return {part: each.long() if "labels" in part else each for part, each in tensors.items()}


def _read_bytes(path: Path) -> Tensor:
    """Return the checked bytes of a file in the shape that its header says."""
    sizes = check(path)
    values = np.fromfile(path, np.uint8, offset=4 + 4 * len(sizes))
    return torch.from_numpy(values.reshape(sizes))


def check(path: Path) -> tuple[int, ...]:
    """Check that ``path`` is a raw IDX file of bytes, as long as its header says; return its sizes.

    Raises:
        InitBenchError: it is not, with what was found and what should be there.
    """
    expected = ", ".join(FILES.values())
    if not path.is_file():
        zipped = path.with_name(path.name + ".gz")
        hint = (
            f"unpack it first: gunzip -k {zipped}" if zipped.is_file() else f"expected: {expected}"
        )
        raise InitBenchError(f"no file {path}; {hint}")
    dimensions = 3 if "idx3" in path.name else 1
    with path.open("rb") as file:
        header = file.read(4 + 4 * dimensions)
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if header[:4] != magic or len(header) < 4 + 4 * dimensions:
        raise InitBenchError(
            f"{path} is not an IDX file of {dimensions}-dimensional bytes: it starts with "
            f"{header[:4].hex(' ') or 'nothing'}, expected {magic.hex(' ')}"
        )
    sizes = struct.unpack(f">{dimensions}I", header[4:])
    if 0 in sizes:
        raise InitBenchError(
            f"{path} holds no samples: its header says {' x '.join(map(str, sizes))}"
        )
    expected_size, size = len(header) + math.prod(sizes), path.stat().st_size
    if size != expected_size:
        state = "cut short" if size < expected_size else "longer than its header says"
        raise InitBenchError(
            f"{path} is {state}: header {' x '.join(map(str, sizes))} means {expected_size} bytes, "
            f"the file has {size}; copy it again"
        )
    return sizes
