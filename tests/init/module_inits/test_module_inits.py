"""The laws that define the initializers by structure."""

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from init_bench.errors import InitBenchError
from init_bench.init import initialize
from init_bench.init.module_inits.zero import zero_matrix
from tests.init import networks


def weights(model: nn.Module, spec: str, seed: int = 0) -> dict[str, Tensor]:
    initialize(model, spec, seed=seed)
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize(("blocks", "width"), [(1, 8), (2, 1024), (9, 256), (64, 64)])
def test_fixup_starts_branches_at_zero_and_scales_the_rest_by_depth(
    blocks: int, width: int
) -> None:
    plain = weights(networks.residual(blocks, width, scalar=True), "he_normal")
    model = networks.residual(blocks, width, scalar=True)
    fixed = weights(model, "fixup")
    for block in range(1, blocks + 1):
        factor = blocks ** (-1 / (2 * 2 - 2))
        assert torch.allclose(fixed[f"{block}.fc1.weight"], plain[f"{block}.fc1.weight"] * factor)
        assert not fixed[f"{block}.fc2.weight"].any()
        assert fixed[f"{block}.alpha"] == 1
    assert not fixed[f"{blocks + 1}.weight"].any()
    assert torch.equal(fixed["0.weight"], plain["0.weight"])
    x = torch.randn(4, width)
    assert torch.equal(model[1:-1](x), x)


class Shifted(nn.Module):
    """The block of Fixup's authors: a scalar bias before every layer, a factor at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.bias1a, self.bias1b, self.bias2a, self.bias2b, self.scale = (
            nn.Parameter(torch.full((1,), 0.7)) for _ in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.fc1(x + self.bias1a) + self.bias1b)
        branch: Tensor = self.fc2(inner + self.bias2a) * self.scale + self.bias2b
        return x + branch


def test_fixup_starts_scalar_biases_at_zero_and_the_factor_at_one() -> None:
    model = nn.Sequential(Shifted(), Shifted(), nn.Linear(8, 3))
    found = weights(model, "fixup")
    assert not any(value.any() for name, value in found.items() if "bias" in name)
    assert found["0.scale"] == found["1.scale"] == 1
    x = torch.randn(4, 8)
    assert torch.equal(model[:-1](x), x)


@pytest.mark.slow
def test_fixup_counts_the_layers_of_each_branch() -> None:
    """A bottleneck has m = 3: L^(-1/4) on two of three layers; a downsampling skip is no branch."""
    plain, model = weights(resnet50(num_classes=2), "he_normal"), resnet50(num_classes=2)
    fixed = weights(model, "fixup")
    for name in ("layer1.0.conv1.weight", "layer4.2.conv2.weight"):
        assert torch.allclose(fixed[name], plain[name] * 16 ** (-1 / 4))
    assert not fixed["layer1.0.conv3.weight"].any()
    skip = "layer1.0.downsample.0.weight"
    assert torch.equal(fixed[skip], plain[skip])


def test_skipinit_starts_as_the_skip_path_with_weights_as_drawn() -> None:
    model = networks.residual(scalar=True, norm=True)
    drawn, plain = weights(model, "skipinit"), weights(networks.residual(), "he_normal")
    assert torch.equal(drawn["2.fc2.weight"], plain["2.fc2.weight"])
    assert all(drawn[f"{block}.alpha"] == 0 for block in (1, 2, 3))
    x = torch.randn(4, 8)
    assert torch.equal(model[1:-1](x), x)


def test_skipinit_without_scalars_is_refused() -> None:
    with pytest.raises(InitBenchError, match=r"1\.fc1, 1\.fc2.* has no scalar factor: .*alpha"):
        initialize(networks.residual(), "skipinit")


@pytest.mark.parametrize(("make", "norm"), [(resnet18, "bn2"), (resnet50, "bn3")])
def test_zero_gamma_finds_the_norms_that_torchvision_calls_last(make: object, norm: str) -> None:
    model = make(num_classes=2)  # type: ignore[operator]
    found = weights(model, "zero_gamma")
    zeros = {name for name, value in found.items() if "bn" in name and not value.any()}
    assert {name for name in zeros if name.endswith("weight")} == {
        f"{path}.{norm}.weight" for path, m in model.named_modules() if hasattr(m, norm)
    }


@pytest.mark.parametrize(("blocks", "width"), [(2, 1024), (9, 256), (64, 64)])
def test_zero_gamma_starts_every_block_as_its_skip_path(blocks: int, width: int) -> None:
    model = networks.residual(blocks, width, norm=True).eval()
    initialize(model, "zero_gamma")
    x = torch.randn(4, width)
    assert torch.equal(model[1:-1](x), x)


def test_zero_gamma_without_a_norm_at_the_end_is_refused() -> None:
    with pytest.raises(InitBenchError, match="no residual branch ends in a norm"):
        initialize(networks.transformer(), "zero_gamma")


@given(n_out=st.integers(1, 70), n_in=st.integers(1, 70))
@example(n_out=64, n_in=1024)
@example(n_out=1024, n_in=64)
def test_a_zero_matrix_is_an_identity_or_columns_of_a_hadamard_matrix(
    n_out: int, n_in: int
) -> None:
    matrix = zero_matrix(n_out, n_in)
    if n_out <= n_in:
        assert torch.equal(matrix @ matrix.T, torch.eye(n_out))
        assert matrix.sum() == n_out
    else:
        m = math.ceil(math.log2(n_out))
        assert torch.allclose(matrix.abs(), torch.full_like(matrix, 2 ** (-(m - 1) / 2)))
        assert torch.linalg.matrix_rank(matrix) <= min(n_out, n_in)
        if n_out == 2**m:  # columns of a whole Hadamard matrix are orthogonal, of length √2
            assert torch.allclose(matrix.T @ matrix, 2 * torch.eye(n_in), atol=1e-5)


def test_zero_draws_nothing_and_fills_the_center_of_a_kernel() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, bias=False), nn.Conv2d(2, 2, 3, padding=1))
    first, second = weights(model, "zero", seed=0), weights(model, "zero", seed=1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    x = torch.randn(1, 3, 5, 5)
    assert torch.equal(model(x), x[:, :2])


@pytest.mark.parametrize("layers", [1, 2, 6, pytest.param(64, marks=pytest.mark.slow)])
def test_gpt2_shrinks_what_ends_a_branch_by_the_root_of_their_number(layers: int) -> None:
    model = networks.transformer(layers)
    plain, found = weights(networks.transformer(layers), "normal(std=0.02)"), weights(model, "gpt2")
    ends = {n for n in found if n.endswith(("out_proj.weight", "linear2.weight"))}
    assert len(ends) == 2 * layers
    for name, value in found.items():
        factor = (2 * layers) ** -0.5 if name in ends else 1.0
        assert torch.allclose(value, plain[name] * factor)


def test_gpt2_takes_named_branches_where_tracing_finds_none() -> None:
    class Stubborn(networks.Block):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x

    model = nn.Sequential(*(Stubborn(8) for _ in range(4)))
    found = weights(model, "gpt2(branches='?')")
    by_name = weights(model, "gpt2")  # fc2 is a usual name of the end of a branch
    assert torch.equal(by_name["3.fc2.weight"], found["3.fc2.weight"])
    plain = weights(model, "normal(std=0.02)")
    assert torch.allclose(found["3.fc2.weight"], plain["3.fc2.weight"] / 2)
    assert torch.equal(found["3.fc1.weight"], plain["3.fc1.weight"])


@given(encoders=st.integers(1, 4), decoders=st.integers(1, 4))
def test_t_fixup_scales_by_the_depth_of_each_stack(encoders: int, decoders: int) -> None:
    def network() -> nn.Module:
        parts = [nn.TransformerEncoderLayer(8, 2, 16) for _ in range(encoders)]
        more = [nn.TransformerDecoderLayer(8, 2, 16) for _ in range(decoders)]
        return nn.ModuleDict(
            {
                "embedding": nn.Embedding(9, 8),
                "encoder": nn.ModuleList(parts),
                "decoder": nn.ModuleList(more),
            }
        )

    plain, found = weights(network(), "xavier_uniform"), weights(network(), "t_fixup")
    stacks = {"encoder": 0.67 * encoders**-0.25, "decoder": (9 * decoders) ** -0.25}
    for stack, factor in stacks.items():
        for name in ("linear1.weight", "linear2.weight", "self_attn.out_proj.weight"):
            name = f"{stack}.0.{name}"
            assert torch.allclose(found[name], plain[name] * factor)
        packed, before = (w[f"{stack}.0.self_attn.in_proj_weight"] for w in (found, plain))
        assert torch.equal(packed[:16], before[:16])
        assert torch.allclose(packed[16:], before[16:] * factor)
    drawn = weights(network(), f"normal(std={8**-0.5})")["embedding.weight"]
    assert torch.allclose(found["embedding.weight"], drawn * (9 * decoders) ** -0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoders", "decoders", "width"), [(64, 2, 1024), (2, 64, 64), (5, 9, 256)]
)
def test_t_fixup_follows_depth_and_no_width(encoders: int, decoders: int, width: int) -> None:
    model = nn.Transformer(width, 2, encoders, decoders, 2 * width, batch_first=True, device="meta")
    plain, found = (
        initialize(model, spec).table.set_index("parameter")["std_nominal"]
        for spec in ("xavier_uniform", "t_fixup")
    )
    factors = 0.67 * encoders**-0.25, (9 * decoders) ** -0.25
    stacks = {"encoder": (encoders, factors[0]), "decoder": (decoders, factors[1])}
    for stack, (layers, factor) in stacks.items():
        for layer in (0, layers - 1):
            for part in ("linear1", "linear2", "self_attn.out_proj"):
                name = f"{stack}.layers.{layer}.{part}.weight"
                assert found[name] == pytest.approx(factor * plain[name])
            name = f"{stack}.layers.{layer}.self_attn.in_proj_weight"
            assert found[name] == pytest.approx(plain[name] * math.sqrt((2 + factor**2) / 3))


@pytest.mark.parametrize("layers", [1, 6])
def test_t_fixup_states_the_std_of_packed_projections(layers: int) -> None:
    """Two thirds keep Glorot's variance 2/(d + d), the value's third is scaled."""
    parts = [nn.TransformerEncoderLayer(64, 2, 8) for _ in range(layers)]
    report = initialize(nn.ModuleList(parts), "t_fixup")
    factor = 0.67 * layers**-0.25
    for row in (r for r in report.rows if r.parameter.endswith("in_proj_weight")):
        wanted = math.sqrt((2 + factor**2) / 3 / 64)
        assert row.std_nominal == pytest.approx(wanted)
        # The variance of n uniform draws errs by less than √(2/n) of itself: 7 of these.
        assert (row.std_measured / wanted) ** 2 == pytest.approx(1, abs=7 * (2 / 12288) ** 0.5)


@given(w0=st.floats(1, 60), width=st.integers(20, 60))
@example(w0=30.0, width=64)
@example(w0=30.0, width=1024)
def test_siren_draws_within_its_bounds_and_up_to_them(w0: float, width: int) -> None:
    model = nn.Sequential(nn.Linear(3, width), nn.Linear(width, width), nn.Linear(width, 1))
    found = weights(model, f"siren(w0={w0!r})")
    bounds = [1 / 3, *[math.sqrt(6 / width) / w0] * 2]
    for layer, bound in enumerate(bounds[:2]):
        largest = found[f"{layer}.weight"].abs().max().item()
        # The largest of n uniform draws is below 0.6 of the bound once in 0.6^-60 > 1e13.
        assert 0.6 * bound < largest <= bound * (1 + 1e-6)
    assert found["1.bias"].abs().max().item() <= width**-0.5


@pytest.mark.parametrize(
    ("width", "depth", "within"), [(512, 4, 0.1), (1024, 2, 0.1), (64, 64, 0.35)]
)
def test_sirens_pre_activations_are_standard_normal_at_any_depth(
    width: int, depth: int, within: float
) -> None:
    """Theorem 1.8 of the supplement: std of w0 (Wx + b) without b is 1, input arcsine."""
    layers = [nn.Linear(width, width, bias=False) for _ in range(depth)]
    model = nn.Sequential(nn.Linear(2, width, bias=False), *layers)
    initialize(model, "siren")
    signal = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for index, layer in enumerate(model):
        inner = 30 * layer(signal)
        signal = torch.sin(inner)
        if index:
            assert inner.std().item() == pytest.approx(1, abs=within)
