"""Small language models that recipes are tried on, transformers' own and one that is traced."""

from typing import Any

import torch
from torch import Tensor, nn

SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def llama(layers: int = 3, **given: Any) -> Any:
    """Return a Llama: gated MLP, grouped queries, RMSNorm, a head of its own."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**(SIZES | {"num_hidden_layers": layers} | given)))


def qwen(layers: int = 3) -> Any:
    """Return a Qwen 3, whose embedding is the head too."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    sizes = SIZES | {"num_hidden_layers": layers, "head_dim": 8, "tie_word_embeddings": True}
    return Qwen3ForCausalLM(Qwen3Config(**sizes))


def mixtral(layers: int = 3) -> Any:
    """Return a Mixtral: routers and experts."""
    from transformers import MixtralConfig, MixtralForCausalLM

    sizes = SIZES | {"num_hidden_layers": layers, "num_local_experts": 4}
    return MixtralForCausalLM(MixtralConfig(**sizes))


def gpt2(layers: int = 3) -> Any:
    """Return a GPT-2: packed projections, stored transposed, and a tied head."""
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": 96, "n_embd": 32, "n_layer": layers, "n_head": 4, "n_positions": 16}
    return GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0, **sizes))


MODELS = {"llama": llama, "qwen": qwen, "mixtral": mixtral, "gpt2": gpt2}
OUTPUTS = ("o_proj.weight", "down_proj.weight", "experts.down_proj", "c_proj.weight")
"""How the names of the weights that end a branch end."""


class Block(nn.Module):
    """A block that torch.fx traces: mixing of positions, then a gated MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.mix_in, self.mix_out = nn.Linear(width, width), nn.Linear(width, width)
        self.gate, self.up, self.down = (
            nn.Linear(*shape)
            for shape in ((width, 2 * width), (width, 2 * width), (2 * width, width))
        )

    def forward(self, x: Tensor) -> Any:
        x = x + self.mix_out(torch.tanh(self.mix_in(self.norm1(x))))
        inner = self.norm2(x)
        gated: Tensor = nn.functional.silu(self.gate(inner)) * self.up(inner)
        return x + self.down(gated)


def traced(layers: int, width: int, device: str = "cpu") -> nn.Sequential:
    """Return embedding, blocks, norm and head."""
    with torch.device(device):
        blocks = [Block(width) for _ in range(layers)]
        return nn.Sequential(
            nn.Embedding(50, width), *blocks, nn.RMSNorm(width), nn.Linear(width, 50)
        )
