"""``from init_bench import init`` stands wherever ``torch.nn.init`` did: names, arguments, bits."""

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from init_bench import init
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream

IN_PLACE = [name for name in nn.init.__all__ if name.endswith("_")]
DEPRECATED = [name for name in nn.init.__all__ if f"{name}_" in IN_PLACE]

ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "mean": st.floats(-3, 3),
    "std": st.floats(0.01, 3),
    "a": st.floats(-3, 0),
    "b": st.floats(0.01, 3),
    "val": st.floats(-1e4, 1e4),
    "gain": st.floats(0.01, 3),
    "sparsity": st.floats(0, 1),
    "groups": st.integers(1, 3),
    "mode": st.sampled_from(["fan_in", "fan_out", "FAN_IN"]),
    "nonlinearity": st.sampled_from(["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu"]),
}
"""Values that torch takes, by the name of its parameter."""

shapes = st.lists(st.integers(0, 7), max_size=5).map(tuple) | st.sampled_from(
    [(64, 33), (6, 6), (16, 8, 3, 3), (8, 8, 5), (4, 2, 3, 3, 3)]
)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])
seeds = st.integers(0, 2**40)


def required(fill: Callable[..., Tensor]) -> dict[str, float]:
    parameters = list(inspect.signature(fill).parameters.values())[1:]
    return {p.name: 0.5 for p in parameters if p.default is p.empty}


@st.composite
def calls(draw: st.DrawFn, fill: Callable[..., Tensor]) -> dict[str, Any]:
    """Return arguments for ``fill``: those it needs and some of the others."""
    parameters = list(inspect.signature(fill).parameters.values())[1:]
    known = [p for p in parameters if p.name != "generator"]
    return {
        p.name: draw(ARGUMENTS[p.name])
        for p in known
        if p.default is p.empty or draw(st.booleans())
    }


@st.composite
def weights(draw: st.DrawFn) -> Tensor:
    """Return a weight of any shape, dtype and layout, contiguous or not."""
    shape, dtype = draw(shapes), draw(dtypes)
    layout = draw(st.sampled_from(["contiguous", "transposed", "every other", "channels last"]))
    if layout == "transposed":
        return torch.full(shape[::-1], 7.0, dtype=dtype).permute(tuple(reversed(range(len(shape)))))
    if layout == "every other" and shape:
        return torch.full((*shape[:-1], 2 * shape[-1]), 7.0, dtype=dtype)[..., ::2]
    if layout == "channels last" and len(shape) == 4:
        return torch.full(shape, 7.0, dtype=dtype).to(memory_format=torch.channels_last)
    return torch.full(shape, 7.0, dtype=dtype)


def copy_of(tensor: Tensor) -> Tensor:
    """Return a copy with the same strides, even where they leave gaps."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype).copy_(tensor)


def filled(
    fill: Any, weight: Tensor, seed: int, *, own_stream: bool, **arguments: Any
) -> tuple[Tensor, Tensor]:
    """Return the weight that ``fill`` makes, and where it left the stream it drew from."""
    drawn = own_stream and "generator" in inspect.signature(fill).parameters
    generator = torch.Generator().manual_seed(seed) if drawn else None
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of empty weights and far means
        torch.manual_seed(seed)
        assert fill(weight, **arguments, **({"generator": generator} if drawn else {})) is weight
        return weight, (generator or torch.default_generator).get_state()


@pytest.mark.parametrize("name", nn.init.__all__)
def test_every_public_name_of_torch_is_here(name: str) -> None:
    assert callable(getattr(init, name))
    assert name in init.__all__


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_signature_is_torchs(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(home, name)) for home in (init, nn.init))
    as_called = [
        [(p.name, p.kind, p.default) for p in signature.parameters.values()]
        for signature in (ours, theirs)
    ]
    assert as_called[0] == as_called[1]


@pytest.mark.parametrize("own_stream", [True, False], ids=["generator", "global"])
@pytest.mark.parametrize("name", [name for name in IN_PLACE if name != "sparse_"])
@settings(max_examples=30)
@given(data=st.data(), weight=weights(), seed=seeds)
def test_the_bits_and_the_stream_behind_them_are_torchs(
    name: str, own_stream: bool, data: st.DataObject, weight: Tensor, seed: int
) -> None:
    ours, theirs = getattr(init, name), getattr(nn.init, name)
    arguments = data.draw(calls(theirs))
    before = torch.get_rng_state()
    try:
        expected, state = filled(theirs, copy_of(weight), seed, own_stream=own_stream, **arguments)
    except (ValueError, RuntimeError, ZeroDivisionError, IndexError):
        assert_refused_or_filled(lambda: ours(weight, **arguments), weight)
        return
    found, our_state = filled(ours, copy_of(weight), seed, own_stream=own_stream, **arguments)
    assert torch.equal(found, expected)
    assert torch.equal(our_state, state)
    assert torch.equal(torch.get_rng_state(), before)


def assert_refused_or_filled(call: Callable[[], Tensor], weight: Tensor) -> None:
    """Where torch fails, ours says why in one error of its own, or does it."""
    try:
        with torch.random.fork_rng(devices=[]):
            assert call().isfinite().all()
    except InitBenchError as error:
        assert f"shape {tuple(weight.shape)}" in str(error)
        assert (weight == 7).all(), "refused, yet filled"


@given(
    rows=st.integers(0, 30),
    columns=st.integers(0, 30),
    sparsity=ARGUMENTS["sparsity"],
    std=ARGUMENTS["std"],
    seed=seeds,
)
def test_sparse_draws_as_torch_does_from_the_global_stream(
    rows: int, columns: int, sparsity: float, std: float, seed: int
) -> None:
    made = [
        filled(fill, torch.empty(rows, columns), seed, own_stream=False, sparsity=sparsity, std=std)
        for fill in (init.sparse_, nn.init.sparse_)
    ]
    assert torch.equal(made[0][0], made[1][0])
    assert rows * columns == 0 or torch.equal(made[0][1], made[1][1])


@given(seed=seeds, sparsity=st.floats(0.05, 0.95))
def test_sparse_honors_its_generator(seed: int, sparsity: float) -> None:
    """torch#23854's kin: with the same generator twice, torch's sparse_ differs."""
    before = torch.get_rng_state()
    first = init.sparse_(torch.empty(40, 30), sparsity, generator=stream(seed, "w"))
    torch.rand(3)
    again = init.sparse_(torch.empty(40, 30), sparsity, generator=stream(seed, "w"))
    assert torch.equal(first, again)
    assert not torch.equal(first, init.sparse_(torch.empty(40, 30), sparsity))
    assert not torch.equal(before, torch.get_rng_state())  # rand and the one without generator


@pytest.mark.parametrize("name", DEPRECATED)
def test_a_deprecated_name_warns_and_does_the_same(name: str) -> None:
    fill = getattr(init, f"{name}_")
    shape, needed = (6, 4, 3) if name == "dirac" else (6, 4), required(fill)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        expected = fill(torch.empty(shape), **needed)
        torch.manual_seed(1)
        with pytest.warns(FutureWarning, match=f"init.{name} is deprecated.* init.{name}_"):
            assert torch.equal(getattr(init, name)(torch.empty(shape), **needed), expected)


def test_the_private_name_that_layers_call_in_reset_parameters_is_here() -> None:
    class Own(nn.Linear):
        def reset_parameters(self) -> None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            init.constant_(self.weight, 1 / math.sqrt(fan_in))

    assert (Own(4, 2).weight == 0.5).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, True, 3, torch.tensor(2.5)], ids=str)
def test_constant_takes_what_torch_takes(value: Any) -> None:
    ours, theirs = (home.constant_(torch.empty(3), value) for home in (init, nn.init))
    assert torch.equal(ours.nan_to_num(7), theirs.nan_to_num(7))


@pytest.mark.parametrize("ends", [(0.0, math.inf), (-math.inf, 1.0)])
def test_trunc_normal_may_be_cut_on_one_side(ends: tuple[float, float]) -> None:
    ours, theirs = (
        home.trunc_normal_(torch.empty(50), 0.0, 1.0, *ends, generator=stream(0, "w"))
        for home in (init, nn.init)
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"std": 0.0}, r"need std > 0 and a < b, got std=0, a=-2\.0, b=2\.0"),
        ({"a": 3.0}, r"need std > 0 and a < b, got std=1, a=3\.0, b=2\.0"),
        ({"b": math.nan}, r"need std > 0 and a < b, .*b=nan"),
        ({"std": -1.0}, r"std must be a finite number >= 0, got -1\.0"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_trunc_normal_says_what_it_cannot_cut(arguments: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        init.trunc_normal_(torch.empty(3, 2), **arguments)


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_trunc_normal_refuses_a_tail_that_torch_refuses() -> None:
    """Torch 2.11 draws this tail, torch 2.14 raises."""
    try:
        expected = nn.init.trunc_normal_(
            torch.empty(3, 2), a=4.0, b=math.inf, generator=stream(0, "")
        )
    except RuntimeError:
        with pytest.raises(InitBenchError, match=r"shape \(3, 2\) .*a=4"):
            init.trunc_normal_(torch.empty(3, 2), a=4.0, b=math.inf)
    else:
        ours = init.trunc_normal_(torch.empty(3, 2), a=4.0, b=math.inf, generator=stream(0, ""))
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("groups", [0, -1, 4])
def test_dirac_refuses_groups_that_do_not_divide(groups: int) -> None:
    wrong = rf"groups must divide n_out, got groups={groups} for shape \(6, 2, 3\)"
    with pytest.raises(InitBenchError, match=wrong):
        init.dirac_(torch.empty(6, 2, 3), groups)


@pytest.mark.parametrize("sparsity", [-0.1, 1.1])
def test_sparse_refuses_what_is_no_fraction(sparsity: float) -> None:
    wrong = rf"a fraction between 0 and 1, got {sparsity} for a weight of shape \(6, 2\)"
    with pytest.raises(InitBenchError, match=wrong):
        init.sparse_(torch.empty(6, 2), sparsity)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3)], ids=str)
@pytest.mark.parametrize("name", IN_PLACE)
def test_an_empty_tensor_is_warned_of_where_torch_warns(name: str, shape: tuple[int, ...]) -> None:
    required = {"constant_": {"val": 1.0}, "sparse_": {"sparsity": 0.5}}.get(name, {})

    def warned(home: Any) -> list[tuple[type, str]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                getattr(home, name)(torch.empty(shape), **required)
            except (ValueError, RuntimeError, ZeroDivisionError):
                return []
        return [(w.category, str(w.message)) for w in caught if "zero-element" in str(w.message)]

    assert warned(init) == warned(nn.init)


def test_the_warning_of_an_empty_tensor_points_at_the_caller() -> None:
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op") as caught:
        init.kaiming_normal_(torch.empty(0, 3))
    assert caught[0].filename == __file__
