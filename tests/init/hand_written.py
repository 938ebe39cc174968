"""Models as people write them: own norms, grouped queries, experts, parameters without a layer."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """x / √(mean x²) times a scale per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class GroupedAttention(nn.Module):
    """Four heads of queries for two of keys and values."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = width // 4
        self.wq, self.wo = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.wk, self.wv = (nn.Linear(width, width // 2, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Any:
        samples, length, width = x.shape
        query, key, value = (
            layer(x).view(samples, length, -1, self.head).transpose(1, 2)
            for layer in (self.wq, self.wk, self.wv)
        )
        key, value = (part.repeat_interleave(2, 1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.wo(mixed.transpose(1, 2).reshape(samples, length, width))


class GatedMLP(nn.Module):
    """down(silu(gate x) · up x), by the names of Llama's authors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w1, self.w3 = (nn.Linear(width, 2 * width, bias=False) for _ in range(2))
        self.w2 = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Any:
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


class Experts(nn.Module):
    """A router, and stacked weights that einsum takes; the last one stands first."""

    def __init__(self, width: int, experts: int = 4) -> None:
        super().__init__()
        self.w_out = nn.Parameter(torch.zeros(experts, 2 * width, width))
        self.w_in = nn.Parameter(torch.zeros(experts, width, 2 * width))
        self.router = nn.Linear(width, experts, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scores = functional.softmax(self.router(x), -1)
        kept, index = scores.topk(2, -1)
        gates = torch.zeros_like(scores).scatter(-1, index, kept)
        inner = functional.gelu(torch.einsum("btd,edf->btef", x, self.w_in))
        return torch.einsum("btef,efd,bte->btd", inner, self.w_out, gates)


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, width: int, mlp: nn.Module) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = RMSNorm(width), RMSNorm(width)
        self.attention, self.mlp = GroupedAttention(width), mlp

    def forward(self, x: Tensor) -> Any:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Speaker(nn.Module):
    """Embedding, blocks, norm and head; the head may be the embedding's."""

    def __init__(self, width: int = 32, mlp: Any = GatedMLP, *, tied: bool = False) -> None:
        super().__init__()
        self.tokens = nn.Embedding(64, width)
        self.blocks = nn.ModuleList([Block(width, mlp(width)) for _ in range(3)])
        self.norm, self.head = RMSNorm(width), nn.Linear(width, 64, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Any:
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Bare(nn.Module):
    """A transformer of one block without any layer: attention and MLP from bare parameters."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape))

        head = width // heads
        self.E, self.temperature = weight(64, width), nn.Parameter(torch.ones(()))
        self.W_Q, self.W_K, self.W_V = (weight(heads, width, head) for _ in range(3))
        self.W_O, self.W1 = weight(heads, head, width), weight(width, 4 * width)
        self.b1, self.W2, self.U = weight(4 * width), weight(4 * width, width), weight(width, 64)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.E[tokens]
        query, key, value = (
            torch.einsum("btd,hdk->bhtk", x, weight) for weight in (self.W_Q, self.W_K, self.W_V)
        )
        scores = query @ key.transpose(-1, -2) * self.temperature
        mixed = torch.softmax(scores, -1) @ value
        x = x + torch.einsum("bhtk,hkd->btd", mixed, self.W_O)
        x = x + functional.gelu(x @ self.W1 + self.b1) @ self.W2
        return x @ self.U


def tokens() -> Tensor:
    """Return 4 sequences of 8 tokens."""
    return torch.randint(64, (4, 8), generator=torch.Generator().manual_seed(0))
