"""Hold the tensors of a data set."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from init_bench.datasets.column_order import SortedColumns


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold images in [0, 1], flattened, and their classes; or inputs and real-valued targets.

    Attributes:
        sorted_columns: the training inputs, ``(N, features)``, pixels / 255, no further
            normalization, the columns that are used most often first: what plain MLPs train on.
        targets: ``(N,)`` int64 classes, or ``(N, classes)`` float32 values.
        test_inputs, test_targets: the same for the test part, columns in the data's order.
        classes: number of classes, or of values of a target.
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

    @property
    def has_classes(self) -> bool:
        """Whether targets are classes; if not they are real values."""
        return not self.targets.is_floating_point()

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
