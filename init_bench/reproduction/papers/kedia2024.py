"""Recheck Kedia et al. 2024: the signal through transformer blocks at their random start.

Read of the paper:
    the abstract, and a summary of its section on moments; the formulas are derived here.

Setting:
    torch's encoder layers, gelu, 4 heads, weights N(0, 1/fan_in), no biases or dropout, 8 images of
    50 random tokens.

Not rechecked:
    gradients, DeepScaleLM and all that trains.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from init_bench.figures import Panel
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init import lecun_normal_
from init_bench.reproduction.claim_verdicts import CORRELATIONS, SIGNED, Claim, Values
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import farthest_ratio, value_of
from init_bench.theory import TransformerBlock, transformer_profile

STD, CORRELATION = "std", "token correlation"


PRE, POST = "pre-norm", "post-norm"


HEADS = 4


def measure(
    seeds: Sequence[int], *, width: int = 256, blocks: int = 24, tokens: int = 50, images: int = 8
) -> Tables:
    """Return the residual stream's std and its tokens' correlation after each block of a ViT."""
    measured, expected = [], []
    for series in (PRE, POST):
        for seed in seeds:
            x = torch.randn(images, tokens, width, generator=stream(seed, "kedia2024/tokens"))
            layers = _layers(series, width, blocks, seed)
            for block, stream_after in enumerate(_streams(layers, x), start=1):
                std, correlation = stream_after.std().item(), _correlation(stream_after)
                measured.append((STD, series, block, seed, std))
                measured.append((CORRELATION, series, block, seed, correlation))
        ideal = transformer_profile(
            [_ideal(norm="pre" if series == PRE else "post")] * blocks, tokens=tokens
        )
        for row in ideal[ideal["part"] == "mlp"].to_dict("records"):
            expected.append((STD, series, row["block"], row["std"]))
            expected.append((CORRELATION, series, row["block"], row["correlation"]))
    return tables(measured, expected)


def _ideal(norm: str) -> TransformerBlock:
    """Return a block whose weights are all N(0, 1/fan_in), without biases."""
    one = (1.0, 0.0)
    return TransformerBlock(query=one, key=one, value=one, out=one, up=one, down=one, norm=norm)


def _layers(series: str, width: int, blocks: int, seed: int) -> list[nn.TransformerEncoderLayer]:
    generator = stream(seed, f"kedia2024/{series}")
    with drawing_from(generator):
        layers = [
            nn.TransformerEncoderLayer(
                width,
                HEADS,
                4 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=series == PRE,
            )
            for _ in range(blocks)
        ]
    for layer in layers:
        for name, parameter in layer.named_parameters():
            if parameter.dim() > 1:
                lecun_normal_(parameter, generator=generator)
            elif "norm" not in name:
                nn.init.zeros_(parameter)
    return layers


@torch.no_grad()
def _streams(layers: Sequence[nn.TransformerEncoderLayer], x: Tensor) -> Iterator[Tensor]:
    for layer in layers:
        x = layer(x)
        yield x


def _correlation(x: Tensor) -> float:
    """Return the mean cosine of two tokens of an image."""
    unit, tokens = nn.functional.normalize(x, dim=-1), x.shape[1]
    together = unit.sum(dim=1).square().sum(dim=-1).mean().item()
    return (together - tokens) / (tokens * (tokens - 1))


def _power(series: str) -> Values:
    """Return, by seed, the power of depth with which the variance grows over the last half."""
    half, whole = value_of(STD, series, 12), value_of(STD, series, 24)
    return lambda table: (2 * (whole(table) / half(table)).map(math.log)) / math.log(2)


_BLOCKS = "24 ViT blocks of width 256, 50 tokens"


PICTURES = {
    "vit": Picture(
        (
            Panel(STD, "blocks", "std of the residual stream", low_y=0.0),
            Panel(CORRELATION, "blocks", "correlation of two tokens", low_y=0.0, high_y=1.05),
        ),
        "A ViT's blocks at a random start, weights N(0, 1/fan_in). Dashed: moment formulas for "
        "infinite width. Bands: lowest to highest seed.",
        claims=(
            Claim(
                "moments-pre",
                "formulas for moments predict a pre-norm model through its depth",
                f"std of the stream, relative distance from theory, largest of {_BLOCKS}",
                farthest_ratio(STD, PRE),
                frame="ratio",
                high=0.1,
            ),
            Claim(
                "correlation-pre",
                "and how alike its tokens become",
                f"correlation of tokens, relative distance from theory, largest of {_BLOCKS}",
                farthest_ratio(CORRELATION, PRE),
                frame="ratio",
                high=0.2,
            ),
            Claim(
                "pre-grows-linearly",
                "with pre-norm the forward variance grows linearly with depth",
                "log2 of the stream's variance after 24 blocks over that after 12",
                _power(PRE),
                within=SIGNED,
                low=0.8,
                high=1.2,
            ),
            Claim(
                "post-level",
                "with post-norm the forward signal is level",
                "std of the stream after 24 blocks",
                value_of(STD, POST),
                low=0.99,
                high=1.01,
            ),
            Claim(
                "rank-collapse",
                "with post-norm tokens collapse to one direction (rank collapse)",
                "correlation of two tokens after 24 blocks",
                value_of(CORRELATION, POST),
                within=CORRELATIONS,
                low=0.9,
            ),
        ),
    )
}


EXPERIMENT = Experiment(measure, PICTURES, quick={"width": 64, "images": 2})
