"""The data set of pixels: places, values, and what a network makes of them."""

from typing import Any

import pytest
import torch

import init_bench as ib
from init_bench import datasets


def test_places_and_values_make_four_digits_of_mnist() -> None:
    data, mnist = datasets.load("mnist_pixels"), datasets.load("mnist")
    places = torch.cat([data.inputs, data.test_inputs])
    values = torch.cat([data.targets, data.test_targets])
    assert places.shape == (56 * 56, 2)
    assert values.shape == (56 * 56, 1)
    rows = ((places[:, 1] + 1) / 2 * 55).round().long()
    columns = ((places[:, 0] + 1) / 2 * 55).round().long()
    mosaic = torch.zeros(56, 56)
    mosaic[rows, columns] = values[:, 0]
    for index, (top, left) in enumerate([(0, 0), (0, 28), (28, 0), (28, 28)]):
        expected = mnist.first(4)[index].view(28, 28)
        assert torch.equal(mosaic[top : top + 28, left : left + 28], expected)


def test_the_test_accuracy_of_values_is_the_share_of_variance_explained(tmp_path: Any) -> None:
    """A SIREN explains some of the held-out pixels; a network of zeros none."""
    axes: dict[str, Any] = {
        "model": "siren",
        "dataset": "mnist_pixels",
        "width": 32,
        "depth": 3,
        "steps": 150,
    }
    grid = ib.Grid(**axes, optimizer="adam", lr=0.001, init=["siren", "zeros"], capture_at=[])
    cells = ib.run(grid, tmp_path, device="cpu", workers=1, progress=False).cells
    found = cells.set_index("init")["test_accuracy"]
    assert found["siren"] > 0.2
    assert found["zeros"] < 0.05


@pytest.mark.slow
def test_the_short_test_is_the_first_part_of_mnists() -> None:
    short, whole = datasets.load("mnist_short_test"), datasets.load("mnist")
    assert torch.equal(short.test_inputs, whole.test_inputs[: len(short.test_inputs)])
    assert torch.equal(short.targets, whole.targets)
    assert len(short.test_targets) == 1000
