"""Measure how concentrated the weights of an attention are, written by hand or by torch."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

SAMPLES = 4
"""Samples whose attention torch's own functions are asked for."""


MOST_WEIGHTS = 2**24
"""Attention weights that are computed to measure them; of more nothing is said."""


@dataclass(frozen=True)
class AttentionCall:
    """Describe how concentrated one attention is.

    Attributes:
        layer: qualified name of the module that computes it.
        largest: mean over queries of the largest weight.
        entropy: mean over queries of the weights' entropy, divided by that of equal weights.
    """

    layer: str
    largest: float
    entropy: float


class AttentionCalls:
    """Note attentions among the functions that a model calls: softmaxes that weigh a sum."""

    def __init__(self) -> None:
        self.calls: list[AttentionCall] = []
        self.softmaxes: Any = WeakIdKeyDictionary()

    def observe(
        self,
        layer: str,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        output: object,
    ) -> None:
        """Note a softmax, and once a product sums with its values, that it was an attention."""
        if name == "softmax" and isinstance(output, Tensor) and output.dim() > 2:
            self.softmaxes[output] = True
        elif name in ("matmul", "__matmul__", "bmm", "einsum"):
            for weights in args:
                if isinstance(weights, Tensor) and self.softmaxes.pop(weights, False):
                    self.note(layer, weights)
        elif name == "scaled_dot_product_attention":
            with suppress(RuntimeError, TypeError, ValueError):  # a mask of an unusual shape
                self.note(layer, _weights(*args, **kwargs))

    def note(self, layer: str, weights: Tensor | None) -> None:
        """Note the weights (…, queries, keys) of an attention."""
        found = None if weights is None else concentration(weights)
        if found is not None:
            self.calls.append(AttentionCall(layer, *found))

    def note_module(
        self, layer: str, module: nn.MultiheadAttention, args: tuple[Any, ...], kwargs: Any
    ) -> None:
        """Note the attention that torch's module computes, which shows no softmax."""
        names = ("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        given |= {"need_weights": True, "average_attn_weights": False}
        masks = [given.get(name) for name in ("key_padding_mask", "attn_mask")]
        if given["query"].dim() == 3 and all(mask is None or mask.dim() == 2 for mask in masks):
            batch = 0 if module.batch_first else 1
            first = min(SAMPLES, given["query"].shape[batch])
            given |= {name: given[name].narrow(batch, 0, first) for name in names[:3]}
            if masks[0] is not None:
                given["key_padding_mask"] = masks[0][:first]
        heads = module.num_heads * given["query"].numel() // given["query"].shape[-1]
        if heads * max(given["key"].shape[:-1]) <= MOST_WEIGHTS:
            with suppress(RuntimeError, TypeError, ValueError, AssertionError):
                self.note(layer, module.forward(**given)[1])


def concentration(weights: Tensor) -> tuple[float, float] | None:
    """Return the mean largest weight and the mean relative entropy of attention weights.

    Queries that see a single key, as the first of a causal attention, are left out; ``None`` where
    no other is left.

    Shapes:
        weights: ``(*heads, queries, keys)``, each row sums to 1.

    Example:
        >>> concentration(torch.full((2, 3, 4), 0.25))
        (0.25, 1.0)
        >>> concentration(torch.eye(4).expand(2, 4, 4)) is None
        True
    """
    rows = weights.detach().float().flatten(0, -3)
    keys = (rows > 0).any(0).sum(-1)
    rows = rows[:, keys > 1]
    if not rows.numel() or not rows.isfinite().all():
        return None
    entropy = -torch.special.xlogy(rows, rows).sum(-1) / keys[keys > 1].float().log()
    return rows.amax(-1).mean().item(), entropy.mean().item()


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """Return the weights that ``scaled_dot_product_attention`` gives the first samples."""
    if query.dim() < 3:
        return None
    if attn_mask is not None and attn_mask.dim() > 2 and len(attn_mask) == len(query):
        attn_mask = attn_mask[:SAMPLES]
    query, key = query[:SAMPLES].float(), key[:SAMPLES].float()
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    if query.numel() // query.shape[-1] * key.shape[-2] > MOST_WEIGHTS:
        return None
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = query @ key.transpose(-1, -2) * factor
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    if attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        logits = logits.masked_fill(~attn_mask, -math.inf) if is_bool else logits + attn_mask
    return logits.softmax(-1)
