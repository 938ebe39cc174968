"""List the data sets and load them.

To add one, write a function that returns its four tensors and put a ``Source`` into ``DATASETS``.
A reader of some length gets a file of its own beside this one, as ``bundled_mnist.py`` is.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from init_bench.datasets import idx
from init_bench.datasets.bundled_mnist import cache_folder, unpacked_mnist
from init_bench.datasets.column_order import PIXEL, sort_columns
from init_bench.datasets.dataset import Dataset
from init_bench.datasets.pixel_regression import pixel_dataset
from init_bench.errors import InitBenchError, lookup

PREFIX = "idx:"


def _mnist() -> dict[str, Tensor]:
    return idx.read(unpacked_mnist() / "MNIST" / "raw")


def _torchvision(name: str, root: Path) -> dict[str, Tensor]:
    """Return the tensors of one of torchvision's MNIST-like data sets."""
    from torchvision import datasets

    kind = getattr(datasets, name)
    try:
        train, test = (kind(str(root), train=part, download=True) for part in (True, False))
    except (OSError, RuntimeError) as cause:
        raise InitBenchError(
            f"torchvision could not download {name} into {root}: {cause}; "
            f"with the four IDX files at hand use idx:FOLDER instead"
        ) from cause
    return {
        "train_images": train.data,
        "train_labels": train.targets,
        "test_images": test.data,
        "test_labels": test.targets,
    }


def _dataset(raw: dict[str, Tensor]) -> Dataset:
    digest = hashlib.sha256()
    for part in idx.FILES:
        digest.update(raw[part].to(torch.uint8).contiguous().numpy().data)
    return Dataset(
        sorted_columns=sort_columns(raw["train_images"].flatten(1)),
        targets=raw["train_labels"].long(),
        test_inputs=_pixels(raw["test_images"]),
        test_targets=raw["test_labels"].long(),
        classes=int(max(raw["train_labels"].max(), raw["test_labels"].max())) + 1,
        sha256=digest.hexdigest(),
        image=(1, *raw["train_images"].shape[1:]),
    )


def _pixels(images: Tensor) -> Tensor:
    return images.reshape(len(images), -1).to(torch.float32).div_(PIXEL)


TESTED = 1000
"""Test images of ``mnist_short_test``."""


def _shortened(raw: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the same with fewer test images."""
    return raw | {name: raw[name][:TESTED] for name in ("test_images", "test_labels")}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Describe a data set of the menu.

    Attributes:
        read: returns ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``:
            images ``(N, height, width)`` in bytes, labels ``(N,)`` from 0.
        help: how many samples of what, where they come from, who made them.
        make: makes the data set of these tensors.
        classes: their number, known without reading; ``None`` where targets are real values or it
            is not known.
    """

    read: Callable[[], dict[str, Tensor]]
    help: str
    make: Callable[[dict[str, Tensor]], Dataset] = _dataset
    classes: int | None = None


DATASETS: dict[str, Source] = {
    "mnist": Source(
        read=_mnist, help="70 000 digits, in the package; LeCun et al., 1998", classes=10
    ),
    "mnist_short_test": Source(
        read=lambda: _shortened(_mnist()),
        help="mnist, tested on its first 1 000 test images: for many short runs",
        classes=10,
    ),
    "mnist_pixels": Source(
        read=_mnist,
        help="the 3 136 pixels of four digits of mnist: from (x, y) to the gray value",
        make=pixel_dataset,
    ),
    "fashion_mnist": Source(
        read=lambda: _torchvision("FashionMNIST", cache_folder()),
        help="70 000 garments, downloaded by torchvision; Xiao et al., 2017",
        classes=10,
    ),
    "kmnist": Source(
        read=lambda: _torchvision("KMNIST", cache_folder()),
        help="70 000 hiragana, downloaded by torchvision; Clanuwat et al., 2018",
        classes=10,
    ),
}
"""Data sets by name."""


FOLDER = f"{PREFIX}FOLDER"
"""How a folder of your own files is named."""


def described() -> dict[str, str]:
    """Return a line about every name that ``load`` takes.

    Example:
        >>> described()["mnist"]
        '70 000 digits, in the package; LeCun et al., 1998'
    """
    own = "your own four files in MNIST's format: " + ", ".join(idx.FILES.values())
    return {name: source.help for name, source in DATASETS.items()} | {FOLDER: own}


def classes_of(name: str) -> int | None:
    """Return the number of classes of a data set without reading it.

    ``None`` where targets are real values, or only the data could tell.

    Example:
        >>> classes_of("mnist"), classes_of("mnist_pixels"), classes_of("idx:somewhere")
        (10, None, None)
    """
    return DATASETS[name].classes if name in DATASETS else None


def check_name(name: str) -> str:
    """Return ``name`` if a data set of that name can be asked for; a folder as absolute path.

    Raises:
        InitBenchError: ``name`` is not on the menu, or ``idx:FOLDER`` names no readable folder of
            IDX files.

    Example:
        >>> check_name("mnist")
        'mnist'
    """
    if not name.startswith(PREFIX):
        lookup(described(), name, kind="dataset")
        return name
    folder = Path(name.removeprefix(PREFIX)).expanduser().absolute()
    if not folder.is_dir():
        raise InitBenchError(f"dataset {name!r}: no folder {folder}")
    for file in idx.FILES.values():
        idx.check(folder / file)
    return PREFIX + str(folder)


def load(name: str) -> Dataset:
    """Return the data set ``name`` on the CPU.

    Raises:
        InitBenchError: ``name`` is unknown, or its files are missing or damaged.

    Example:
        >>> data = load("mnist")
        >>> data.inputs.shape, data.classes
        (torch.Size([60000, 784]), 10)
    """
    if check_name(name).startswith(PREFIX):
        return _dataset(idx.read(Path(name.removeprefix(PREFIX)).expanduser()))
    return _load_once(DATASETS[name])


@functools.lru_cache(maxsize=2)
def _load_once(source: Source) -> Dataset:
    """Return a data set of the menu, cached: it does not change. A user's folder may."""
    return source.make(source.read())


def release() -> None:
    """Forget the data sets that are loaded: their memory is free once nobody holds them.

    Example:
        >>> data = load("mnist_pixels")
        >>> release()
        >>> load("mnist_pixels") is data
        False
    """
    _load_once.cache_clear()
