"""All pairs of arms: few false differences, planted ones found, degenerate cases."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from init_bench.statistics.all_pairs import all_pairs, holm, not_shown_worse, paired_t_p


def simulated(rng: np.random.Generator, shifts: list[float], seeds: int = 10) -> pd.DataFrame:
    """Return losses of arms whose runs share what a seed does, as paired runs do."""
    shared = rng.normal(1.0, 0.05, (seeds, 1))
    own = rng.lognormal(sigma=0.1, size=(seeds, len(shifts))) * 0.1
    return pd.DataFrame(shared + own + shifts, columns=[f"arm{i}" for i in range(len(shifts))])


@pytest.mark.parametrize("arms", [2, 8])
def test_two_names_of_one_distribution_do_not_differ_in_95_of_100_benches(arms: int) -> None:
    """The first two arms are one distribution; the others are worse, each by its own step."""
    rng = np.random.default_rng(0)
    shifts = [0.0, 0.0, *(0.05 * i for i in range(1, arms - 1))]
    same = 0
    for _ in range(200):
        table = all_pairs(simulated(rng, shifts), margin=0.02)
        pair = table[table["a"].isin(["arm0", "arm1"]) & table["b"].isin(["arm0", "arm1"])]
        same += bool(pair["verdict"].item() == "no difference")
    assert same >= 190


def test_no_pair_of_equal_arms_differs_in_95_of_100_benches() -> None:
    """Holm keeps the chance of any false difference of a whole task, without a margin too."""
    rng = np.random.default_rng(1)
    clean = 0
    for _ in range(200):
        table = all_pairs(simulated(rng, [0.0] * 8))
        clean += bool((table["verdict"] == "no difference").all())
    assert clean >= 188  # 95 % expected at the least, less two standard errors


def test_a_planted_difference_is_found() -> None:
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        table = all_pairs(simulated(rng, [0.0, 0.1, 0.1, 0.1, 0.1, 0.1]), margin=0.02)
        found += not_shown_worse(table, "arm0") == ["arm0"]
    assert found >= 95


def test_the_p_value_is_scipys_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=10), rng.normal(size=10)
    assert paired_t_p((b - a)[:, None]).item() == pytest.approx(stats.ttest_rel(b, a).pvalue)


def test_differences_without_spread_are_none_or_certain() -> None:
    assert paired_t_p([[0.0, 0.5], [0.0, 0.5], [0.0, 0.5]]).tolist() == [1, 0]
    assert math.isnan(paired_t_p([[0.5]]).item())


def test_a_difference_below_the_margin_counts_as_none() -> None:
    values = pd.DataFrame({"x": [1.0, 1.01, 0.99, 1.0], "y": [1.005, 1.0151, 0.9949, 1.005]})
    assert all_pairs(values)["verdict"].item() == "differs"
    assert all_pairs(values, margin=0.02)["verdict"].item() == "no difference"


def test_the_lower_arm_stands_first_and_the_interval_covers_all_pairs() -> None:
    values = pd.DataFrame({"c": [3.0, 3.2, 3.1], "a": [1.0, 1.1, 1.2], "b": [2.0, 2.3, 2.1]})
    table = all_pairs(values)
    assert table[["a", "b"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert (table["difference"] > 0).all()
    assert (table["ci_low"] < table["difference"]).all()
    assert holm(table["p"]).tolist() == table["p_holm"].tolist()
    assert (table["p_holm"] >= table["p"]).all()


def test_a_pair_is_tested_on_the_seeds_that_both_arms_have() -> None:
    rng = np.random.default_rng(4)
    values = simulated(rng, [0.0, 0.1, 0.2], seeds=20)
    values.loc[10:, "arm2"] = np.nan
    table = all_pairs(values).set_index(["a", "b"])
    assert table["n"].tolist() == [20, 10, 10]
    for row in table.reset_index().to_dict("records"):
        both = values[[row["a"], row["b"]]].dropna()
        lower, higher = both[row["a"]], both[row["b"]]
        assert row["p"] == pytest.approx(stats.ttest_rel(higher, lower).pvalue)
        assert row["difference"] == pytest.approx((higher - lower).mean())


def test_the_lower_arm_of_a_pair_is_that_on_their_own_seeds() -> None:
    values = pd.DataFrame({"few": [2.0, 2.1, np.nan, np.nan], "many": [1.0, 1.2, 9.0, 9.0]})
    assert all_pairs(values)[["a", "b"]].to_numpy().tolist() == [["many", "few"]]


def test_three_looks_make_every_test_three_times_as_strict() -> None:
    values = simulated(np.random.default_rng(5), [0.0, 0.02, 0.04])
    once, thrice = all_pairs(values), all_pairs(values, looks=3)
    assert thrice["p_holm"].tolist() == np.minimum(1, 3 * once["p_holm"]).tolist()
    assert (thrice["ci_low"] < once["ci_low"]).all()
    assert (thrice["ci_high"] > once["ci_high"]).all()
