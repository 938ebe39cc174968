"""Draws of two initializers: equal bits, distances and ratios, and what cannot be drawn."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch
from scipy import stats

from init_bench.comparison.measurements import DRAW_ALPHA, DRAWS, Row
from init_bench.comparison.pairs_from_names import Pair, pairs_of
from init_bench.comparison.tensor_draws import (
    SHAPES,
    distribution_rows,
    draw,
    draws,
    equal_bits,
    quantiles,
    same_bits,
)
from init_bench.comparison.two_sample import ks_distance, mean_ratio
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import INITS, InitSpec, he_normal_, parse, register_init


def pair(a: str, b: str) -> Pair:
    return Pair(a=parse(a), b=parse(b))


def rows_of(a: str, b: str) -> dict[tuple[str, str], Row]:
    """Return the rows by shape's name and quantity."""
    return {(r.setting.split()[0], r.quantity): r for r in distribution_rows([pair(a, b)])}


@contextmanager
def registered(name: str, init: object) -> Iterator[None]:
    register_init(name, init)  # type: ignore[arg-type]
    try:
        yield
    finally:
        del INITS[name]


@pytest.mark.parametrize("both", pairs_of([]), ids=str)
def test_every_initializer_of_ours_draws_torchs_bits_where_both_can(both: Pair) -> None:
    found = []
    for shape in SHAPES.values():
        with suppress(InitBenchError):
            found.append(same_bits(both, shape))
    assert found and set(found) == {1.0}


def test_equal_bits_are_more_than_equal_values() -> None:
    zero, nan = torch.zeros(1), torch.tensor([torch.nan])
    assert not equal_bits(zero, -zero)
    assert equal_bits(nan, nan)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=str)
def test_torchs_default_is_drawn_from_a_module(shape: tuple[int, ...]) -> None:
    """``reset_parameters`` of linear and convolutional layers draws U(±1/√fan_in)."""
    bound = 1 / np.sqrt(np.prod(shape[1:]))
    weight = draw(parse("torch.default"), shape, stream(0, "w"))
    assert weight.shape == shape
    assert 0.99 * bound < weight.abs().max() <= bound
    twin = Pair(a=parse("torch.default"), b=InitSpec("torch.kaiming_uniform", (("a", 5**0.5),)))
    assert same_bits(twin, shape) == 1


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (InitSpec("torch.dirac"), (8, 8), "dirac_ refuses a weight of shape"),
        (InitSpec("normal", (("std", 3e38),)), (64, 64), "draws nan or inf into"),
        (InitSpec("lsuv"), (8, 8), "lsuv fills whole networks and cannot fill a single tensor"),
    ],
)
def test_what_cannot_be_drawn_says_why(
    spec: InitSpec, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InitBenchError, match=message):
        draw(spec, shape, stream(0, "w"))


def test_a_shape_that_one_side_refuses_is_a_row_that_says_so() -> None:
    rows = rows_of("torch.dirac", "he_normal")
    refused = [row for row in rows.values() if row.note]
    assert [row.setting.split()[0] for row in refused] == ["square", "tall", "wide"]
    assert all("dirac_ refuses" in row.note and np.isnan(row.value) for row in refused)
    assert rows["conv", "same bits"].value == 0


def test_he_and_glorot_differ_by_the_ratio_of_their_formulas() -> None:
    rows = rows_of("he_normal", "xavier_normal")
    for name, (n_out, n_in) in {"square": (128, 128), "tall": (256, 64), "wide": (64, 256)}.items():
        truth = np.sqrt((n_in + n_out) / n_in)
        row = rows[name, "std ratio"]
        assert row.low < truth < row.high
        assert row.p < 1e-20
        assert rows[name, "KS distance"].p < 1e-20


def test_the_ks_distance_of_two_known_laws_lies_in_its_interval() -> None:
    rows = rows_of("normal", "torch.uniform(a=-1, b=1)")
    x = np.linspace(-4, 4, 100_001)
    truth = np.abs(stats.norm.cdf(x) - stats.uniform.cdf(x, -1, 2)).max()
    for name in SHAPES:
        row = rows[name, "KS distance"]
        assert row.low < truth < row.high


def test_orthogonal_weights_of_the_same_std_are_told_by_their_spectrum() -> None:
    rows = rows_of("torch.orthogonal", "lecun_normal")
    spectrum = rows["square", "spectrum ratio"]
    assert spectrum.p < 1e-20
    assert spectrum.high < 0.6, "independent entries: about 2, orthogonal: 1"
    assert rows["square", "std ratio"].low < 1 < rows["square", "std ratio"].high


def test_rounding_is_no_difference() -> None:
    """An orthogonal matrix computed another way differs in its last bits alone."""

    def other_(tensor: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        with torch.no_grad():
            exact = torch.empty(tensor.shape, dtype=torch.float64)
            torch.nn.init.orthogonal_(exact, generator=generator)
            return tensor.copy_(exact)

    with registered("other_orthogonal", other_):
        rows = rows_of("torch.orthogonal", "other_orthogonal")
    tested = [row for row in rows.values() if row.quantity in ("std ratio", "spectrum ratio")]
    assert all(row.p > DRAW_ALPHA for row in tested)


def test_a_plugin_of_the_same_law_but_other_bits_is_not_told_apart() -> None:
    def flipped_(tensor: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        return he_normal_(tensor, generator=generator).neg_()

    with registered("flipped_he", flipped_):
        rows = rows_of("flipped_he", "he_normal")
    assert rows["square", "same bits"].value == 0
    tests = [row.p for row in rows.values() if not np.isnan(row.p)]
    assert min(tests) * len(tests) > DRAW_ALPHA


def test_zeros_have_no_ratio_but_a_distance() -> None:
    rows = rows_of("zeros", "he_normal")
    assert rows["square", "std ratio"].value == 0
    assert np.isnan(rows["square", "std ratio"].p)
    assert rows["square", "KS distance"].p < 1e-20
    assert np.isnan(rows_of("zeros", "torch.zeros")["square", "std ratio"].value)


def test_draws_are_sorted_repeatable_and_leave_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    first, again = (draws(parse("torch.sparse(sparsity=0.5)"), (16, 8)) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(first.entries, again.entries)
    assert (np.diff(first.entries) >= 0).all()
    assert len(first.entries) == DRAWS * 16 * 8


def test_the_rms_and_spectrum_are_those_of_numpy() -> None:
    found = draws(parse("he_normal"), (6, 4, 3, 3))
    weight = draw(parse("he_normal"), (6, 4, 3, 3), stream(0, "compare/he_normal/(6, 4, 3, 3)"))
    values = np.linalg.svd(weight.numpy().reshape(6, 36), compute_uv=False)
    assert found.rms[0] == pytest.approx(np.sqrt(np.mean(weight.numpy() ** 2)), rel=1e-6)
    assert found.spectrum[0] == pytest.approx(values[0] / np.sqrt(np.mean(values**2)), rel=1e-5)


def test_quantiles_are_those_of_the_first_shape_both_can_fill() -> None:
    frame = quantiles(pair("torch.dirac", "he_normal"))
    assert frame["shape"].unique().tolist() == ["conv 64x32x3x3"]
    he = frame[frame["init"] == "he_normal"]
    exact = stats.norm.ppf(he["probability"], scale=np.sqrt(2 / (32 * 9)))
    # The error of a quantile: √(p(1 − p)/n) / density; 6 of them for 500 points.
    n = DRAWS * 64 * 32 * 9
    spread = np.sqrt(he["probability"] * (1 - he["probability"]) / n)
    tolerance = 6 * spread / stats.norm.pdf(exact, scale=np.sqrt(2 / (32 * 9)))
    assert (np.abs(he["value"] - exact) < tolerance).all()


def test_quantiles_of_what_shares_no_shape_are_empty() -> None:
    assert quantiles(Pair(a=InitSpec("of_a_plugin"), b=parse("zeros"))).empty


def test_the_distance_and_its_p_are_scipys() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=200), random.normal(0.5, size=300)
    found, truth = ks_distance(a, b), stats.ks_2samp(a, b)
    assert (found["value"], found["p"]) == (truth.statistic, truth.pvalue)


def test_the_ratio_and_its_p_are_welchs_test_of_the_logarithms() -> None:
    random = np.random.default_rng(0)
    a, b = np.exp(random.normal(0, 0.1, 20)), np.exp(random.normal(0.05, 0.3, 15))
    found = mean_ratio(a, b)
    truth = stats.ttest_ind(np.log(a), np.log(b), equal_var=False)
    ends = truth.confidence_interval(1 - DRAW_ALPHA)
    assert found["p"] == pytest.approx(truth.pvalue, rel=1e-2)  # logarithms are rounded to 1e-5
    assert (found["low"], found["high"]) == pytest.approx(np.exp([ends.low, ends.high]), rel=1e-4)
