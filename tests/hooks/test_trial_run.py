"""How a module uses its weights is found without inputs, and without a trace."""

import pytest
import torch
from torch import Tensor, nn

from init_bench.hooks.trial_run import uses_by_trial
from tests import user_layers as own


@pytest.mark.parametrize(
    ("module", "axes"),
    [
        (own.Product(3, 2, 1), {"weight": ("in", "out")}),
        (own.ByHead(2, 3, 4), {"query": ("out", "in", "out"), "out": ("in", "in", "out")}),
        (own.ChosenExperts(2, 3, 4), {"up": ("stack", "out", "in")}),
        (own.NormedEmbeddingHead(3, 2), {"weight": ("out", "in")}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_dimension_is_what_the_product_makes_of_it(
    module: nn.Module, axes: dict[str, tuple[str, ...]]
) -> None:
    uses = uses_by_trial(module)
    assert {name: uses[name].axes for name in axes} == axes


def test_what_meets_the_signal_entry_by_entry_is_a_scale() -> None:
    uses = uses_by_trial(own.StateSpace(4))
    kinds = {name: use.kind for name, use in uses.items()}
    scales = dict.fromkeys(("A_log", "dt_bias", "D", "temperature"), "scale")
    assert kinds == scales | {"weight": "matrix"}


def test_a_sum_over_experts_that_is_divided_by_their_root_is_no_fan() -> None:
    class Mixed(nn.Module):
        def __init__(self, power: float) -> None:
            super().__init__()
            self.w, self.power = nn.Parameter(torch.ones(4, 5, 6)), power

        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("beh,ehn->bn", x, self.w) / 4**self.power

    fan_in = {power: uses_by_trial(Mixed(power))["w"].fan_in for power in (0.0, 0.5, 1.0)}
    assert fan_in == {0.0: 20, 0.5: 5, 1.0: 5}


def test_a_trial_run_changes_nothing_of_the_module() -> None:
    class Counting(own.Product):
        def forward(self, x: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            self.seen = x
            return super().forward(x)

    module, state = Counting(4, 4, 1), torch.get_rng_state()
    assert uses_by_trial(module)["weight"].fan_in == 4
    assert not hasattr(module, "calls") and not hasattr(module, "seen")
    assert torch.equal(state, torch.get_rng_state())
