"""List the data sets and load them.

To add one, write a function that returns its four tensors and put a ``Source`` into ``DATASETS``.
A reader of some length gets a file of its own beside this one, as ``bundled_mnist.py`` is.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from init_bench.datasets import idx
from init_bench.datasets.bundled_mnist import cache_folder, unpacked_mnist
from init_bench.datasets.column_order import SortedColumns, sort_columns
from init_bench.errors import InitBenchError, lookup

PREFIX = "idx:"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold images in [0, 1], flattened, and their classes.

    Attributes:
        sorted_columns: the training inputs, ``(N, features)`` float32, pixels / 255, no further
            normalization, the columns that are used most often first: what plain MLPs train on.
        targets: ``(N,)`` int64 classes.
        test_inputs, test_targets: the same for the test part, columns in the data's order.
        classes: number of classes.
        sha256: of the four raw tensors, the identity of the data.
        image: shape of one image (channels, height, width); empty if samples are not images.
    """

    sorted_columns: SortedColumns
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int
    sha256: str
    image: tuple[int, ...] = ()

    @property
    def features(self) -> int:
        """Number of inputs of the first layer."""
        return len(self.sorted_columns.order)

    @property
    def device(self) -> torch.device:
        """Where the data is."""
        return self.targets.device

    @cached_property
    def inputs(self) -> Tensor:
        """``(N, features)``: the training inputs in the data's order, made when first used."""
        return self.sorted_columns.restored()

    def first(self, samples: int) -> Tensor:
        """Return the first training inputs in the data's order, made once."""
        if samples not in self._firsts:
            self._firsts[samples] = self.sorted_columns.restored(slice(samples))
        return self._firsts[samples]

    @cached_property
    def _firsts(self) -> dict[int, Tensor]:
        return {}

    def to(self, device: torch.device) -> "Dataset":
        """Return the same data on ``device``; itself if it is there already."""
        if self.targets.to(device) is self.targets:
            return self
        names = ("sorted_columns", "targets", "test_inputs", "test_targets")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


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


@dataclass(frozen=True, kw_only=True)
class Source:
    """Describe a data set of the menu.

    Attributes:
        read: returns ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``:
            images ``(N, height, width)`` in bytes, labels ``(N,)`` from 0.
        help: how many samples of what, where they come from, who made them.
    """

    read: Callable[[], dict[str, Tensor]]
    help: str


DATASETS: dict[str, Source] = {
    "mnist": Source(read=_mnist, help="70 000 digits, in the package; LeCun et al., 1998"),
    "fashion_mnist": Source(
        read=lambda: _torchvision("FashionMNIST", cache_folder()),
        help="70 000 garments, downloaded by torchvision; Xiao et al., 2017",
    ),
    "kmnist": Source(
        read=lambda: _torchvision("KMNIST", cache_folder()),
        help="70 000 hiragana, downloaded by torchvision; Clanuwat et al., 2018",
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
    return _dataset(source.read())


def _dataset(raw: dict[str, Tensor]) -> Dataset:
    digest = hashlib.sha256()
    for part in idx.FILES:
        digest.update(raw[part].to(torch.uint8).contiguous().numpy().data)
    return Dataset(
        sorted_columns=sort_columns(raw["train_images"].flatten(1), scale=255),
        targets=raw["train_labels"].long(),
        test_inputs=_pixels(raw["test_images"]),
        test_targets=raw["test_labels"].long(),
        classes=int(max(raw["train_labels"].max(), raw["test_labels"].max())) + 1,
        sha256=digest.hexdigest(),
        image=(1, *raw["train_images"].shape[1:]),
    )


def _pixels(images: Tensor) -> Tensor:
    return images.reshape(len(images), -1).to(torch.float32).div_(255)
