"""Small networks of a width and a depth, on which laws of width and depth are checked."""

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD = 16
"""Size of an attention head: a wider network has more heads, not larger ones."""


def perceptron(width: int) -> nn.Sequential:
    """Return a multilayer perceptron of two hidden layers, 64 inputs and 10 classes."""
    body = (nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.Sequential(*body, nn.Linear(width, 10))


class Attention(nn.Module):
    """Attend by torch's attention, which divides by √d."""

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        samples, length, width = x.shape
        packed = self.qkv(x).view(samples, length, 3, width // HEAD, HEAD)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(samples, length, width))
        return out


class Block(nn.Module):
    """Add attention and an MLP to the stream, each of a normalized copy of it."""

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, causal=causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        stream: Tensor = x + self.mlp(self.ln2(x))
        return stream


class GPT(nn.Module):
    """Return logits of the next of 50 tokens, for each of at most 8."""

    def __init__(self, width: int, depth: int = 2) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, width)
        self.positions = nn.Parameter(torch.zeros(1, 8, width))
        self.blocks = nn.Sequential(*(Block(width, causal=True) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 50, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        stream = self.tokens(tokens) + self.positions[:, : tokens.shape[1]]
        logits: Tensor = self.head(self.norm(self.blocks(stream)))
        return logits


class ViT(nn.Module):
    """Return logits of 10 classes of an image of 28 x 28 pixels, in patches of 7 x 7."""

    def __init__(self, width: int, depth: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 7, stride=7)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 17, width))
        self.blocks = nn.Sequential(*(Block(width, causal=False) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        token = self.token.expand(images.shape[0], -1, -1)
        stream = torch.cat([token, patches], 1) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(stream))[:, 0])
        return logits
