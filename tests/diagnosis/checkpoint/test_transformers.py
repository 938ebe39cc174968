"""What loading left out is named, on small models of transformers, and nothing else."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.hooks.random_streams import stream

transformers = pytest.importorskip("transformers")

WIDTH, VOCABULARY = 128, 300


def gpt2() -> tuple[Any, Any]:
    config = transformers.GPT2Config(
        n_embd=WIDTH,
        n_layer=2,
        n_head=4,
        n_positions=64,
        vocab_size=VOCABULARY,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel, config


SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "vocab_size": VOCABULARY,
}
"""Of BERT and Llama, which call them alike."""


def bert() -> tuple[Any, Any]:
    return transformers.BertForMaskedLM, transformers.BertConfig(
        max_position_embeddings=64, **SIZES
    )


def llama() -> tuple[Any, Any]:
    return transformers.LlamaForCausalLM, transformers.LlamaConfig(num_key_value_heads=2, **SIZES)


MODELS = {"gpt2": gpt2, "bert": bert, "llama": llama}


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def noise(values: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(values.shape, generator=generator)


def as_if_trained(model: nn.Module, seed: int) -> dict[str, Tensor]:
    """Return the state dict, tied names once, with noise of a third of each std on every value."""
    own = {name for name, _ in model.named_parameters()}
    return {
        name: value
        + (value.std() + 0.02) / 3 * torch.randn(value.shape, generator=stream(seed, name))
        for name, value in model.state_dict().items()
        if name in own
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("model", MODELS)
def test_the_audit_names_exactly_the_keys_that_were_dropped(model: str, seed: int) -> None:
    kind, config = MODELS[model]()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        trained = as_if_trained(kind(config), seed)
    dropped = set(random.Random(seed).sample([n for n, v in trained.items() if v.numel() >= 64], 5))
    # a second token type alone is too small to be told from chance
    dropped -= {"bert.embeddings.token_type_embeddings.weight"}
    kept = {name: value for name, value in trained.items() if name not in dropped}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        loaded = kind.from_pretrained(None, config=config, state_dict=kept)
    audit = ib.audit(loaded, reference=kept)
    assert set(audit.fresh) == dropped
    assert audit.table.set_index("parameter").loc[sorted(dropped), "chance"].max() <= 0.05
    assert audit.difference is not None
    states = audit.difference.table.set_index("parameter")["state"]
    assert set(states[states == "added"].index) >= dropped
    assert (states[list(kept)] == "equal").all()


@pytest.mark.parametrize("model", MODELS)
def test_every_weight_of_a_new_model_is_as_initialized(model: str) -> None:
    kind, config = MODELS[model]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        audit = ib.audit(kind(config))
    assert set(audit.table["state"]) <= {"fresh", "tied", "unsure", "not judged"}
    assert audit.summary.startswith("All ")
    tied = audit.table[audit.table["state"] == "tied"]
    assert (tied["tied_to"] != "").all() and bool(len(tied)) == config.tie_word_embeddings


def test_training_ends_what_looks_like_a_fresh_draw() -> None:
    kind, config = gpt2()
    model = kind(config)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    tokens = torch.randint(VOCABULARY, (4, 64), generator=stream(0, "tokens"))
    for _ in range(4):
        optimizer.zero_grad()
        model(tokens, labels=tokens).loss.backward()
        optimizer.step()
    audit = ib.audit(model)
    norms = [name for name in audit.fresh if "ln_" in name or name.endswith("bias")]
    assert not norms and "transformer.wte.weight" not in audit.fresh


def test_a_second_init_replaces_the_weights_and_leaves_the_constants() -> None:
    kind, config = llama()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, other = kind(config), kind(config)
    difference = ib.diff(model, other)
    states = difference.table.set_index("parameter")["state"]
    assert set(states) == {"replaced", "equal"}
    assert all(("norm" in str(name)) == (state == "equal") for name, state in states.items())
