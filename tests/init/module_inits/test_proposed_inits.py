"""The laws of deep transformers, state spaces, recurrent layers, adapters and starts of 2025."""

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.init.tensor_inits.identity import repeated_identity, tanh_init_
from init_bench.init.tensor_inits.sinusoidal import sinusoidal_
from tests.init import networks
from tests.init.module_inits import language

DEPTHS = (2, 8, 64)


def encoder(layers: int, width: int = 16, device: str | None = None) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True, device=device)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def stds(model: nn.Module, spec: str) -> Any:
    return ib.initialize(model, spec).table.set_index("parameter")["std_nominal"]


@pytest.mark.slow
@pytest.mark.parametrize("layers", DEPTHS)
@pytest.mark.parametrize("width", [64, 1024])
def test_deepnorm_and_sub_ln_scale_values_outputs_and_mlp_by_depth(layers: int, width: int) -> None:
    model = encoder(layers, width, device="meta")
    glorot = stds(model, "xavier_normal")
    for spec, gain in (
        ("deepnorm", (8 * layers) ** -0.25),
        ("sub_ln", math.sqrt(math.log(2 * layers))),
    ):
        found = stds(model, spec)
        for name in ("linear1", "linear2", "self_attn.out_proj"):
            for layer in (0, layers - 1):
                key = f"layers.{layer}.{name}.weight"
                assert found[key] == pytest.approx(gain * glorot[key])
        key = "layers.0.self_attn.in_proj_weight"
        assert found[key] == pytest.approx(glorot[key] * math.sqrt((2 + gain**2) / 3))


@pytest.mark.parametrize("name", ["llama", "qwen", "mixtral"])
def test_deepnorm_leaves_queries_and_keys_as_they_are(name: str) -> None:
    plain = stds(language.MODELS[name](layers=4), "xavier_normal")
    ratio = stds(language.MODELS[name](layers=4), "deepnorm") / plain
    scaled = ratio[ratio.index.str.contains("v_proj|o_proj|mlp.*proj")]
    unscaled = ratio[ratio.index.str.contains("q_proj|k_proj|embed|lm_head|mlp.gate.weight")]
    assert len(scaled) >= 16 and len(unscaled) >= 9
    assert (scaled - 32**-0.25).abs().max() < 1e-9
    assert (unscaled - 1).abs().max() < 1e-9


class PostNorm(nn.Module):
    """LayerNorm(alpha x + f(x)), as DeepNorm asks for."""

    def __init__(self, width: int, factor: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm, self.factor = nn.LayerNorm(width), factor

    def forward(self, x: Tensor) -> Any:
        return self.norm(x * self.factor + self.fc2(torch.relu(self.fc1(x))))


def test_deepnorm_tells_of_its_alpha_where_the_model_has_none() -> None:
    def note(factor: float) -> str:
        blocks = [PostNorm(8, factor) for _ in range(4)]  # two branches are one layer
        report = ib.initialize(nn.Sequential(nn.Linear(3, 8), *blocks), "deepnorm")
        return next(row.note for row in report.rows if "beta" in row.note)

    assert "needs skips times alpha = 1.414" in note(1.5)
    assert "needs" not in note(4**0.25)


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "decoding"), [(2, 8), (64, 2), (6, 6)])
def test_encoder_and_decoder_at_once_have_factors_of_their_own(
    encoding: int, decoding: int
) -> None:
    model = nn.Transformer(64, 2, encoding, decoding, 128, batch_first=True, device="meta")
    glorot = stds(model, "xavier_normal")
    depth = (encoding**4 * decoding) ** (1 / 16)
    decoder_gain = math.log(3 * decoding)
    for spec, gains in (
        ("deepnorm", (0.87 / depth, (12 * decoding) ** -0.25)),
        ("sub_ln", ((decoder_gain * math.log(2 * encoding) / 3) ** 0.5, decoder_gain**0.5)),
    ):
        ratio = stds(model, spec) / glorot
        for role, gain in zip(("encoder", "decoder"), gains, strict=True):
            for name in ("linear1", "linear2", "self_attn.out_proj"):
                assert ratio[f"{role}.layers.0.{name}.weight"] == pytest.approx(gain)
        cross = ratio["decoder.layers.1.multihead_attn.in_proj_weight"]
        assert cross == pytest.approx(math.sqrt((2 + gains[1] ** 2) / 3))


def test_encoder_and_decoder_are_told_their_alphas() -> None:
    report = ib.initialize(nn.Transformer(8, 2, 2, 3, 16, batch_first=True), "deepnorm")
    notes = {row.parameter: row.note for row in report.rows}
    assert f"alpha = {0.81 * 48 ** (1 / 16):.4g}" in notes["encoder.layers.1.linear1.weight"]
    assert f"alpha = {9**0.25:.4g}" in notes["decoder.layers.1.linear1.weight"]


def test_blocks_in_neither_encoder_nor_decoder_are_told() -> None:
    def blocks() -> nn.ModuleList:
        pair = {"fc1": nn.Linear(8, 8), "fc2": nn.Linear(8, 8)}
        return nn.ModuleList([nn.ModuleDict(pair)])

    model = nn.ModuleDict({name: blocks() for name in ("encoder", "decoder", "more")})
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(InitBenchError, match=r"'more\.0\.fc1\.weight' is in neither"):
        ib.initialize(model, "deepnorm")
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("scale", ["0.25", "'depth'", "1e-05"])
@pytest.mark.parametrize(("blocks", "width"), [(1, 8), (2, 1024), (9, 256), (64, 64)])
def test_skipinit_sets_the_factor_it_is_told(blocks: int, width: int, scale: str) -> None:
    model = networks.residual(blocks, width, scalar=True)
    ib.initialize(model, f"skipinit(scale={scale})")
    value = blocks**-0.5 if scale == "'depth'" else float(scale)
    factors = [v for name, v in model.named_parameters() if "alpha" in name]
    assert len(factors) == blocks
    assert all(v.item() == pytest.approx(value) for v in factors)


class Scaled(nn.Module):
    """x + γ fc(x), γ one factor per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.gamma = nn.Linear(8, 8), nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.gamma * self.fc(x)
        return x + inner


def test_skipinit_is_layer_scale_on_factors_per_channel() -> None:
    model = nn.Sequential(Scaled(), Scaled(), nn.Linear(8, 2))
    ib.initialize(model, "skipinit(scale=0.0001)")
    for block in (model[0], model[1]):
        assert torch.allclose(block.get_parameter("gamma"), torch.full((8,), 1e-4))
    with pytest.raises(InitBenchError, match=r"scale must be a number or 'depth', .* got 'wide'"):
        ib.initialize(model, "skipinit(scale='wide')")


class Factored(nn.Module):
    """γ fc2(fc1(x / τ)) + shift, with the last layer and what is no factor first."""

    def __init__(self) -> None:
        super().__init__()
        self.fc2, self.fc1 = nn.Linear(8, 8), nn.Linear(8, 8)
        self.shift, self.tau = nn.Parameter(torch.ones(8)), nn.Parameter(torch.ones(()))
        self.gamma = nn.Parameter(torch.ones(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.gamma.squeeze(1) * self.fc2(torch.relu(self.fc1(x * self.tau)))
        return inner + self.shift


class Stack(nn.Module):
    """A stem that tracing refuses, and branches."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches, self.head = nn.ModuleList(branches), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Any:
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x)


class Untraced(Stack):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) if x.sum() == x.sum() else x


@pytest.mark.parametrize(
    ("kind", "spec"),
    [(Stack, "skipinit(scale=0.25)"), (Untraced, "skipinit(scale=0.25, branches='branches.*')")],
)
def test_skipinit_sets_what_multiplies_a_branch_and_nothing_beside_it(kind: Any, spec: str) -> None:
    model = kind(Factored(), Factored())
    report = ib.initialize(model, spec)
    assert set(report.left) == {f"branches.{i}.{name}" for i in "01" for name in ("shift", "tau")}
    factors = [value for name, value in model.named_parameters() if "gamma" in name]
    assert all(torch.equal(value, torch.full((8, 1), 0.25)) for value in factors)


def test_a_named_branch_ends_in_the_weight_that_runs_last() -> None:
    report = ib.initialize(Untraced(Factored(), Factored()), "gpt2(branches='branches.*')")
    ends = [row.parameter for row in report.rows if "ends one of 2" in row.note]
    assert ends == ["branches.0.fc2.weight", "branches.1.fc2.weight"]


class WithGate(nn.Module):
    """A branch that returns by how much it shall count, too."""

    def __init__(self, *, adds: bool = False) -> None:
        super().__init__()
        self.fc1, self.fc2, self.gate = (nn.Linear(8, 8) for _ in range(3))
        self.adds = adds

    def forward(self, x: Tensor) -> Any:
        y = self.fc2(self.fc1(x).relu())
        return x + y if self.adds else y, self.gate(x).sigmoid()


class Gated(Stack):
    """Adds the first of the two outputs of each branch, as no tracing follows."""

    def forward(self, x: Tensor) -> Any:
        for branch in self.branches if x.sum() == x.sum() else []:
            y, gate = branch(x)
            x = y if branch.adds else x + gate * y
        return self.head(x)


@pytest.mark.parametrize("adds", [False, True])
def test_a_branch_of_two_outputs_ends_in_what_gives_the_first(adds: bool) -> None:
    model = Gated(WithGate(adds=adds), WithGate(adds=adds))
    table = ib.initialize(model, "fixup(branches='branches.*')").table
    notes = table.set_index("parameter")["note"]
    ends = set(notes[notes == "last of its residual branch"].index)
    assert ends == {"branches.0.fc2.weight", "branches.1.fc2.weight"}
    assert notes["branches.0.gate.weight"] == ""


class Blocks(nn.Module):
    """Blocks that add to their input, called as no tracing follows."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Any:
        for block in self.blocks if x.sum() == x.sum() else []:
            x = block(x)
        return x


class TwoBranches(nn.Module):
    """x + γ₁ f(x), then x + γ₂ g(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = nn.Linear(8, 8), nn.Linear(8, 8)
        self.gamma1, self.gamma2 = (nn.Parameter(torch.ones(8)) for _ in range(2))

    def forward(self, x: Tensor) -> Any:
        x = x + self.gamma1 * self.f(x)
        return x + self.gamma2 * self.g(x)


def test_a_named_block_is_the_branches_that_it_adds_to_its_input() -> None:
    model = Blocks(TwoBranches(), TwoBranches())
    report = ib.initialize(model, "skipinit(scale=0.5, branches='blocks.*')")
    assert not report.left
    assert all((v == 0.5).all() for name, v in model.named_parameters() if "gamma" in name)
    notes = [row.note for row in ib.initialize(model, "gpt2(branches='blocks.*')").rows]
    assert notes.count("ends one of 4 residual branches") == 4


def test_named_attention_of_torch_ends_in_its_output() -> None:
    model = Blocks(nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 2))
    notes = ib.initialize(model, "gpt2(branches='blocks.*')").table.set_index("parameter")["note"]
    ends = set(notes[notes.str.contains("ends")].index)
    assert ends == {f"blocks.{i}.out_proj.weight" for i in (0, 1)}


class UntracedBranch(Factored):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() == x.sum() else x


class TwoFactors(Factored):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.shift


@pytest.mark.parametrize(
    ("branch", "words"),
    [
        (
            UntracedBranch,
            r"'branches\.0\.shift' and 'branches\.0\.tau' and .* keep=\['branches\.0\.shift', ",
        ),
        (
            TwoFactors,
            r"by 'branches\.0\.gamma' and 'branches\.0\.shift': .*keep=\['branches\.0\.shi",
        ),
    ],
)
def test_a_factor_that_is_unclear_is_told_with_what_to_pass(branch: Any, words: str) -> None:
    model, spec = Stack(branch()), "skipinit(scale=0.25, branches='branches.*')"
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(InitBenchError, match=words):
        ib.initialize(model, spec)
    assert all(map(torch.equal, before, model.parameters()))
    ib.initialize(model, spec, keep=["*.shift", "*.tau"], overrides={"*.gamma": "ones"})
    assert torch.equal(model.get_parameter("branches.0.gamma"), torch.ones(8, 1))


@pytest.mark.parametrize(
    ("width", "heads"),
    [(64, 4), (96, 3), (128, 1), pytest.param(1024, 1, marks=pytest.mark.slow)],
)
def test_mimetic_products_are_near_the_identity(width: int, heads: int) -> None:
    layer = nn.MultiheadAttention(width, heads)
    ib.initialize(layer, "mimetic")
    query, key, value = layer.in_proj_weight.detach().chunk(3)
    product = layer.out_proj.weight.detach() @ value
    noise = product / 0.4 + torch.eye(width)
    assert abs(noise.square().mean().item() * width - 1) < 5 * math.sqrt(2) / width + 0.05
    assert noise.diagonal().mean().abs() < 5 / width
    head = width // heads
    for q, k in zip(query.chunk(heads), key.chunk(heads), strict=True):
        sizes = torch.linalg.svdvals(q.T @ k)[:head]
        assert torch.allclose(torch.linalg.svdvals(q) ** 2, sizes, rtol=1e-3)
        assert torch.trace(q.T @ k) > 0


@pytest.mark.parametrize("layers", [2, pytest.param(64, marks=pytest.mark.slow)])
def test_mimetic_draws_every_layer_by_its_law_alone(layers: int) -> None:
    model: Any = encoder(layers, 64)
    ib.initialize(model, "mimetic")
    firsts = []
    for layer in model.layers:
        attention = layer.self_attn
        value = attention.in_proj_weight.detach()[128:]
        product = attention.out_proj.weight.detach() @ value
        # The mean of 64 draws with std 0.4 / 8 around -0.4.
        assert product.diagonal().mean().item() == pytest.approx(-0.4, abs=6 * 0.4 / 64)
        firsts.append(value[0, 0].item())
    assert len(set(firsts)) == layers


def test_mimetic_takes_gpt2_and_refuses_grouped_queries() -> None:
    ib.initialize(language.gpt2(), "mimetic")
    with pytest.raises(InitBenchError, match=r"as many heads each, .*keep=\['model.layers.0"):
        ib.initialize(language.llama(), "mimetic")
    ib.initialize(language.llama(num_key_value_heads=4), "mimetic")


class DyT(nn.Module):
    """Stand in for a norm: γ tanh(αx) + β."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 0.5))
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.alpha * x) * self.weight + self.bias


class DyTBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(width, width), DyT(width)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.norm(self.fc(x))
        return x + inner


def test_a_dyt_is_a_norm_and_no_nonlinearity() -> None:
    model = nn.Sequential(nn.Linear(5, 8), DyTBlock(8), DyTBlock(8), nn.Linear(8, 3))
    rows = {row.parameter: row for row in ib.initialize(model, "zero_gamma").rows}
    assert rows["1.fc.weight"].nonlinearity == "identity"
    gammas = [v for name, v in model.named_parameters() if name.endswith("norm.weight")]
    assert len(gammas) == 2 and not any(v.any() for v in gammas)
    for value in model.parameters():
        value.data.fill_(0.3)
    ib.initialize(model, "small")
    state = model.state_dict()
    assert state["1.norm.alpha"].item() == 0.5
    assert state["1.norm.weight"].eq(1).all() and not state["1.norm.bias"].any()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("width", [64, 200, pytest.param(1024, marks=pytest.mark.slow)])
def test_recurrent_matrices_are_orthogonal_per_gate(kind: Any, width: int) -> None:
    layer = kind(3, width)
    ib.initialize(layer, "recurrent")
    for name, value in layer.named_parameters():
        if "weight_hh" in name:
            for gate in value.detach().view(-1, width, width):
                assert torch.allclose(gate @ gate.T, torch.eye(width), atol=1e-5)
        elif "bias" in name:
            open_gates = "LSTM" in kind.__name__ and "bias_ih" in name
            assert value.sum().item() == (width if open_gates else 0)


@given(longest=st.integers(3, 2000), seed=st.integers(0, 5))
def test_chrono_biases_cover_the_steps_to_remember(longest: int, seed: int) -> None:
    lstm: Any = nn.LSTM(3, 40)
    gru: Any = nn.GRU(3, 40)
    for layer in (lstm, gru):
        ib.initialize(layer, f"recurrent(longest={longest})", seed=seed)
    gate_in, forget, cell, out = lstm.bias_ih_l0.detach().chunk(4)
    for memory in (forget, gru.bias_ih_l0.detach().chunk(3)[1]):
        assert memory.min() >= 0 and memory.max() <= math.log(longest - 1) + 1e-6
    assert torch.equal(gate_in, -forget) and not cell.any() and not out.any()


def test_recurrent_and_mamba_say_what_they_did_not_find() -> None:
    for spec, words in (("recurrent", "no nn.LSTM"), ("mamba", "no parameter called A_log")):
        with pytest.raises(InitBenchError, match=words):
            ib.initialize(networks.plain(), spec)


@pytest.mark.parametrize(
    ("model", "spec", "words"),
    [
        (nn.LSTM(3, 4), "recurrent(longest=2)", "longest must be an integer of at least 3, got 2"),
        (nn.LSTM(3, 4), "recurrent(longest='a')", "longest must be an integer of at least 3"),
        (nn.Linear(3, 4), "moments(variance=0)", "variance .* must be above 0, got 0"),
        (nn.Linear(3, 4), "moments(variance='a')", "variance must be a finite number"),
        (nn.MultiheadAttention(8, 2), "mimetic(heads=3)", "must divide the width 8 .* got 3"),
    ],
)
def test_a_value_that_cannot_be_is_refused(model: nn.Module, spec: str, words: str) -> None:
    with pytest.raises(InitBenchError, match=words):
        ib.initialize(model, spec)


@pytest.mark.parametrize("spec", ["fan_in", "nanochat", "normalized"])
def test_a_layer_without_inputs_is_no_obstacle(spec: str) -> None:
    empty = nn.Linear(1, 3)
    empty.weight = nn.Parameter(torch.empty(3, 0))
    model = nn.ModuleList([encoder(1), empty, nn.Linear(16, 16)])
    ib.initialize(model, spec)
    assert all(value.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
def test_mamba_fills_transformers_models_by_its_law(kind: str) -> None:
    from transformers import Mamba2Config, Mamba2ForCausalLM, MambaConfig, MambaForCausalLM

    sizes: dict[str, Any] = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 4}
    model: Any = (
        MambaForCausalLM(MambaConfig(**sizes, state_size=4))
        if kind == "mamba"
        else Mamba2ForCausalLM(
            Mamba2Config(**sizes, state_size=4, num_heads=8, head_dim=8, n_groups=1)
        )
    )
    for value in model.parameters():
        value.data.fill_(0.3)
    report = ib.initialize(model, "mamba")
    assert not report.left
    for name, value in model.named_parameters():
        if name.endswith("A_log") and kind == "mamba":
            assert torch.allclose(value.exp(), torch.arange(1.0, 5.0).expand_as(value))
        elif name.endswith("A_log"):
            assert value.exp().min() >= 1 and value.exp().max() <= 16
        elif name.endswith(".D"):
            assert value.eq(1).all()
        elif name.endswith(("dt_bias", "dt_proj.bias")):
            steps = nn.functional.softplus(value)
            assert steps.min() > 0.00099 and steps.max() < 0.101
    shares = [row.note for row in report.rows if row.parameter.endswith("out_proj.weight")]
    assert shares == ["one of 4: over √4"] * 4
    table = ib.audit(model).table.set_index("parameter")
    own = table[table.index.str.contains(r"A_log|dt_bias|dt_proj.bias|\.D$")]
    assert set(own["state"]) == {"fresh"}
    assert set(own["looks_like"]) == {"mamba", "ones"}


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "width"), [(64, 64), (2, 1024)])
def test_mamba_shares_the_stream_among_its_layers_at_any_size(layers: int, width: int) -> None:
    model = networks.state_space(layers, width)
    report = ib.initialize(model, "mamba", seed=0)
    shares = [row.note for row in report.rows if row.parameter.endswith("out_proj.weight")]
    assert shares == [f"one of {layers}: over √{layers}"] * layers
    for layer in (1, layers):
        mixer: Any = model[layer]
        assert torch.allclose(mixer.A_log.exp(), torch.arange(1.0, 5.0).expand(width, 4))
        assert mixer.D.eq(1).all()
        weight = mixer.out_proj.weight.detach()
        largest = (weight.shape[1] * layers) ** -0.5  # torch's own ±1/√fan_in, over √layers
        assert 0.95 * largest < weight.abs().max() <= 1.0001 * largest


@pytest.mark.slow
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_matrices_are_orthogonal_in_each_of_many_layers(kind: Any) -> None:
    layer = kind(3, 64, num_layers=64)
    ib.initialize(layer, "recurrent")
    for name, value in layer.named_parameters():
        if "weight_hh" in name:
            for gate in value.detach().view(-1, 64, 64):
                assert torch.allclose(gate @ gate.T, torch.eye(64), atol=1e-4)


@given(rows=st.integers(3, 90), columns=st.integers(3, 90))
@example(rows=64, columns=1024)
@example(rows=1024, columns=64)
def test_sinusoidal_weights_have_glorots_variance_and_balanced_rows(
    rows: int, columns: int
) -> None:
    weight = sinusoidal_(torch.empty(rows, columns))
    assert weight.square().mean().item() == pytest.approx(2 / (rows + columns), rel=1e-4)
    balanced = [i for i in range(1, rows + 1) if i % columns]  # whole periods of i
    assert weight[[i - 1 for i in balanced]].sum(dim=1).abs().max() < 1e-4
    assert torch.equal(weight, sinusoidal_(torch.empty(rows, columns)))


@pytest.mark.parametrize("width", [64, 256, 1024])
def test_tanh_init_is_an_identity_with_noise_and_keeps_deep_signals(width: int) -> None:
    weight = tanh_init_(torch.empty(width, width), generator=torch.Generator().manual_seed(0))
    noise = weight - torch.eye(width)
    assert abs(noise.square().mean().item() * width / 0.085**2 - 1) < 5 * math.sqrt(2) / width
    tall = tanh_init_(torch.empty(2 * width, width), noise=0)
    assert torch.equal(tall, torch.eye(width).repeat(2, 1))


@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
@example(rows=64, columns=1024)
@example(rows=1024, columns=64)
def test_a_repeated_identity_has_a_one_for_each_of_the_longer_side(rows: int, columns: int) -> None:
    matrix = repeated_identity(rows, columns)
    assert matrix.sum() == max(rows, columns)
    longer = 0 if rows < columns else 1
    assert (matrix.sum(dim=longer) == 1).all()


@pytest.mark.parametrize(("blocks", "width"), [(2, 1024), (8, 8), (64, 64)])
def test_idinit_carries_its_input_through_any_depth(blocks: int, width: int) -> None:
    model = networks.residual(blocks, width)
    ib.initialize(model, "idinit")
    x = torch.rand(4, width)
    assert torch.allclose(model[1:-1](x), x * (1 + 1e-6) ** blocks, rtol=1e-4)
    convolution = nn.Conv2d(4, 4 * 9, 3, padding=1, bias=False)
    ib.initialize(convolution, "idinit")
    image = torch.rand(1, 4, 6, 6)
    shifted = convolution(image)[0, 16:20]  # the fifth of nine positions is the center
    assert torch.equal(shifted, image[0])


@pytest.mark.parametrize("start", ["default", "gaussian", "pissa", "olora", "orthogonal"])
def test_lora_starts_keep_the_merged_weight_and_move_nothing_else(start: str) -> None:
    model = networks.adapted()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = ib.initialize(model, f"lora(start={start!r})")
    layer: Any = model[0]
    merged = layer.get_base_layer().weight + layer.get_delta_weight("default")
    assert torch.allclose(merged, before["0.base_layer.weight"], atol=1e-4)
    b_is_zero = not layer.lora_B["default"].weight.any()
    assert b_is_zero == (start in ("default", "gaussian"))
    notes = {row.parameter: row.note for row in report.rows}
    assert "r 4, scale 2; W + s B A moved by" in notes["0.lora_A.default.weight"]
    assert report.left.keys() >= {"6.weight", "6.bias", "1.weight"}
    for name in report.left:
        assert torch.equal(model.state_dict()[name], before[name])


def test_b_of_zeros_is_no_fault_of_an_adapter() -> None:
    model = networks.adapted()
    ib.initialize(model, "lora")
    table: Any = ib.audit(model).table.set_index("parameter")
    assert table.loc["0.lora_B.default.weight", ["looks_like", "state"]].tolist() == [
        "zeros",
        "fresh",
    ]
    inputs, targets = networks.batch()
    diagnosis: Any = ib.diagnose(model, inputs, targets)
    weights = diagnosis.weights.set_index("parameter")
    assert weights.loc["0.lora_B.default.weight", "fault"] == ""


def test_lora_without_an_adapter_is_refused() -> None:
    with pytest.raises(InitBenchError, match=r"no adapter of PEFT: .*get_peft_model"):
        ib.initialize(networks.plain(), "lora")


def test_lora_starts_are_arms_of_a_comparison() -> None:
    found = ib.compare(
        "lora",
        "lora(start='pissa')",
        model="tests.init.networks:adapted_classifier",
        seeds=2,
        steps=3,
        device="cpu",
        progress=False,
    )
    assert list(found.verdicts) == ["lora vs lora(start='pissa')"]
