"""Streams: set by seed and purpose; nothing leaks into or out of torch's global one."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from init_bench.hooks.random_streams import drawing_from, stream

DRAWS: dict[str, Callable[[], Tensor]] = {
    "normal_": lambda: torch.empty(4, 4).normal_(),
    "uniform_": lambda: torch.empty(4, 4).uniform_(),
    "randn": lambda: torch.randn(4, 4),
    "rand": lambda: torch.rand(4, 4),
    "randint": lambda: torch.randint(1000, (4, 4)),
    "randperm": lambda: torch.randperm(30),
    "bernoulli_": lambda: torch.empty(8, 8).bernoulli_(0.5),
    "exponential_": lambda: torch.empty(4, 4).exponential_(),
    "random_": lambda: torch.empty(4, 4).random_(),
    "normal": lambda: torch.normal(torch.zeros(4, 4), 1.0),
    "bernoulli": lambda: torch.bernoulli(torch.full((8, 8), 0.5)),
    "multinomial": lambda: torch.ones(50).multinomial(20),
    "randn_like": lambda: torch.randn_like(torch.empty(4, 4)),
    "rand_like": lambda: torch.rand_like(torch.empty(4, 4)),
    "randint_like": lambda: torch.randint_like(torch.empty(4, 4), 1000),
    "dropout": lambda: nn.functional.dropout(torch.ones(8, 8)),
    "sparse_": lambda: nn.init.sparse_(torch.empty(8, 8), 0.5),
    "linear": lambda: nn.Linear(4, 4).weight.detach(),
    "lstm": lambda: next(nn.LSTM(4, 4).parameters()).detach(),
    "embedding": lambda: nn.Embedding(4, 4).weight.detach(),
}


def first_numbers(seed: int, purpose: str) -> list[int]:
    return [*torch.randint(2**62, (4,), generator=stream(seed, purpose)).tolist()]


@given(seed=st.integers(0, 2**63), purpose=st.text(max_size=20))
def test_the_same_seed_and_purpose_give_the_same_stream(seed: int, purpose: str) -> None:
    assert first_numbers(seed, purpose) == first_numbers(seed, purpose)


@given(
    names=st.lists(
        st.tuples(
            st.integers(0, 10**6), st.text(st.characters(codec="utf-8", exclude_characters="/"))
        ),
        min_size=2,
        max_size=8,
        unique=True,
    )
)
def test_other_seeds_and_purposes_give_other_streams(names: list[tuple[int, str]]) -> None:
    # 63-bit seeds from SHA-256: a chance collision has probability below 1e-15 here.
    assert len({stream(*name).initial_seed() for name in names}) == len(names)


@pytest.mark.parametrize(("one", "other"), [((1, "11"), (11, "1")), ((1, "x"), (2, "x"))])
def test_seed_and_purpose_are_kept_apart(one: tuple[int, str], other: tuple[int, str]) -> None:
    assert stream(*one).initial_seed() != stream(*other).initial_seed()


def test_a_stream_is_the_same_today_and_later() -> None:
    # First 63 bits of SHA-256("0/fc1.weight"): stored results rest on it.
    assert stream(0, "fc1.weight").initial_seed() == 6027835250162103223


@pytest.mark.slow
def test_a_stream_is_the_same_in_another_process() -> None:
    code = (
        "from init_bench.hooks.random_streams import stream; print(stream(7, 'a.b').initial_seed())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) == stream(7, "a.b").initial_seed()


def test_a_stream_leaves_the_global_one() -> None:
    before = torch.get_rng_state()
    torch.randn(3, generator=stream(0, "x"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", DRAWS)
def test_all_draws_inside_the_context_come_from_its_stream(name: str) -> None:
    before = torch.get_rng_state()
    with drawing_from(stream(1, name)):
        first = DRAWS[name]()
    with drawing_from(stream(1, name)):
        again = DRAWS[name]()
    with drawing_from(stream(2, name)):
        other = DRAWS[name]()
    assert torch.equal(before, torch.get_rng_state()), "drew from the global stream"
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", DRAWS)
def test_the_draws_are_those_torch_makes_at_that_seed(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(1, name).initial_seed())
        expected = DRAWS[name]()
    with drawing_from(stream(1, name)):
        assert torch.equal(DRAWS[name](), expected)


def test_a_generator_of_the_callers_is_kept() -> None:
    expected = torch.randn(3, generator=stream(5, "own"))
    with drawing_from(stream(1, "context")):
        assert torch.equal(torch.randn(3, generator=stream(5, "own")), expected)


def test_the_context_ends_even_after_an_exception() -> None:
    generator = stream(0, "x")
    with pytest.raises(KeyError, match="inside"), drawing_from(generator):
        raise KeyError("inside")
    before = generator.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.rand(3)
    assert torch.equal(before, generator.get_state())


def test_the_context_holds_for_its_thread_only() -> None:
    generator = stream(0, "x")
    before, state = torch.get_rng_state(), generator.get_state()
    with torch.random.fork_rng(devices=[]), drawing_from(generator):
        other = threading.Thread(target=torch.rand, args=(3,))
        other.start()
        other.join()
        assert torch.equal(state, generator.get_state())
        assert not torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_dropout_of_accelerators_draws_from_the_stream(p: float) -> None:
    x, before = torch.ones(40, 50), torch.get_rng_state()
    with drawing_from(stream(0, "forward")) as watched:
        dropped, kept = torch.native_dropout(x, p, True)
    with drawing_from(stream(0, "forward")):
        again, _ = torch.native_dropout(x, p, True)
    assert torch.equal(before, torch.get_rng_state()), "drew from the global stream"
    assert watched.drew and torch.equal(dropped, again)
    share = kept.float().mean().item()
    assert abs(share - (1 - p)) <= 5 * (p * (1 - p) / x.numel()) ** 0.5
    assert torch.equal(dropped, kept / (1 - p) if p < 1 else torch.zeros_like(x))


def test_what_draws_nothing_is_known_not_to_draw() -> None:
    with drawing_from(stream(0, "forward")) as watched:
        torch.ones(3).mul_(2)
    assert not watched.drew


def test_a_compiled_model_is_compiled_once_and_draws_the_same() -> None:
    """Torch's compiler must neither trace the context nor drop what it does."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))
    graphs: list[torch.fx.GraphModule] = []

    def compile_nothing(graph: torch.fx.GraphModule, _: object) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled: Any = torch.compile(model, backend=compile_nothing)
    x = torch.ones(3, 4)
    compiled(x)
    with drawing_from(stream(0, "dropout")):
        plain = model(x)
    with drawing_from(stream(0, "dropout")):
        drawn = compiled(x)
    assert torch.equal(drawn, plain)
    assert len(graphs) == 1


def test_torch_knows_no_mode_when_threads_that_overlap_have_left() -> None:
    """It keeps its compiler out as long as it believes that a mode is entered."""
    first, second = (drawing_from(stream(0, name)) for name in ("first", "second"))
    entered, left = Barrier(2), Event()

    def overlap() -> None:
        with second:
            entered.wait()
            left.wait()

    with ThreadPoolExecutor(1) as threads:
        with first:
            other = threads.submit(overlap)
            entered.wait()
        second_inside = is_in_torch_dispatch_mode()
        left.set()
        other.result()
    assert second_inside
    assert not is_in_torch_dispatch_mode()
