"""What the models of torchvision take and what they are trained for, by the job they do."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from init_bench.cli.model_arguments import make
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.hooks.random_streams import stream

BATCH, SIDE = 2, 224
BOXES = (
    [8.0, 8.0, 20.0, 24.0],
    [150.0, 20.0, 190.0, 70.0],
    [50.0, 40.0, 150.0, 160.0],
    [4.0, 4.0, 210.0, 214.0],
)
"""Objects of an image, from small to as large as it: of one size most heads would have no loss."""

CLASSES = 21
"""Classes of the segmentation models."""

SMALLEST_SIDE = {"inception_v3": 299}
"""Models whose auxiliary head leaves nothing of an image of 224²."""

FRAMES = {"mvit_v1_b": (16, SIDE), "mvit_v2_s": (16, SIDE), "s3d": (16, SIDE)}
"""Frames and side of what the video models take that are built for one size; others: 8 of 112²."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """How one model is looked at.

    Attributes:
        inputs: as ``diagnose`` takes them.
        targets: likewise; ``None`` where the model itself is given them.
        loss: what it is trained for.
        options: what its builder is given beside no weights.
    """

    inputs: Any
    targets: Any
    loss: Loss
    options: dict[str, Any]


def build(name: str, task: Task) -> nn.Module:
    """Return the model without weights of anybody's training, drawn from its own stream."""
    builder = models.get_model_builder(name)
    absent = {"weights", "weights_backbone"} & inspect.signature(builder).parameters.keys()
    given = {**dict.fromkeys(absent), **task.options}
    return make(lambda: builder(**given), name)


def task_of(name: str) -> Task:
    """Return the task of a model that ``torchvision.models.list_models`` lists."""
    package = models.get_model_builder(name).__module__.removeprefix("torchvision.models.")
    return TASKS.get(package.partition(".")[0], _classification)(name)


def _classification(name: str) -> Task:
    side = SMALLEST_SIDE.get(name.removeprefix("quantized_"), SIDE)
    return Task(
        inputs=_normal(BATCH, 3, side, side),
        targets=_integers(1000, BATCH),
        loss=lambda output, y: F.cross_entropy(_logits(output), y),
        options={},
    )


def _video(name: str) -> Task:
    frames, side = FRAMES.get(name, (8, 112))
    return Task(
        inputs=_normal(BATCH, 3, frames, side, side),
        targets=_integers(400, BATCH),
        loss=F.cross_entropy,
        options={},
    )


def _segmentation(name: str) -> Task:
    return Task(
        inputs=_normal(BATCH, 3, SIDE, SIDE),
        targets=_integers(CLASSES, BATCH, SIDE, SIDE),
        loss=lambda output, y: F.cross_entropy(output["out"], y),
        options={},
    )


def _optical_flow(name: str) -> Task:
    """RAFT: the last of its estimates of the flow between two images, against none."""
    return Task(
        inputs=(_normal(BATCH, 3, 128, 128), _normal(BATCH, 3, 128, 128)),
        targets=torch.zeros(BATCH, 2, 128, 128),
        loss=lambda flows, y: F.l1_loss(flows[-1], y),
        options={},
    )


def _detection(name: str) -> Task:
    """Detectors take lists, one entry per image, and return their own losses while they train."""
    sizes = {} if name.startswith("ssd") else {"min_size": SIDE, "max_size": SIDE}
    images = list(torch.rand(BATCH, 3, SIDE, SIDE, generator=stream(0, "images")))
    return Task(
        inputs=(images, [_marked()] * BATCH),
        targets=None,
        loss=lambda losses, _: sum(losses.values(), torch.zeros(())),
        options=sizes,
    )


def _marked() -> dict[str, Tensor]:
    """Return the objects of an image, of a detector's usual sizes: box, class, mask, key points."""
    boxes = torch.tensor(BOXES)
    masks = torch.zeros(len(BOXES), SIDE, SIDE, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    middle = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, torch.ones(len(BOXES), 1)], dim=1)
    return {
        "boxes": boxes,
        "labels": torch.ones(len(BOXES), dtype=torch.int64),  # some models know one class alone
        "masks": masks,
        "keypoints": middle[:, None].repeat(1, 17, 1),
    }


def _logits(output: Any) -> Tensor:
    """Return the logits of a classifier, without those of auxiliary heads."""
    logits: Tensor = output if isinstance(output, Tensor) else output[0]
    return logits


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=stream(0, "inputs"))


def _integers(high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=stream(0, "targets"))


TASKS: dict[str, Callable[[str], Task]] = {
    "video": _video,
    "segmentation": _segmentation,
    "optical_flow": _optical_flow,
    "detection": _detection,
}
"""By package of ``torchvision.models``; what is in none of them classifies images."""
