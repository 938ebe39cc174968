"""What cannot be filled is refused with what to do instead; what can be is filled."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import parametrizations

from init_bench import init
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import INITS

DRAWING_NOTHING = ["zeros", "ones", "constant", "identity", "dirac"]
ONE_VALUE = ["zeros", "ones", "constant"]
OURS = [n for n, f in INITS.items() if inspect.unwrap(f).__module__.startswith("init_bench.")]
KERNEL = (4, 4, 3)
SHAPES = {name: (4, 4) if name == "sparse" else KERNEL for name in OURS}


def fill(name: str, tensor: Any) -> Tensor:
    parameters = list(inspect.signature(INITS[name]).parameters.values())[1:]
    needed = {p.name: 0.5 for p in parameters if p.default is p.empty and p.name != "generator"}
    return INITS[name](tensor, generator=stream(0, name), **needed)


def refused(name: str, tensor: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        fill(name, tensor)


@pytest.mark.parametrize("name", OURS)
def test_a_lazy_parameter_is_refused_with_what_to_call_first(name: str) -> None:
    refused(name, nn.LazyLinear(3).weight, r"is lazy .* run one batch through the model")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("wrong", [3, None, [1.0]], ids=str)
def test_what_is_no_tensor_is_refused(name: str, wrong: object) -> None:
    refused(name, wrong, f"fills a tensor, got {type(wrong).__name__}")


@pytest.mark.parametrize("wrap", ["weight_norm", "spectral_norm", "orthogonal"])
@pytest.mark.parametrize("name", OURS)
def test_a_computed_weight_is_refused_before_its_filling_is_lost(name: str, wrap: str) -> None:
    module = getattr(parametrizations, wrap)(nn.Linear(4, 4))
    message = r"shape \(4, 4\) was computed .* use init_bench\.initialize\(module.*module\.weight ="
    refused(name, module.weight, message)


def test_what_the_error_advises_fills_a_parametrized_module() -> None:
    module = parametrizations.weight_norm(nn.Linear(4, 3))
    weight = init.he_normal_(torch.empty(3, 4), generator=stream(0, "weight"))
    module.weight = weight
    assert torch.allclose(module.weight, weight)


@pytest.mark.parametrize("name", OURS)
def test_a_view_of_a_parameter_is_filled(name: str) -> None:
    weight = nn.Parameter(torch.full((8, *SHAPES[name][1:]), torch.nan))
    for half in weight.chunk(2):
        assert fill(name, half) is half
    assert weight.isfinite().all()
    assert weight.is_leaf and weight.grad_fn is None


@pytest.mark.parametrize("name", [name for name in OURS if name not in ONE_VALUE])
def test_an_expanded_tensor_is_refused_with_its_shape(name: str) -> None:
    shape = SHAPES[name]
    refused(name, torch.ones(shape[0], *[1] * len(shape[1:])).expand(shape), "is expanded: several")


@pytest.mark.parametrize("name", ONE_VALUE)
def test_one_value_fills_an_expanded_tensor(name: str) -> None:
    assert fill(name, torch.full((3, 1), torch.nan).expand(3, 4)).isfinite().all()


@pytest.mark.parametrize("name", [name for name in OURS if name not in DRAWING_NOTHING])
def test_whole_numbers_hold_no_draws(name: str) -> None:
    refused(name, torch.ones(SHAPES[name], dtype=torch.int64), "of torch.int64, which holds no dra")


@pytest.fixture
def one_rank() -> Iterator[None]:
    """A process group of this process alone."""
    store = torch._C._distributed_c10d.HashStore()
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore")  # torch's distributed package warns of itself
@pytest.mark.usefixtures("one_rank")
def test_a_distributed_tensor_is_refused_and_the_advice_fills_it() -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    for name in OURS:
        shard = distribute_tensor(torch.zeros(SHAPES[name]), mesh, [Shard(0)])
        refused(name, nn.Parameter(shard), r"is distributed: .* w\.copy_\(distribute_tensor\(full")
    weight = nn.Parameter(distribute_tensor(torch.zeros(4, 4), mesh, [Shard(0)]))
    full = init.orthogonal_(torch.empty(4, 4), generator=stream(0, "weight"))
    data = weight.data
    assert isinstance(data, DTensor)
    with torch.no_grad():
        data.copy_(distribute_tensor(full, data.device_mesh, data.placements))
    assert torch.equal(data.full_tensor(), full)
