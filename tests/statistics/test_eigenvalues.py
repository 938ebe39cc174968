"""Eigenvalues by compiled loops, against NumPy's."""

import numpy as np
import pytest

from init_bench.statistics.eigenvalues import LANES, loop_effective_ranks, tridiagonal

SIZES = (1, 2, 3, 8, 17, 64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rank", [1, 3, 100])
def test_the_tridiagonal_matrix_has_the_eigenvalues(size: int, rank: int) -> None:
    factor = np.random.default_rng(size).standard_normal((size, rank))
    products = factor @ factor.T
    diagonal, squares = matrix = np.zeros((2, size))
    tridiagonal(products.copy(), matrix)
    beside = np.sqrt(squares[:-1])
    found = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    expected = np.linalg.eigvalsh(products)
    assert found == pytest.approx(expected, rel=0, abs=1e-13 * expected[-1])
    assert squares[-1] == 0


@pytest.mark.parametrize("size", SIZES)
def test_each_lane_holds_the_eigenvalues_of_its_own_matrix(size: int) -> None:
    rng = np.random.default_rng(size)
    matrices = []
    lanes = np.zeros((2, size, LANES))
    for k in range(LANES):
        factor = rng.standard_normal((size, k + 1)) * 10.0 ** rng.integers(-3, 3, k + 1)
        matrices.append(factor @ factor.T)
        tridiagonal(matrices[-1].copy(), lanes[:, :, k])
    loop_effective_ranks(lanes[0], lanes[1], 1e-7)
    for k, matrix in enumerate(matrices):
        expected = np.linalg.eigvalsh(matrix)
        assert np.sort(lanes[0, :, k]) == pytest.approx(expected, rel=0, abs=1e-13 * expected[-1])
