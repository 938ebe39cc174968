"""Which initializers stand beside which."""

import pytest

from init_bench.comparison.pairs_from_names import (
    STAND_IN,
    counterpart_name,
    pairs_of,
    without_counterpart,
)
from init_bench.errors import InitBenchError
from init_bench.init import ALIASES, INITS, menu_rows, parse

OURS = [name for name in INITS if not name.startswith("torch.")]


@pytest.mark.parametrize("name", OURS)
def test_every_initializer_of_ours_is_paired_or_said_to_have_no_counterpart(name: str) -> None:
    paired = [pair for pair in pairs_of([]) if pair.a.name == name]
    assert len(paired) == (name not in without_counterpart())
    assert all(pair.b.name.startswith("torch.") for pair in paired)


@pytest.mark.parametrize("torchs", [name for name in INITS if name.startswith("torch.")])
def test_torchs_initializer_of_a_name_of_ours_or_an_alias_is_its_counterpart(torchs: str) -> None:
    plain = torchs.removeprefix("torch.")
    ours = ALIASES.get(plain, plain)
    if ours in INITS:
        assert counterpart_name(ours) == torchs


def test_the_whole_menu_is_accounted_for_whatever_an_initializer_needs() -> None:
    ours = {row["name"] for row in menu_rows() if not row["name"].startswith("torch.")}
    assert {pair.a.name for pair in pairs_of([])} | set(without_counterpart()) == ours


def test_both_sides_get_the_stand_in_for_an_argument_without_default() -> None:
    (pair,) = [pair for pair in pairs_of([]) if pair.a.name == "constant"]
    assert pair.a.arguments == (("value", STAND_IN),)
    assert pair.b.arguments == (("val", STAND_IN),)


@pytest.mark.parametrize(
    ("name", "counterpart"),
    [
        ("he_normal", "torch.kaiming_normal"),
        ("glorot_uniform(gain=2)", "torch.xavier_uniform(gain=2)"),
        ("he_uniform(mode='fan_out')", "torch.kaiming_uniform(mode='fan_out')"),
        ("constant(value=3)", "torch.constant(val=3)"),
        ("lecun_normal", "torch.kaiming_normal(nonlinearity='linear')"),
    ],
)
def test_one_name_meets_its_counterpart_with_the_same_arguments(
    name: str, counterpart: str
) -> None:
    (pair,) = pairs_of([name])
    assert (pair.a, str(pair.b)) == (parse(name), counterpart)


def test_several_names_meet_every_other_one_once() -> None:
    names = ["zeros", "ones", "he_normal", "torch.default"]
    found = [(str(pair.a), str(pair.b)) for pair in pairs_of(names)]
    assert len(found) == 6
    assert found[:3] == [("zeros", "ones"), ("zeros", "he_normal"), ("zeros", "torch.default")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["he_norml"], "did you mean 'he_normal'"),
        (["constant"], r"needs value, as in constant\(value=0.5\)"),
        (
            ["he_normal", "kaiming_normal"],
            "'kaiming_normal' are the same initializer, he_normal",
        ),
        (["variance_scaling"], "no counterpart in torch.nn.init: name a second initializer"),
        (["torch.default"], "no counterpart"),
        (["zeros", "ones", "zeros"], "name it once"),
    ],
)
def test_names_that_make_no_pair_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        pairs_of(names)


def test_all_unknown_names_are_told_at_once() -> None:
    with pytest.raises(InitBenchError) as told:
        pairs_of(["he", "xavier", "zeros"])
    first, second = str(told.value).splitlines()
    assert "unknown init 'he': did you mean 'he_normal'?" in first
    assert "unknown init 'xavier': did you mean 'xavier_normal'?" in second
