"""Initializers that see data in the cells of a grid: what they see, and failures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.init import KINDS, Network, initialize, register_init
from init_bench.training.cell import Cell
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.grid import Grid
from init_bench.training.minibatch_indices import sample_indices
from init_bench.training.networks import INIT_SAMPLES, check, network_of
from tests.training.engine.test_modules import DATA, IMAGE

CPU = torch.device("cpu")
SEEING = ["lsuv", "krahenbuhl", "metainit(steps=2)", "gradinit(steps=2)"]
MODELS: dict[str, dict[str, Any]] = {"mlp": {"width": 9, "depth": 3}, "lenet": {"model": "lenet"}}
SMALL: dict[str, Any] = {"batch_size": 16, "steps": 4}


@pytest.mark.parametrize("init", SEEING)
@pytest.mark.parametrize("model", MODELS)
def test_a_cell_starts_as_initialize_does_on_the_first_samples_of_its_seed(
    model: str, init: str
) -> None:
    cell = Grid(init=init, seed=3, **MODELS[model]).cells[0]
    chosen = next(sample_indices(len(DATA.targets), 3, INIT_SAMPLES))
    inputs = DATA.inputs[chosen].view(-1, *(IMAGE if model == "lenet" else (144,)))
    batch, loss = (inputs, DATA.targets[chosen]), nn.functional.cross_entropy
    expected = network_of(Grid(seed=9, **MODELS[model]).cells[0], DATA)
    initialize(expected, init, batch=batch, loss_fn=loss, seed=3)
    found = network_of(cell, DATA)
    for (name, a), b in zip(found.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_what_it_sees_is_the_first_minibatch_of_the_default_size() -> None:
    assert Cell().batch_size == INIT_SAMPLES


@pytest.mark.parametrize("init", SEEING)
def test_the_start_does_not_depend_on_how_the_cell_trains(init: str) -> None:
    axes: dict[str, Any] = {"batch_size": [4, 16], "lr": [0.1, 0.2], "optimizer": ["sgd", "adam"]}
    first, *others = (network_of(c, DATA) for c in Grid(init=init, **MODELS["mlp"], **axes).cells)
    for other in others:
        pairs = zip(first.parameters(), other.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


POOL = {
    name: Grid(init=[*SEEING, "he_normal"], seed=[0, 1], **axes, **SMALL).cells
    for name, axes in MODELS.items()
}


@pytest.mark.slow
@settings(max_examples=6)
@given(chosen=st.sets(st.integers(0, 9), min_size=1, max_size=5), model=st.sampled_from([*MODELS]))
def test_a_cell_has_the_same_bits_in_any_company(chosen: set[int], model: str) -> None:
    cells = sorted((POOL[model][i] for i in chosen), key=lambda cell: cell.seed)
    for result in train_chunk(cells, DATA, CPU):
        (alone,) = train_chunk([result.cell], DATA, CPU)
        assert np.array_equal(result.losses, alone.losses)


@pytest.fixture
def fails_for_seed_1() -> Iterator[str]:
    """An initializer that sees a batch and fails for one seed, as a dead layer makes lsuv."""

    def picky_(network: Network) -> None:
        """Start as he_normal."""
        if network.seed == 1:
            raise InitBenchError("the output of 'fc2' has standard deviation 0")
        network.start("he_normal")

    register_init("picky", picky_, needs="batch")
    yield "picky"
    del KINDS["batch"]["picky"]


@pytest.mark.parametrize("model", ["mlp", "tests.networks:half_frozen"])
def test_a_start_that_fails_is_the_failure_of_its_cell_alone(
    model: str, fails_for_seed_1: str, tmp_path: Path
) -> None:
    axes: dict[str, Any] = {"model": model, "width": 9} if model == "mlp" else {"model": model}
    grid = Grid(init=[fails_for_seed_1, "he_normal"], seed=range(3), **axes, **SMALL)
    results = ib.run(grid, tmp_path / "run", device="cpu", progress=False)
    (failure,) = (json.loads(path.read_text()) for path in results.failures)
    assert "the output of 'fc2'" in failure["error"]
    assert [(c["init"], c["seed"]) for c in failure["cells"]] == [("picky", 1)]
    trained = set(results.cells[["init", "seed"]].itertuples(index=False, name=None))
    assert trained == {(cell.init, cell.seed) for cell in grid.cells} - {("picky", 1)}
    rest = Grid(init="he_normal", seed=range(3), **axes, **SMALL)
    alone = ib.run(rest, tmp_path / "rest", device="cpu", progress=False)
    mine = results.curves[results.curves["init"] == "he_normal"].reset_index(drop=True)
    assert mine.equals(alone.curves)


def test_a_check_before_the_run_does_not_wait_for_a_start_that_sees_data(
    fails_for_seed_1: str,
) -> None:
    check(Cell(model="lenet", init=fails_for_seed_1, seed=1), DATA)
    with pytest.raises(InitBenchError, match="logits of shape"):
        check(Cell(model="tests.networks:too_few_logits", init="lsuv"), DATA)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("lsuv(tolerance=-1)", r"init 'lsuv\(tolerance=-1\)': tolerance must be"),
        ("lsuv(start='zeros')", "'fc1' has standard deviation 0"),
        ("metainit(lr=-1)", r"init 'metainit\(lr=-1\)': lr must be"),
        ("gradinit(steps=0)", "steps must be a finite number >= 1, got 0"),
    ],
)
def test_a_bad_argument_is_told_when_the_grid_is_built(init: str, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        Grid(init=init)


def test_a_trial_takes_one_step_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def stepping_(network: Network, *, steps: int = 50) -> None:
        """Take steps."""
        taken.append(steps)
        network.start("zeros")

    monkeypatch.setitem(KINDS["loss"], "stepping", stepping_)
    assert Grid(init=["stepping", "stepping(steps=9)"]).init == ("stepping", "stepping(steps=9)")
    assert taken == [1, 1]


def test_no_initializer_of_one_tensor_makes_the_cell_look_at_data() -> None:
    """The inputs in the data's order are made when first used, and a copy of all of them."""

    class NoData:
        features, image, classes = 144, IMAGE, 4

        @property
        def inputs(self) -> Tensor:
            raise AssertionError("looked")

    network_of(Cell(), NoData())  # type: ignore[arg-type]
