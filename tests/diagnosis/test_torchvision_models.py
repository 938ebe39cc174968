"""Diagnose on a sample of torchvision: all of it is ``python -m benchmarks.zoo``."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models import detection, optical_flow, quantization, segmentation, video

import init_bench as ib
from init_bench.hooks.random_streams import drawing_from, stream

CLASSES = 5
OF_INPUTS_ALONE = {"quant", "transform", "anchor_generator"}
"""Layers in front of every parameter: no gradient leads to them."""


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape, generator=stream(0, "images"))


IMAGES = drawn(2, 3, 64, 64)
LABELS = torch.arange(2)


def entropies(output: Any, y: Tensor) -> Tensor:
    """Return the loss of a network with auxiliary heads, whose answer is a named tuple."""
    return torch.stack([F.cross_entropy(logits, y) for logits in output]).sum()


def pixel_entropy(output: dict[str, Tensor], y: Tensor) -> Tensor:
    wanted = y.view(-1, 1, 1).expand(-1, *output["out"].shape[2:])
    return F.cross_entropy(output["out"], wanted)


def all_flows(flows: list[Tensor], y: Tensor) -> Tensor:
    return torch.stack(flows).abs().mean()


def own_losses(losses: dict[str, Tensor], y: Tensor) -> Tensor:
    return torch.stack(list(losses.values())).sum()


BOX = {"boxes": torch.tensor([[5.0, 5.0, 40.0, 50.0]]), "labels": torch.tensor([1])}
FLOW = {"image1": drawn(2, 3, 128, 128), "image2": drawn(2, 3, 128, 128), "num_flow_updates": 2}
DETECTOR: dict[str, Any] = {"weights_backbone": None, "num_classes": CLASSES}

Case = tuple[Callable[[], nn.Module], Any, Callable[[Any, Tensor], Tensor]]
CASES: dict[str, Case] = {
    "squeezenet": (lambda: models.squeezenet1_1(num_classes=CLASSES), IMAGES, F.cross_entropy),
    "mobilenet": (lambda: models.mobilenet_v3_small(num_classes=CLASSES), IMAGES, F.cross_entropy),
    "shufflenet, to be quantized": (
        lambda: quantization.shufflenet_v2_x0_5(num_classes=CLASSES),
        IMAGES,
        F.cross_entropy,
    ),
    "googlenet, auxiliary heads": (
        lambda: models.GoogLeNet(num_classes=CLASSES, init_weights=False),
        IMAGES,
        entropies,
    ),
    "swin transformer": (
        lambda: models.SwinTransformer(
            patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[4, 4],
            num_classes=CLASSES,
        ),
        IMAGES,
        F.cross_entropy,
    ),
    "segmentation": (
        lambda: segmentation.lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=CLASSES
        ),
        IMAGES,
        pixel_entropy,
    ),
    "video transformer": (
        lambda: video.SwinTransformer3d(
            patch_size=[2, 4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2],
            window_size=[2, 4, 4], num_classes=CLASSES,
        ),
        drawn(2, 3, 4, 32, 32),
        F.cross_entropy,
    ),
    "optical flow": (lambda: optical_flow.raft_small(), FLOW, all_flows),
    "detection": (
        lambda: detection.ssdlite320_mobilenet_v3_large(**DETECTOR),
        (list(IMAGES), [BOX, BOX]),
        own_losses,
    ),
}  # fmt: skip


def built(name: str) -> nn.Module:
    with drawing_from(stream(0, name)):
        return CASES[name][0]()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_model_of_torchvision_is_diagnosed(name: str) -> None:
    _, inputs, loss = CASES[name]
    model = built(name)
    found = ib.diagnose(model, inputs, LABELS, loss)
    weighty = {n.rpartition(".")[0] for n, p in model.named_parameters() if p.dim() == 4}
    assert weighty <= set(found.profile["layer"]), "every convolution ran and was looked at"
    without = set(found.profile.loc[found.profile["gradient"].isna(), "layer"])
    assert without <= OF_INPUTS_ALONE
    assert 0 < found.loss < torch.inf
    assert not (found.verdicts["verdict"] == "nonfinite").any()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.slow
def test_a_detector_is_diagnosed_as_it_answers_too() -> None:
    """In evaluation it returns a list of dictionaries, which may hold no box at all."""
    model = built("detection").eval()
    found = ib.diagnose(model, (list(IMAGES),))
    assert found.profile["gradient"].isna().all()
    assert found.profile["layer"].nunique() > 100


def test_stochastic_depth_drops_nothing_while_one_looks() -> None:
    """In a batch of two it would drop a branch for both, which has nothing to do with weights."""
    model = models.ConvNeXt(
        [models.convnext.CNBlockConfig(8, None, 6)], stochastic_depth_prob=0.99, num_classes=CLASSES
    )
    found = ib.diagnose(model, IMAGES, LABELS)
    branches = found.profile[found.profile["module"] == "StochasticDepth"]
    assert len(branches) == 6
    assert (branches["dead"] < 1).all()
    assert "dead_units" not in set(found.bad["verdict"])
