"""The models of the menu: shapes, norms, that they learn, and what grids make of them."""

from typing import Any

import pytest
import torch
from torch import nn

import init_bench as ib
from init_bench import InitBenchError
from init_bench.models import MODELS, lstm_rows, mlp, resnet_small, siren, vit_small

IMAGE = (1, 28, 28)

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"width": 16, "depth": 3},
    "lenet": {},
    "resnet18": {},
    "resnet_small": {"width": 4, "depth": 3},
    "vit_small": {"width": 8, "depth": 1},
    "lstm_rows": {"width": 8},
    "siren": {"width": 8, "depth": 3, "dataset": "mnist_pixels", "lr": 0.001},
}


def test_every_model_of_the_menu_is_tried_here() -> None:
    assert list(SMALL) == list(MODELS)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "resnet18"])
def test_a_grid_trains_every_model(name: str, tmp_path: Any) -> None:
    axes = {"dataset": "mnist_short_test", "lr": 0.1, **SMALL[name]}
    grid = ib.Grid(model=name, steps=3, batch_size=8, capture_at=[], **axes)
    results = ib.run(grid, tmp_path, device="cpu", workers=1, progress=False)
    assert results.cells["status"].tolist() == ["ok"]
    assert 0 <= results.cells["test_accuracy"].item() <= 1
    assert len(results.layers) == 0, "an empty capture_at captures nothing"


@pytest.mark.parametrize(("depth", "layers"), [(3, 8), (6, 14)])
def test_the_small_resnet_has_two_layers_a_block_and_two_more(depth: int, layers: int) -> None:
    model = resnet_small(IMAGE, 10, width=16, depth=depth, activation="relu")
    weights = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == layers
    assert {m.out_channels for m in weights if isinstance(m, nn.Conv2d)} == {16}


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_only_a_resnet_with_batch_normalization_has_some(norm: Any) -> None:
    model = resnet_small(IMAGE, 10, width=4, depth=3, activation="relu", norm=norm)
    found = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert bool(found) == (norm == "batch")


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_transformer_normalizes_where_it_is_told(norm: Any) -> None:
    model = vit_small(IMAGE, 10, width=8, depth=2, norm=norm)
    blocks = [m for m in model.modules() if isinstance(m, nn.TransformerEncoderLayer)]
    assert [block.norm_first for block in blocks] == [norm == "pre"] * 2


def test_the_models_start_as_their_libraries_do() -> None:
    resnet = resnet_small(IMAGE, 10, width=64, depth=3, activation="relu")
    weight = resnet.get_parameter("block1.conv1.weight")
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    vit = vit_small(IMAGE, 10, width=64, depth=1)
    stds = [p.std().item() for p in vit.parameters() if p.numel() > 1000]
    assert stds == pytest.approx([0.02] * len(stds), rel=0.05)
    assert vit.get_parameter("head.bias").abs().max().item() == 0


def test_a_siren_is_sines_of_30_times_its_layers() -> None:
    model = siren(2, 1, width=8, depth=3)
    first, second, last = (m for m in model.children() if isinstance(m, nn.Linear))
    x = torch.rand(5, 2)
    by_hand = torch.sin(30 * second(torch.sin(30 * first(x))))
    assert torch.equal(model(x), last(by_hand))


def test_the_rows_of_an_image_are_read_from_top_to_bottom() -> None:
    model = lstm_rows(IMAGE, 10, width=8)
    lstm, head = model.children()
    image = torch.rand(1, *IMAGE)
    _, (hidden, _) = lstm(image[:, 0])
    assert torch.allclose(model(image), head(hidden[-1]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: vit_small((1, 30, 28), 10, width=8, depth=1), "multiples of 7"),
        (lambda: vit_small(IMAGE, 10, width=6, depth=1), "width one of 4"),
        (lambda: vit_small(IMAGE, 10, 8, 1, norm="batch"), "norm must be none or pre or post"),  # type: ignore[arg-type]
        (lambda: mlp(4, 2, 3, 2, "relu", norm="pre"), "mlp: norm must be none or batch"),  # type: ignore[arg-type]
        (lambda: resnet_small(IMAGE, 10, 4, 3, "relu", "pre"), "resnet_small: norm must be"),  # type: ignore[arg-type]
    ],
)
def test_what_a_model_does_not_have_is_refused(build: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        build()


def test_a_plain_mlp_is_refused_real_valued_targets_before_any_work(tmp_path: Any) -> None:
    grid = ib.Grid(dataset="mnist_pixels", steps=2)
    with pytest.raises(InitBenchError, match=r"mnist_pixels has real-valued targets: train siren"):
        ib.run(grid, tmp_path, device="cpu", progress=False)
    assert not list(tmp_path.iterdir())
