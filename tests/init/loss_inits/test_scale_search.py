"""A descent keeps what it tried until a trial is not finite, and the best of it in the network."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.init.loss_inits.scale_search import Candidate, descend, keep_best
from init_bench.init.whole_model.network_editor import Network


def descended(values: Sequence[float], steps: int) -> tuple[list[Candidate], int]:
    """Return the trials, and how often the descent moved, if these values are met in turn."""
    met, moves = iter(values), []

    def look() -> tuple[Candidate, Tensor]:
        value = next(met)
        return Candidate(factors=[value], value=value, rank=(value,)), torch.tensor(value)

    return descend(steps, "height", look, lambda goal: moves.append(goal)), len(moves)


def test_a_descent_looks_once_more_than_it_moves() -> None:
    trials, moves = descended([3.0, 2.0, 4.0, 1.0], steps=3)
    assert [trial.value for trial in trials] == [3.0, 2.0, 4.0, 1.0]
    assert moves == 3


@pytest.mark.parametrize("end", [math.nan, math.inf, -math.inf])
def test_a_trial_that_is_not_finite_ends_the_descent(end: float) -> None:
    trials, moves = descended([3.0, 2.0, end, 1.0], steps=3)
    assert [trial.value for trial in trials] == [3.0, 2.0]
    assert moves == 2
    with pytest.raises(InitBenchError, match=f"the height is {end} at the start"):
        descended([end, 1.0], steps=3)


def test_the_least_rank_is_kept_and_told() -> None:
    network = Network(nn.Linear(3, 2))
    network.start("ones")
    parameter = network.parameters["weight"]
    ranks = {2.0: (1.0, 0.1), 3.0: (0.0, 7.0), 5.0: (0.0, 8.0)}
    trials = [Candidate(factors=[f], value=10 * f, rank=rank) for f, rank in ranks.items()]
    keep_best(network, [parameter], trials, "height")
    assert (parameter.values == 3).all()
    assert network.filled["weight"].note == "times 3: height 20 → 30"
