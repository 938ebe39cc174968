"""Diagnose small models of Hugging Face's transformers as that library draws them.

``python -m benchmarks.transformers_zoo``. A verdict that something is bad is a false alarm: models
are trained from these starts. Sizes are small; std 0.02 and all else is as the library has it.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
import transformers
from torch import Tensor

from benchmarks.interleaved_timing import save
from init_bench.diagnosis.pipeline import diagnose

SAMPLES, TOKENS, WORDS, PIXELS = 8, 32, 200, 32

TEXT = {
    "vocab_size": WORDS,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
"""Sizes of most models of text, by the names that most configurations use."""

GROUPED = {**TEXT, "num_key_value_heads": 2}
IMAGE = {
    **{key: TEXT[key] for key in TEXT if key not in ("vocab_size", "max_position_embeddings")},
    "image_size": PIXELS,
    "patch_size": 8,
}
OLD = {"vocab_size": WORDS}
HALF = {"layers": 2, "attention_heads": 4, "ffn_dim": 128}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
CONVOLUTIONAL = {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 2, 1]}

Inputs = dict[str, Tensor]


def tokens() -> Inputs:
    """Return random words, and themselves as labels."""
    words = torch.randint(4, WORDS, (SAMPLES, TOKENS), generator=torch.Generator().manual_seed(0))
    return {"input_ids": words, "labels": words}


def labeled_texts() -> Inputs:
    return {"input_ids": tokens()["input_ids"], "labels": torch.arange(SAMPLES) % 2}


def images() -> Inputs:
    noise = torch.randn(SAMPLES, 3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(0))
    return {"pixel_values": noise, "labels": torch.arange(SAMPLES) % 2}


def spectra() -> Inputs:
    noise = torch.randn(SAMPLES, 80, 2 * TOKENS, generator=torch.Generator().manual_seed(0))
    return {"input_features": noise, "labels": tokens()["input_ids"]}


def sounds() -> Inputs:
    noise = torch.randn(SAMPLES, 8000, generator=torch.Generator().manual_seed(0))
    return {"input_values": noise, "labels": torch.arange(SAMPLES) % 2}


ENCODER_DECODER = {
    **{f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in HALF.items()},
    "vocab_size": WORDS,
    "d_model": 64,
}
WHISPER = {**ENCODER_DECODER, "max_source_positions": TOKENS, **SPECIAL}
T5 = {**OLD, "d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 4, "num_heads": 4, **SPECIAL}
SWIN = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4, "patch_size": 2}
SOUND = {"conv_dim": (32, 32, 32), "conv_stride": (5, 4, 4), "conv_kernel": (10, 8, 8)}

Entry = tuple[str, str, dict[str, Any], Callable[[], Inputs]]
MODELS: dict[str, Entry] = {
    "GPT-2": ("GPT2", "LMHeadModel", {**OLD, "n_embd": 64, "n_layer": 4, "n_head": 4}, tokens),
    "GPT-NeoX": ("GPTNeoX", "ForCausalLM", TEXT, tokens),
    "OPT": ("OPT", "ForCausalLM", {**TEXT, "ffn_dim": 128, "word_embed_proj_dim": 64}, tokens),
    "BLOOM": ("Bloom", "ForCausalLM", {**TEXT, "n_layer": 4, "n_head": 4}, tokens),
    "Falcon": ("Falcon", "ForCausalLM", TEXT, tokens),
    "Llama": ("Llama", "ForCausalLM", GROUPED, tokens),
    "Mistral": ("Mistral", "ForCausalLM", GROUPED, tokens),
    "Mixtral": ("Mixtral", "ForCausalLM", {**GROUPED, "num_local_experts": 4}, tokens),
    "Qwen2": ("Qwen2", "ForCausalLM", GROUPED, tokens),
    "Qwen3": ("Qwen3", "ForCausalLM", {**GROUPED, "head_dim": 16}, tokens),
    "Gemma": ("Gemma", "ForCausalLM", {**GROUPED, "head_dim": 16}, tokens),
    "Phi": ("Phi", "ForCausalLM", TEXT, tokens),
    "OLMo-2": ("Olmo2", "ForCausalLM", GROUPED, tokens),
    "StableLM": ("StableLm", "ForCausalLM", GROUPED, tokens),
    "Mamba": ("Mamba", "ForCausalLM", {**OLD, "hidden_size": 64, "num_hidden_layers": 4}, tokens),
    "BERT": ("Bert", "ForMaskedLM", TEXT, tokens),
    "RoBERTa": ("Roberta", "ForMaskedLM", TEXT, tokens),
    "DistilBERT": (
        *("DistilBert", "ForMaskedLM"),
        {**OLD, "dim": 64, "hidden_dim": 128, "n_layers": 4, "n_heads": 4},
        tokens,
    ),
    "ELECTRA": (
        *("Electra", "ForSequenceClassification"),
        {**TEXT, "embedding_size": 64},
        labeled_texts,
    ),
    "ALBERT": ("Albert", "ForMaskedLM", {**TEXT, "embedding_size": 64}, tokens),
    "T5": ("T5", "ForConditionalGeneration", T5, tokens),
    "BART": ("Bart", "ForConditionalGeneration", ENCODER_DECODER, tokens),
    "Whisper": ("Whisper", "ForConditionalGeneration", WHISPER, spectra),
    "ViT": ("ViT", "ForImageClassification", IMAGE, images),
    "DeiT": ("DeiT", "ForImageClassification", IMAGE, images),
    "BEiT": ("Beit", "ForImageClassification", IMAGE, images),
    "Swin": ("Swin", "ForImageClassification", {"image_size": PIXELS, **SWIN}, images),
    "ConvNeXt": ("ConvNext", "ForImageClassification", CONVOLUTIONAL, images),
    "Wav2Vec2": (
        *("Wav2Vec2", "ForSequenceClassification"),
        {**TEXT, **SOUND, "num_feat_extract_layers": 3},
        sounds,
    ),
}
"""By name: the configuration's prefix, the model's suffix, sizes, and what the model takes."""


def diagnosed(name: str) -> dict[str, object]:
    """Return the row of one model: its size and all that is found bad."""
    prefix, suffix, sizes, made = MODELS[name]
    inputs = made()
    try:
        torch.manual_seed(0)
        config = getattr(transformers, f"{prefix}Config")(**sizes)
        model = getattr(transformers, f"{prefix}{suffix}")(config)
        started = time.perf_counter()
        found = diagnose(model, inputs, loss_fn=lambda output, targets: output.loss)
    except Exception as error:
        return {"model": name, "bad": "error", "why": f"{type(error).__name__}: {error}"[:300]}
    bad = [f"{verdict} at {layer}" for verdict, layer in found.bad[["verdict", "layer"]].to_numpy()]
    watched = found.verdicts.loc[found.verdicts["severity"] == "watch", "verdict"].unique()
    return {
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "layers": found.profile["layer"].nunique(),
        "seconds": round(time.perf_counter() - started, 1),
        "loss": round(found.loss, 3),
        "bad": "; ".join(bad),
        "watch": ", ".join(watched),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="models to diagnose (default: all)")
    asked = parser.parse_args().models
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    rows = []
    for name in asked or MODELS:
        rows.append(diagnosed(name))
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    alarms = table[(table["bad"] != "")]
    print(f"{len(table)} models, {len(alarms)} with an error or a bad verdict")
    if not asked:
        print(save(table.assign(transformers=transformers.__version__), "transformers_zoo"))


if __name__ == "__main__":
    main()
