"""Layers that a user wrote: what they store is not what they multiply by, or no class says it."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Product(nn.Module):
    """x @ W, the weight stored as (in, out)."""

    def __init__(self, n_in: int, n_out: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class ScaledWhenUsed(nn.Module):
    """N(0, 1) stored, divided by √fan_in when used."""

    def __init__(self, n_in: int, n_out: int, factor: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in))
        self.factor = factor / math.sqrt(n_in)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.factor)


class ScaledInput(nn.Module):
    """N(0, 1) stored in a layer of torch's, whose input is divided by √fan_in."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.linear, self.factor = nn.Linear(n_in, n_out, bias=False), 1 / math.sqrt(n_in)
        nn.init.normal_(self.linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x * self.factor)
        return out


class UnitRows(nn.Linear):
    """Rows of length 1 when used, whatever is stored."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, F.normalize(self.weight), self.bias)


class Int8(nn.Module):
    """A base of int8 with a scale for each row."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        weight = torch.randn(n_out, n_in) / math.sqrt(n_in)
        scale = weight.abs().amax(1, keepdim=True) / 127
        self.weight = nn.Parameter((weight / scale).round().to(torch.int8), requires_grad=False)
        self.scale = nn.Parameter(scale)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype) * self.scale)


class FourBit(nn.Module):
    """Two codes in a byte, looked up in a table."""

    packed: Tensor
    codes: Tensor

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.shape = (n_out, n_in)
        self.register_buffer("packed", torch.randint(0, 256, (n_out * n_in // 2,)).byte())
        self.register_buffer("codes", torch.linspace(-1, 1, 16))
        self.scale = nn.Parameter(torch.full((n_out, 1), 1.6 / math.sqrt(n_in)))

    def forward(self, x: Tensor) -> Tensor:
        halves = torch.stack([self.packed // 16, self.packed % 16], -1).flatten()
        return x @ (self.codes[halves.long()].view(self.shape) * self.scale).t()


class _Unseen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, scale):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(weight, scale)
        values = weight.numpy().astype("float32") * scale.detach().numpy()
        return torch.from_numpy(x.detach().numpy() @ values.T)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        weight, scale = ctx.saved_tensors
        return gradient @ (weight.float() * scale), None, None


class UnseenKernel(Int8):
    """The product runs outside torch, as in a library's own kernel; its scale is frozen."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out)
        self.scale.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        product: Tensor = _Unseen.apply(x, self.weight, self.scale)
        return product


class Sine(nn.Module):
    """SIREN's layer: the weight is as much smaller as the frequency is larger."""

    def __init__(self, n_in: int, n_out: int, frequency: float, *, first: bool = False) -> None:
        super().__init__()
        self.linear, self.frequency = nn.Linear(n_in, n_out), frequency
        bound = 1 / n_in if first else math.sqrt(6 / n_in) / frequency
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * self.linear(x))


class ByHead(nn.Module):
    """Attention with weights (head, in, out) inside einsum."""

    def __init__(self, heads: int, n: int, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Parameter(torch.randn(heads, n, size) / math.sqrt(n)) for _ in range(3)
        )
        self.out = nn.Parameter(torch.randn(heads, size, n) / math.sqrt(heads * size))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (torch.einsum("btn,hnd->bhtd", x, w) for w in (self.query, self.key, self.value))
        mixed = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        return torch.einsum("bhtd,hdn->btn", mixed, self.out)


class ChosenExperts(nn.Module):
    """Weights (expert, out, in); the data choose which are used."""

    def __init__(self, experts: int, n: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(experts, hidden, n) * math.sqrt(2 / n))
        self.down = nn.Parameter(torch.randn(experts, n, hidden) / math.sqrt(hidden))

    def forward(self, x: Tensor) -> Tensor:
        chosen, output = x[..., 0] > 0, torch.zeros_like(x)
        for expert in chosen.long().unique():  # type: ignore[no-untyped-call]
            if expert >= len(self.up):
                continue
            rows = chosen == expert
            output[rows] = F.linear(F.relu(F.linear(x[rows], self.up[expert])), self.down[expert])
        return output


class StateSpace(nn.Module):
    """Parameters of roles that nobody gave: A_log, dt_bias, D, a temperature."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, n) / math.sqrt(n))
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, 5.0).repeat(n, 1)))
        self.dt_bias, self.D = nn.Parameter(torch.full((n,), -3.0)), nn.Parameter(torch.ones(n))
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        step = F.softplus(x @ self.weight + self.dt_bias)
        decay = torch.exp(-torch.exp(self.A_log) * step.unsqueeze(-1)).mean(-1)
        return (x * decay + self.D * x) * self.temperature


class Centered(nn.Module):
    """Divides by the RMS and multiplies by (1 + weight); its name says nothing."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (1 + self.weight)


class SquashInstead(nn.Module):
    """Dynamic tanh: stands where a normalization stood, and is none."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.alpha, self.weight = nn.Parameter(torch.full((1,), 0.5)), nn.Parameter(torch.ones(n))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.alpha * x) * self.weight


class NormedEmbeddingHead(nn.Module):
    """A plain product, whatever its name."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / math.sqrt(n_in))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class Lookup(nn.Module):
    """A table of rows of N(0, 1), looked up; its name says nothing."""

    def __init__(self, number: int, n: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(number, n))

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.rows)
