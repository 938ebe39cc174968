"""From numbers to words: Holm by question, and what each pair's verdict says."""

import math
from typing import Any

import numpy as np
import pytest

from init_bench.comparison.measurements import Row
from init_bench.comparison.pair_verdicts import COLUMNS, judge, verdict_of
from init_bench.comparison.pairs_from_names import Pair
from init_bench.comparison.report import text_of
from init_bench.init import parse
from init_bench.statistics.all_pairs import holm

PAIR = Pair(a=parse("he_normal"), b=parse("lecun_normal"))
SHAPE = "square 128x128"


def row(quantity: str, value: float = math.nan, **given: Any) -> Row:
    question = {
        **dict.fromkeys(("same start", "final loss", "mean loss", "diverged"), "training"),
        "time": "speed",
    }.get(quantity, "distribution")
    return Row(
        **{"pair": PAIR, "question": question, "setting": SHAPE, **given},
        quantity=quantity,
        value=value,
    )


def drawn(bits: float = 0.0, ks_p: float = 0.5, ratio_p: float = 0.5) -> list[Row]:
    return [
        row("same bits", bits, n=5),
        row("KS distance", 0.1, low=0.09, high=0.11, p=ks_p),
        row("std ratio", 1.41, low=1.4, high=1.42, p=ratio_p),
    ]


def verdict(*rows: Row) -> str:
    return verdict_of(judge([PAIR], rows))


def verdicts(*rows: Row) -> list[str]:
    return judge([PAIR], rows)["verdict"].tolist()


def test_the_table_has_its_columns_and_a_definition_for_every_number() -> None:
    table = judge([PAIR], [*drawn(), row("time", 1.0, low=0.9, high=1.1)])
    assert tuple(table.columns) == COLUMNS
    assert table["definition"].str.len().min() > 20
    assert table[["pair", "a", "b"]].drop_duplicates().values.tolist() == [
        ["he_normal vs lecun_normal", "he_normal", "lecun_normal"]
    ]


def test_holm_counts_the_tests_of_one_question_over_all_pairs() -> None:
    other = Pair(a=parse("zeros"), b=parse("ones"))
    rows = [
        row("KS distance", 0.1, p=0.01),
        row("KS distance", 0.1, p=0.02, pair=other),
        row("final loss", 0.1, p=0.03, n=10),
    ]
    table = judge([PAIR, other], rows)
    drawn, trained = (table[table["question"] == q] for q in ("distribution", "training"))
    assert drawn["p_holm"].tolist() == holm([0.01, 0.02]).tolist()
    assert trained["p_holm"].tolist() == [0.03]


def test_rows_come_pair_by_pair_in_the_order_of_the_pairs() -> None:
    other = Pair(a=parse("zeros"), b=parse("ones"))
    rows = [row("same bits", 1, pair=other), row("same bits", 0), row("time", 1, pair=other)]
    assert judge([PAIR, other], rows)["pair"].tolist() == [str(PAIR), str(other), str(other)]


def test_the_same_bits_everywhere_is_the_same_bits() -> None:
    assert verdict(*drawn(1.0), row("same start", 1.0)) == "the same bits"


def test_the_same_bits_of_weights_but_not_of_networks_is_the_same_distribution() -> None:
    assert verdict(*drawn(1.0), row("same start", 0.0)) == "the same distribution"


def test_other_bits_that_no_test_tells_apart_are_the_same_distribution() -> None:
    assert verdict(*drawn()) == "the same distribution"


def test_a_difference_says_in_what_by_how_much_and_with_its_interval() -> None:
    by_std = verdict(
        *drawn(ks_p=0, ratio_p=0), row("final loss", -1.3, low=-1.4, high=-1.2, p=0.002, n=10)
    )
    assert by_std == (
        "differs: he_normal trains better: final loss lower by 1.3 [1.2, 1.4]; weights of "
        "he_normal have 1.41 [1.4, 1.42] times the std of those of lecun_normal (square 128x128)"
    )
    by_shape = verdict(*drawn(ks_p=0))
    assert by_shape == (
        "differs: the distributions of the weights are a KS distance of 0.1 [0.09, 0.11] apart "
        "(square 128x128)"
    )


def test_the_side_with_the_lower_final_loss_is_better_whichever_it_is() -> None:
    final = row("final loss", 0.487, low=0.379, high=0.623, p=0.002, n=10)
    assert verdict(*drawn(), final) == (
        "differs: lecun_normal trains better: final loss lower by 0.487 [0.379, 0.623]"
    )
    mean = row("mean loss", -0.2, low=-0.3, high=-0.1, p=0.002, n=10)
    assert verdict(*drawn(), final, mean).endswith(", mean loss higher by 0.2 [0.1, 0.3]")
    assert verdict(*drawn(), mean) == (
        "differs: he_normal trains better: mean loss lower by 0.2 [0.1, 0.3]"
    )


def test_where_shapes_differ_by_different_amounts_the_range_is_said() -> None:
    shapes = (("tall", 1.3, 0.0), ("wide", 0.5, 0.0), ("square", 1.01, 0.7))
    rows = [row("std ratio", value, p=p, setting=name) for name, value, p in shapes]
    assert verdict(row("same bits", 0), *rows) == (
        "differs: weights of he_normal have 0.5 to 1.3 times the std of those of lecun_normal "
        "(on 2 of 3 shapes)"
    )
    equal = [row("std ratio", 1.4, p=0, setting=f"layer {name}") for name in "xy"]
    assert verdict(row("same bits", 0), *equal).endswith(
        "1.4 times the std of those of lecun_normal (on 2 of 2 layers)"
    )


def test_a_difference_in_divergence_alone_is_a_difference() -> None:
    gone = row("diverged", 1.0, p=2 / 2**10, n=10, note="a: 10 of 10 seeds, b: 0 of 10")
    assert verdict(*drawn(), gone) == (
        "differs: lecun_normal diverges less often (a: 10 of 10 seeds, b: 0 of 10)"
    )


@pytest.mark.parametrize(
    ("seeds", "said"),
    [(10, "no difference found in training"), (3, "too few seeds to judge training")],
)
def test_a_pair_that_draws_otherwise_but_trains_alike_says_so(seeds: int, said: str) -> None:
    trained = row("final loss", 0.1, p=0.5, n=seeds)
    assert verdict(*drawn(ks_p=0), trained).endswith(f"(square 128x128); {said}")


def test_a_draw_needs_a_smaller_p_than_training_to_differ() -> None:
    assert verdicts(row("KS distance", 0.1, p=0.002)) == ["no difference found"]
    assert verdicts(row("KS distance", 0.1, p=0.0002)) == ["differs"]
    assert verdicts(row("final loss", 0.1, p=2 / 2**10, n=10)) == ["differs"]


def test_the_sides_are_named_first_and_draws_are_said_to_come_from_other_seeds() -> None:
    rows = [*drawn(1.0), row("same start", note="why"), row("time", note="why")]
    assert (
        "v\n  a = he_normal, b = lecun_normal\n"
        "  draws     from the same seed, the same bits on 1 of 1 shapes; from different seeds, "
        "KS distance up to 0.1 (p_holm 1), std of a / std of b 1.41\n"
    ) in text_of(judge([PAIR], rows), {str(PAIR): "v"})


@pytest.mark.parametrize(
    ("setting", "told"), [("MLP, seeds 0-9", False), ("MLP, seeds 0-9, look 1 of 3", True)]
)
def test_the_legend_explains_what_is_shown_and_no_more(setting: str, told: bool) -> None:
    trained = row("final loss", 0.1, p=0.6, n=10, setting=setting)
    table = judge([PAIR], [*drawn(), trained, row("time", note="why")])
    text = text_of(table, {str(PAIR): "v"})
    assert ("Look k of K" in text) == told
    assert "p_holm: p-value" in text and "KS distance: largest" in text

    bare = judge([PAIR], [row("same bits", 1), row("same start", note="why"), row("time")])
    text = text_of(bare, {str(PAIR): "v"})
    assert "Final loss:" not in text and "KS distance" not in text and "p_holm" not in text


def test_too_few_seeds_for_any_verdict_say_how_many_are_needed() -> None:
    assert verdicts(row("final loss", 0.1, p=0.0625, n=5)) == [
        "undecided: 5 seeds, at least 6 needed"
    ]
    assert verdicts(row("final loss", 0.1, p=0.6, n=10)) == ["no difference found"]


def test_a_moment_off_what_is_stated_is_no_difference_of_the_pair_but_told() -> None:
    rows = [*drawn(), row("variance of b", 0.77, low=0.76, high=0.78, p=0)]
    assert verdicts(*rows)[-1] == "not as stated"
    assert verdict(*rows) == "the same distribution"
    table = judge([PAIR], [*rows, row("same start", note="why"), row("time", note="why")])
    assert "variance of b not as its definition states" in text_of(table, {str(PAIR): "v"})


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (1.0, 0.9, 1.1, "no clear difference"),
        (1.05, 1.01, 1.1, "as fast, within 10 %"),
        (1.5, 0.9, 2.0, "no clear difference"),
        (1.5, 1.05, 2.0, "no clear difference"),
        (0.9, 0.79, 2.03, "no clear difference"),
        (1.05, 1.01, 1.2, "no clear difference"),
        (0.8, 0.7, 0.95, "no clear difference"),
        (1.5, 1.2, 2.0, "slower"),
        (0.5, 0.4, 0.9, "faster"),
        (math.nan, math.nan, math.nan, "not compared"),
    ],
)
def test_one_side_is_faster_where_the_whole_interval_is_beyond_ten_percent(
    value: float, low: float, high: float, said: str
) -> None:
    assert verdicts(row("time", value, low=low, high=high)) == [said]


def test_what_could_not_be_measured_says_why() -> None:
    refused = row("same bits", note="dirac_ refuses")
    assert verdict(refused, row("same start", note="no grid")) == "not compared: dirac_ refuses"
    trained = row("final loss", 0.1, p=0.5, n=10)
    assert verdict(refused, trained) == (
        "no difference found in training; draws not compared: dirac_ refuses"
    )


def test_no_divergence_is_no_test() -> None:
    assert verdicts(row("diverged", 0.0, n=10)) == ["none diverged"]


def test_a_pair_not_trained_for_its_equal_start_is_the_same() -> None:
    assert verdicts(row("final loss", 0.0, note="not trained")) == ["the same"]
    assert verdicts(row("final loss", 0.0, low=0.0, high=0.0, p=1.0, n=10)) == ["the same"]


def test_judging_leaves_no_row_without_a_verdict() -> None:
    rows = [row(q, v) for q in ("same bits", "mean of a", "spectrum ratio") for v in (np.nan, 0.5)]
    assert all(verdicts(*rows))
