"""Make a data set of the pixels of a few images: from a place to its gray value."""

import hashlib

import torch
from torch import Tensor

from init_bench.datasets.column_order import sort_columns
from init_bench.datasets.dataset import Dataset

ACROSS = 2
"""Images of a row, and of a column, of the mosaic."""


HELD_OUT = 5
"""Of so many pixels one is held out for the test."""


def pixel_dataset(raw: dict[str, Tensor]) -> Dataset:
    """Return the pixels of the first four training images, side by side.

    Inputs are a pixel's place (x, y), both from -1 to 1 over the mosaic; the target is its gray
    value from 0 to 1. Every fifth pixel along the rows is held out for the test.
    """
    images = raw["train_images"][: ACROSS**2].float() / 255
    rows, columns = (ACROSS * side for side in images.shape[1:])
    squares = images.view(ACROSS, ACROSS, *images.shape[1:])
    mosaic = squares.transpose(1, 2).reshape(rows, columns)
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij"
    )
    places, values = torch.stack([x, y], dim=-1).view(-1, 2), mosaic.reshape(-1, 1)
    tested = torch.arange(len(values)) % HELD_OUT == 0
    return Dataset(
        sorted_columns=sort_columns(places[~tested]),
        targets=values[~tested],
        test_inputs=places[tested],
        test_targets=values[tested],
        classes=1,
        sha256=hashlib.sha256(mosaic.numpy().data).hexdigest(),
    )
