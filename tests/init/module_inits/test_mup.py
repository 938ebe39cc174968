"""The laws of μP and CompleteP, over widths and depths and in every guise of a model."""

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from init_bench.diagnosis.recognition import looks_like
from init_bench.errors import InitBenchError
from init_bench.init import InitSpec, Report, initialize
from init_bench.init.whole_model.parameters import named_parameters
from init_bench.init.whole_model.rate_factors import Factors
from tests.init import networks

WIDTHS = st.sampled_from([64, 128, 256, 512, 1024])
DEPTHS = st.sampled_from([2, 4, 8, 16, 32, 64])


def perceptron(width: int, depth: int = 3) -> nn.Sequential:
    hidden = [part for _ in range(depth - 2) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), *hidden, nn.Linear(width, 3))


class Attention(nn.Module):
    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads = width // head

    def forward(self, x: Tensor) -> Tensor:
        samples, length, width = x.shape
        packed = self.qkv(x).view(samples, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = packed.unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(samples, length, width))
        return out


class Block(nn.Module):
    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.ln1, self.attn, self.ln2 = (
            nn.LayerNorm(width),
            Attention(width, 8),
            nn.LayerNorm(width),
        )
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = x + self.scale * self.attn(self.ln1(x))
        return first + self.scale * self.mlp(self.ln2(first))  # type: ignore[no-any-return]


class Speaker(nn.Module):
    """A GPT: embedding, blocks, readout, with the multipliers that the laws ask of a model."""

    def __init__(
        self, width: int, depth: int = 2, *, scale: float = 1, output: float = 1, tied: bool = False
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, width)
        self.positions = nn.Parameter(torch.zeros(1, 5, width))
        self.blocks = nn.Sequential(*(Block(width, scale) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 20, bias=False)
        self.output = output
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.tokens(tokens) + self.positions))
        return self.head(x) * self.output  # type: ignore[no-any-return]


def stds(report: Report) -> dict[str, float]:
    return {row.parameter: row.std_nominal or 0.0 for row in report.rows}


@given(width=WIDTHS, base=WIDTHS, depth=st.integers(3, 6))
@example(width=1024, base=64, depth=64)
@example(width=64, base=1024, depth=3)
@settings(deadline=None, max_examples=8)
def test_std_and_rates_follow_the_width_by_role(width: int, base: int, depth: int) -> None:
    with torch.device("meta"):
        model, narrow, n = perceptron(width, depth), perceptron(base, depth), width / base
    report = initialize(model, f"mup(base_width={base})")
    plain = stds(initialize(narrow, "he_normal"))
    last = f"{len(model) - 1}.weight"
    adam, sgd = report.factors("adamw"), report.factors("sgd")
    for name, std in stds(report).items():
        role = "input" if name == "0.weight" else "readout" if name == last else "hidden"
        if name.endswith("bias"):
            grows = n if name != f"{len(model) - 1}.bias" else 1
            assert adam[name] == Factors(eps=1 / grows)
            assert sgd[name].lr == pytest.approx(grows)
            continue
        power = {"input": 0, "hidden": 0.5, "readout": 1}[role]
        assert std == pytest.approx(plain[name] * n**-power)
        assert adam[name].lr == pytest.approx(1 if role == "input" else 1 / n)
        assert adam[name].weight_decay == pytest.approx(1 / adam[name].lr)
        assert adam[name].eps == pytest.approx(1 if role == "readout" else 1 / n)
        assert sgd[name].lr == pytest.approx({"input": n, "hidden": 1, "readout": 1 / n}[role])
        assert sgd[name].weight_decay == pytest.approx(1 / sgd[name].lr)


@pytest.mark.slow
@given(width=WIDTHS)
@settings(deadline=None, max_examples=5)
def test_a_base_model_and_a_base_width_say_the_same(width: int) -> None:
    by_shape, by_trace = Speaker(width), Speaker(width)
    base = InitSpec("mup", (("base", lambda: Speaker(32)),))  # type: ignore[arg-type]
    reports = initialize(by_shape, base), initialize(by_trace, "mup(base_width=32)")
    for optimizer in ("sgd", "adam", "adamw", "muon"):
        assert reports[0].factors(optimizer) == reports[1].factors(optimizer)
    for one, other in zip(by_shape.parameters(), by_trace.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
@given(depth=DEPTHS, width=WIDTHS, alpha=st.sampled_from([0.5, 1.0]))
@example(depth=64, width=1024, alpha=1.0)
@example(depth=2, width=64, alpha=1.0)
@settings(deadline=None, max_examples=6)
def test_branches_follow_the_depth(depth: int, width: int, alpha: float) -> None:
    with torch.device("meta"):
        model, other = networks.residual(depth, width), networks.residual(depth, width)
    times = depth / 2
    spec = f"completep(base_width={width}, base_depth=2, alpha={alpha})"
    report = initialize(model, spec)
    plain = stds(initialize(other, "he_normal"))
    found, adam = stds(report), report.factors("adamw")
    for block in range(1, depth + 1):
        inner, last = f"{block}.fc1.weight", f"{block}.fc2.weight"
        assert found[inner] == pytest.approx(plain[inner])
        assert found[last] == pytest.approx(plain[last] * times**-alpha)
        assert adam[inner].lr == pytest.approx(times ** (alpha - 1))
        assert adam[last].lr == pytest.approx(times ** (alpha - 1) * times**-alpha)
        assert adam[inner].eps == pytest.approx(times**-alpha)
        assert adam[last].eps == pytest.approx(1)
        assert report.factors("sgd")[f"{block}.fc2.bias"].lr == pytest.approx(1 / times)
    assert adam["0.weight"] == Factors()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_multiplier_in_the_weights_computes_and_learns_what_one_in_the_model_does(
    optimizer: str,
) -> None:
    """Outputs after three steps: of a model with both multipliers, and of one with none."""
    tokens = torch.randint(20, (4, 5), generator=torch.Generator().manual_seed(0))
    outputs = []
    for arguments in ({"scale": 0.5, "output": 0.25}, {}):
        model = Speaker(128, 4, **arguments).double()  # type: ignore[arg-type]
        report = initialize(model, "completep(base_width=32, base_depth=2)")
        assert not [text for text in report.to_check if "attention" not in text]
        groups = report.param_groups(lr=0.01, optimizer=optimizer, weight_decay=0.1)
        made = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[optimizer]
        update = made(groups)
        for _ in range(3):
            update.zero_grad()
            functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()  # type: ignore[no-untyped-call]
            update.step()
        outputs.append(model(tokens).detach())
    assert torch.allclose(outputs[0], outputs[1], rtol=1e-6, atol=1e-9)


class Macaron(nn.Module):
    """x + f(x) / 2, then x + g(x), as in a Conformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.halved, self.full = (
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.halved(x)
        return x + self.full(x)  # type: ignore[no-any-return]


def macaron(width: int, depth: int) -> nn.Sequential:
    blocks = [Macaron(width) for _ in range(depth)]
    return nn.Sequential(nn.Linear(6, width), nn.Sequential(*blocks), nn.Linear(width, 3))


@pytest.mark.parametrize("by_base", [True, False])
def test_a_number_of_some_branches_is_not_taken_for_the_multiplier_of_depth(by_base: bool) -> None:
    base = (("base", lambda: macaron(32, 2)),) if by_base else (("base_width", 32),)
    depth = () if by_base else (("base_depth", 2),)
    init = InitSpec("completep", (*base, *depth))
    report = initialize(macaron(64, 4), init)
    found, plain = stds(report), stds(initialize(macaron(64, 4), "he_normal"))
    for branch in ("halved", "full"):
        name = f"1.3.{branch}.2.weight"
        assert found[name] == pytest.approx(plain[name] / 2)
        assert report.factors("adamw")[name].lr == pytest.approx(1 / 2 / 2)
    assert not report.to_check


def test_every_gradient_entry_follows_what_epsilon_does() -> None:
    """ε over the gradient's size does not depend on the width, within a factor of 2 over 8."""
    tokens = torch.randint(20, (8, 5), generator=torch.Generator().manual_seed(0))
    shares = []
    for width in (64, 512):
        model = Speaker(width)
        eps = initialize(model, "mup(base_width=64)").factors("adamw")
        functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()  # type: ignore[no-untyped-call]
        sizes = {n: p.grad.square().mean().sqrt() for n, p in model.named_parameters()}  # type: ignore[union-attr]
        shares.append({n: size.item() / eps[n].eps for n, size in sizes.items()})
    for name, narrow in shares[0].items():
        if name != "blocks.0.attn.qkv.bias" and name != "blocks.1.attn.qkv.bias":
            assert 0.5 < shares[1][name] / narrow < 2, name


def steps_of_logits(width: int, seeds: int) -> Tensor:
    """Return how far one step of Adam moves each logit, over its rate, by seed."""
    tokens = torch.randint(20, (4, 5), generator=torch.Generator().manual_seed(0))
    found = []
    for seed in range(seeds):
        model = Speaker(width, 1)
        spec = "mup(base_width=64, start='lecun_normal', zero_readout=True)"
        groups = initialize(model, spec, seed=seed).param_groups(lr=1e-3, optimizer="adam")
        functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()  # type: ignore[no-untyped-call]
        torch.optim.Adam(groups).step()
        found.append(model(tokens).detach() / 1e-3)
    return torch.stack(found)


@pytest.mark.slow
def test_a_step_is_the_same_at_every_width_but_for_a_rest_that_falls_with_its_root() -> None:
    """What seeds share is the step of an infinite network; their variance falls as 1/width."""
    shared, rest = [], []
    for width in (64, 256):
        moved = steps_of_logits(width, seeds := 8)
        rest.append(moved.var(0).mean().item())
        shared.append(moved.mean(0).square().mean().item() - rest[-1] / seeds)
    assert 0.8 < shared[1] / shared[0] < 1.25
    assert 3 < rest[0] / rest[1] < 5.5


def test_a_tied_readout_needs_its_multiplier_in_the_model() -> None:
    lacking = initialize(Speaker(128, tied=True), "mup(base_width=32)")
    assert "base width / width = 0.25; found 1" in lacking.to_check[0]
    found = initialize(Speaker(128, tied=True, output=0.25), "mup(base_width=32)")
    assert not [text for text in found.to_check if "tied" in text]
    assert found.factors("adamw")["tokens.weight"] == Factors(eps=0.25)
    held = [p for group in found.param_groups(lr=1.0) for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == len(list(found.model.parameters()))  # type: ignore[union-attr]


def test_attention_is_told_of_where_heads_may_grow() -> None:
    assert "divides by √d" in initialize(Speaker(128), "mup(base_width=32)").to_check[-1]
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)

    def encoder(width: int, heads: int) -> nn.Module:
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width)
        return nn.Sequential(nn.Linear(6, width), layer, nn.Linear(width, 3))

    for heads, told in ((2, False), (4, True)):
        base = InitSpec("mup", (("base", lambda heads=heads: encoder(32, heads)),))  # type: ignore[arg-type]
        assert bool(initialize(encoder(64, 4), base).to_check) is told
    assert layer.self_attn.head_dim == 16


@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("width", [64, 128])
def test_the_readout_may_start_at_0(width: int, zero: bool) -> None:
    model = perceptron(width)
    initialize(model, f"mup(base_width=64, zero_readout={zero})")
    weights = [value for name, value in model.named_parameters() if name.endswith("weight")]
    assert bool(weights[-1].any()) is not zero
    assert weights[0].any()


def test_the_u_mup_rate_of_embeddings_falls_with_the_root_of_the_width() -> None:
    report = initialize(Speaker(128), "mup(base_width=32, law='u_mup')")
    rates = {name: one.lr for name, one in report.factors("adamw").items()}
    assert rates["tokens.weight"] == 0.5 and rates["norm.weight"] == 1
    assert rates["head.weight"] == rates["blocks.0.attn.qkv.weight"] == 0.25


def test_muon_takes_hidden_matrices_alone() -> None:
    report = initialize(Speaker(128), "mup(base_width=32)")
    groups = report.param_groups(lr=0.02, optimizer="muon")
    muons = {id(p) for group in groups if group["use_muon"] for p in group["params"]}
    names = {n for n, p in report.model.named_parameters() if id(p) in muons}  # type: ignore[union-attr]
    assert names == {f"blocks.{i}.{n}.weight" for i in (0, 1) for n in MATRICES}
    torch.optim.Muon([g for g in groups if g["use_muon"]])


MATRICES = ("attn.qkv", "attn.out", "mlp.0", "mlp.2")


def test_hidden_weights_look_like_what_they_start_from() -> None:
    model = perceptron(256)
    initialize(model, "mup(base_width=64)")
    weights = {p.name: looks_like(p, p.values) for p in named_parameters(model)}
    assert "he_normal" in weights["0.weight"] and "he_normal" in weights["2.weight"]
    assert "he_normal" not in weights["4.weight"]


@pytest.fixture
def one_process() -> Iterator[None]:
    from torch.distributed import HashStore  # type: ignore[attr-defined]

    store = HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("wrap", [nn.parallel.DistributedDataParallel, torch.compile])
def test_a_wrapped_model_is_its_user_s_own(wrap: object) -> None:
    plain = initialize(perceptron(128), "mup(base_width=32)")
    model = perceptron(128)
    wrapped = wrap(model)  # type: ignore[operator]
    report = initialize(wrapped, "mup(base_width=32)")
    ours, theirs = list(plain.factors("adamw").values()), list(report.factors("adamw").values())
    assert ours == theirs
    before = plain.param_groups(lr=1.0, model=wrapped)  # built before it was wrapped
    for groups in (before, report.param_groups(lr=1.0)):
        held = [id(p) for group in groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in model.parameters())
        assert [group["lr"] for group in groups] == [g["lr"] for g in plain.param_groups(lr=1.0)]


def test_bfloat16_keeps_its_law_and_its_type() -> None:
    model = perceptron(512).bfloat16()
    report = initialize(model, "mup(base_width=64)")
    readout = report.rows[-2]
    assert model[-1].weight.dtype is torch.bfloat16
    assert readout.std_nominal == pytest.approx(math.sqrt(2 / 64) / 8)
    assert readout.std_measured == pytest.approx(readout.std_nominal, rel=0.1)


@pytest.mark.parametrize(
    ("model", "spec", "reason"),
    [
        (perceptron(64), "mup", "'0.weight' and all others depend on .* base_width=64"),
        (perceptron(64), "mup(base_width=8, base='a:b')", "pass either base_width=64"),
        (perceptron(64), "mup(base_width=0)", "base_width must be an integer of at least 1"),
        (perceptron(64), "mup(base_width=8, start='torch.default')", "no standard deviation"),
        (perceptron(64), "mup(base_width=8, law='np')", "unknown law 'np'"),
        (perceptron(64), "completep(base_width=8, base_depth=1)", "found no residual branch"),
        (networks.residual(2), "completep(base_width=8)", "pass base_depth="),
        (nn.Linear(4, 4), "mup(base_width=8)", "there is no hidden layer: pass base="),
        (
            nn.Sequential(nn.Linear(6, 32), nn.Linear(32, 16), nn.Linear(16, 3)),
            "mup(base_width=8)",
            "the widths at both ends differ: '0.weight' 32, '2.weight' 16: pass base=",
        ),
        (
            nn.Sequential(nn.Linear(6, 8), nn.TransformerEncoderLayer(8, 2, 16)),
            "mup(base_width=8)",
            "'1' gives the output and is as wide as the hidden layers .* pass base=",
        ),
        (
            nn.Sequential(nn.Conv1d(6, 8, 1), nn.Conv1d(8, 8, 1, groups=4), nn.Conv1d(8, 3, 1)),
            "mup(base_width=8)",
            "'1.weight' has 4 groups: .* pass base=",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_placed_is_told_and_left(model: nn.Module, spec: str, reason: str) -> None:
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(InitBenchError, match=reason):
        initialize(model, spec)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        (lambda: perceptron(64), r"'0.weight' with \(64, 6\): pass a base of another width"),
        (lambda: Speaker(32), "the base model has no parameter '0.weight'"),
        (lambda: 3, "base must return a torch.nn.Module"),
    ],
)
def test_a_base_that_does_not_fit_is_told(base: object, reason: str) -> None:
    with pytest.raises(InitBenchError, match=reason):
        initialize(perceptron(64), InitSpec("mup", (("base", base),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Linear(6, 8, device="meta"), nn.Linear(8, 3)), "on the meta device"),
        (nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 3)), "is lazy .* run one batch"),
    ],
)
def test_a_model_without_values_says_what_to_do_first(model: nn.Module, reason: str) -> None:
    with pytest.raises(InitBenchError, match=reason):
        initialize(model, "mup(base_width=4)")
