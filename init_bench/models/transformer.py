"""Build transformers."""

from typing import Literal

from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.models.user_factory import check_norm

Place = Literal["pre", "post"]

PATCH, HEADS = 7, 4


class VisionTransformer(nn.Module):
    """Classify images from the mean of their patches' last representations."""

    def __init__(
        self, image: tuple[int, int, int], classes: int, width: int, depth: int, *, pre: bool
    ) -> None:
        super().__init__()
        channels, height, across = image
        self.patches = nn.Conv2d(channels, width, PATCH, stride=PATCH)
        self.positions = nn.Embedding((height // PATCH) * (across // PATCH), width)
        self.blocks = nn.Sequential(*(_block(width, pre=pre) for _ in range(depth)))
        self.norm = nn.LayerNorm(width) if pre else nn.Identity()
        self.head = nn.Linear(width, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill all weights as timm does: positions too; biases 0, normalizations as torch."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.trunc_normal_(parameter, std=0.02)
            elif "norm" not in name:
                nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, channels, height, width)``."""
        x = self.patches(images).flatten(2).transpose(1, 2) + self.positions.weight
        logits: Tensor = self.head(self.norm(self.blocks(x)).mean(dim=1))
        return logits


def vit_small(
    image: tuple[int, int, int], classes: int, width: int, depth: int, norm: Place = "pre"
) -> nn.Module:
    """Return a small vision transformer, filled as timm fills its own.

    Formula:
        patches of 7 × 7 → linear + positions; depth × [x ← x + attention(LN(x)), x ← x +
        MLP(LN(x))] (pre) or depth × [x ← LN(x + attention(x)), x ← LN(x + MLP(x))] (post); LN
        (pre), mean over patches, linear. 4 heads, GELU, an MLP of 2 · width units, no dropout.
        Weights N(0, 0.02²) cut at ±2, biases 0.

    Args:
        image: channels, height, width of an image; height and width multiples of 7.
        classes: outputs of the last layer.
        width: of a patch's representation, a multiple of 4.
        depth: blocks.
        norm: ``pre`` puts layer normalizations before attention and MLP, ``post`` after the sums.
            ``none``, the default of a grid, is ``pre``.

    Raises:
        InitBenchError: sizes do not divide, or ``norm`` is another.

    Source:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, sec. 3.1; post-norm as in Vaswani
        et al., Attention Is All You Need, 2017; start as in timm's ``vision_transformer.py``.

    Example:
        >>> import torch
        >>> model = vit_small((1, 28, 28), 10, width=8, depth=1)
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    places = {"none": True, "pre": True, "post": False}
    check_norm(norm, places, "vit_small")
    if any(side % PATCH for side in image[1:]) or width % HEADS:
        raise InitBenchError(
            f"vit_small: image sides must be multiples of {PATCH} and width one of {HEADS}, "
            f"got {image[1:]} and {width}"
        )
    return VisionTransformer(image, classes, width, depth, pre=places[norm])


def _block(width: int, *, pre: bool) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        width, HEADS, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=pre
    )
