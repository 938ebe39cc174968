"""What a spec wrote is recognized, over the menu; and what torch wrote is torch's default."""

import operator
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from init_bench.diagnosis.recognition import looks_like
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init import INITS, initialize, module_fans
from init_bench.init.tensor_inits.fans import fans as torchs_fans
from init_bench.init.whole_model.parameters import NamedParameter, named_parameters

MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(64, 48),
    "conv": lambda: nn.Conv2d(24, 16, 3),
    "grouped": lambda: nn.Conv2d(24, 36, 3, groups=4),
    "depthwise": lambda: nn.Conv2d(64, 64, 3, groups=64),
    "transposed": lambda: nn.ConvTranspose2d(24, 16, 3, stride=2),
    "transposed, grouped": lambda: nn.ConvTranspose1d(24, 36, 5, groups=4),
    "embedding": lambda: nn.Embedding(300, 16, padding_idx=3),
    "attention": lambda: nn.MultiheadAttention(48, 4, bias=True, add_bias_kv=True),
    "attention of unequal sides": lambda: nn.MultiheadAttention(48, 4, kdim=20, vdim=30),
    "lstm": lambda: nn.LSTM(24, 32, num_layers=2, bidirectional=True),
    "lstm, projected": lambda: nn.LSTM(24, 32, proj_size=8),
    "gru cell": lambda: nn.GRUCell(24, 32),
    "bilinear": lambda: nn.Bilinear(12, 10, 14),
    "layer norm": lambda: nn.LayerNorm(30),
    "batch norm": lambda: nn.BatchNorm2d(30),
    "rms norm": lambda: nn.RMSNorm(30),
    "group norm": lambda: nn.GroupNorm(3, 30),
    "prelu": lambda: nn.PReLU(30),
}
WITH_WEIGHTS = [name for name in MODULES if "norm" not in name and name != "prelu"]

ARGUMENTS = {
    "constant": "(value=0.25)",
    "sparse": "(sparsity=0.25)",
    "normal": "(std=3)",
    "uniform": "(a=-3, b=3)",
    "critical_normal": "(nonlinearity='relu')",
}
LOOKS = {
    "constant": "constant(value=0.25)",
    "normal": "normal(std=",
    "uniform": "uniform(a=-",
    "sparse": "sparse(sparsity=0.25, std=0.0",
    "variance_scaling": "variance_scaling(scale=1.0, mode='fan_in'",
    "critical_normal": "he_normal",
}
"""How the audit calls what it can name by its law alone; the others by their own names."""

MATRICES_ONLY = {"sparse", "looks_linear"}
KERNELS_ONLY = {"dirac", "delta_orthogonal"}
SPECS = [name for name in INITS if not name.startswith("torch.")]


def told(parameter: NamedParameter) -> list[str]:
    return looks_like(parameter, parameter.values).split(" or ")


@pytest.mark.parametrize("name", SPECS)
@given(
    seed=st.integers(0, 10**6),
    sides=st.tuples(st.integers(6, 30), st.integers(3, 12)),
    kernel=st.sampled_from([(), (3,), (3, 3)]),
)
def test_what_a_spec_wrote_is_named(
    name: str, seed: int, sides: tuple[int, int], kernel: tuple[int, ...]
) -> None:
    """Missed by chance in fewer than 3e-6 of the draws (``Family.could_be``)."""
    if (kernel and name in MATRICES_ONLY) or (not kernel and name in KERNELS_ONLY):
        return
    n_out, n_in = 4 * sides[0], 2 * sides[1]
    layer = layer_of(n_in, n_out, kernel)
    initialize(layer, name + ARGUMENTS.get(name, ""), seed=seed)
    weight = named_parameters(layer)[0]
    assert any(rule.startswith(LOOKS.get(name, name)) for rule in told(weight))


def layer_of(n_in: int, n_out: int, kernel: tuple[int, ...]) -> nn.Module:
    if not kernel:
        return nn.Linear(n_in, n_out)
    return (nn.Conv1d if len(kernel) == 1 else nn.Conv2d)(n_in, n_out, 3)


@pytest.mark.parametrize("name", ["he_normal", "he_uniform", "xavier_normal", "lecun_uniform"])
@pytest.mark.parametrize("module", WITH_WEIGHTS)
def test_true_fans_are_told_in_every_module(module: str, name: str) -> None:
    layer = MODULES[module]()
    initialize(layer, name)
    weights = [parameter for parameter in named_parameters(layer) if parameter.role == "weight"]
    assert weights and all(name in told(parameter) for parameter in weights)


@pytest.mark.parametrize("module", MODULES)
def test_torchs_default_is_told_in_every_module(module: str) -> None:
    with drawing_from(stream(0, module)):
        layer = MODULES[module]()
    for parameter in named_parameters(layer):
        assert "torch.default" in told(parameter), parameter.name


@pytest.mark.parametrize(
    ("module", "attribute", "fans"),
    [
        ("transposed", "weight", "144 and 216"),
        ("depthwise", "weight", "9 and 576"),
        ("attention", "in_proj_weight", "48 and 144"),
        ("embedding", "weight", "16 and 300"),
    ],
)
@pytest.mark.parametrize("name", ["kaiming_normal", "kaiming_uniform", "xavier_uniform"])
def test_torchs_functions_are_told_with_the_fans_they_count(
    module: str, attribute: str, fans: str, name: str
) -> None:
    """Where they lead to the same std as the true fans do, our name is theirs."""
    layer = MODULES[module]()
    fill_as_torch(getattr(layer, attribute), name)
    parameter = next(
        parameter for parameter in named_parameters(layer) if parameter.attribute == attribute
    )
    own_name, torchs_name = name.replace("kaiming", "he"), f"torch.{name} (fans {fans})"
    used = sum if "xavier" in name else operator.itemgetter(0)  # fans that the law looks at
    same = used(module_fans(layer, attribute)) == used(torchs_fans(parameter.values))
    assert (own_name in told(parameter), torchs_name in told(parameter)) == (same, not same)


def fill_as_torch(values: Tensor, name: str) -> None:
    getattr(nn.init, f"{name}_")(values, generator=stream(0, name))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["he_normal", "xavier_uniform", "orthogonal", "torch.default"])
def test_rounding_hides_no_rule(name: str, dtype: torch.dtype) -> None:
    layer = nn.Linear(64, 48, dtype=dtype)
    initialize(layer, name)
    assert name in told(named_parameters(layer)[0])


def test_another_scale_another_shape_and_another_mean_are_not_taken_for_a_rule() -> None:
    layer = nn.Linear(200, 60)
    initialize(layer, "he_normal")
    (weight, _) = named_parameters(layer)
    drawn = weight.values.clone()
    for changed in (1.2 * drawn, drawn.sign() * 0.1, drawn + 0.01):
        assert "he_normal" not in looks_like(weight, changed)
    assert looks_like(weight, drawn + 0.01).startswith("normal(mean=0.0")


def test_few_values_name_no_distribution() -> None:
    layer = nn.Linear(3, 2)
    assert looks_like(named_parameters(layer)[0], torch.tensor([[1.0, 2, 3], [4, 5, 7]])) == "other"
    assert looks_like(named_parameters(layer)[1], torch.zeros(2)) == "zeros"


@pytest.mark.parametrize("spec", ["normal(std=3)", "uniform(a=-5, b=5)"])
def test_few_values_that_two_distributions_could_draw_are_named_after_both(spec: str) -> None:
    layer = nn.Linear(6, 4)
    initialize(layer, spec, seed=0)
    kinds = {rule.split("(")[0] for rule in told(named_parameters(layer)[0])}
    assert kinds == {"normal", "uniform"}


def test_padding_makes_no_embedding_sparse() -> None:
    (weight,) = named_parameters(nn.Embedding(30, 8, padding_idx=3))
    assert "sparse" not in looks_like(weight, weight.values)


def test_an_embedding_of_padding_alone_is_zeros() -> None:
    (weight,) = named_parameters(nn.Embedding(1, 8, padding_idx=0))
    assert looks_like(weight, weight.values) == "zeros"


class Adapted(nn.Conv2d):
    """A layer of torch's with matrices of its own, as adapters add."""

    def __init__(self) -> None:
        super().__init__(64, 64, 3, groups=64)
        self.down = nn.Parameter(torch.zeros(4, 64))
        self.scale = nn.Parameter(torch.ones(64))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)


def test_what_a_user_adds_to_a_layer_of_torchs_is_no_default_of_torchs() -> None:
    found = {
        parameter.attribute: looks_like(parameter, parameter.values)
        for parameter in named_parameters(Adapted())
    }
    assert found["weight"].startswith("torch.default")
    assert "torch.default" not in found["down"] + found["scale"]
    assert found["scale"] == "ones"


@pytest.mark.parametrize("std", [0.01, 0.02, 0.5])
def test_a_std_that_is_written_in_code_is_named_as_written(std: float) -> None:
    named = []
    for seed in range(20):
        layer = nn.Linear(90, 70, bias=False)
        initialize(layer, f"normal(std={std})", seed=seed)
        weight = named_parameters(layer)[0]
        named.append(f"normal(std={std})" in looks_like(weight, weight.values))
    assert sum(named) >= 19  # it lies within three standard errors for 997 of 1000
