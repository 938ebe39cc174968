"""Errors name the bad value, the allowed ones and the fix."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from typer.testing import CliRunner

from init_bench.cli.app import app
from init_bench.cli.early_checks import check_inits
from init_bench.errors import (
    LISTED,
    LONG,
    InitBenchError,
    check_finite,
    lookup,
    misfit,
    nearest,
    similar_names,
)
from init_bench.init import parse
from init_bench.training.devices import resolve_device

MENU = {"he_normal": 1, "lecun_normal": 2, "zeros": 3}


def test_the_one_exception_is_a_value_error() -> None:
    assert issubclass(InitBenchError, ValueError)


@given(menu=st.dictionaries(st.text(), st.integers(), min_size=1), data=st.data())
def test_lookup_finds_what_is_there(menu: dict[str, int], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(menu)))
    assert lookup(menu, name, kind="thing") == menu[name]


def test_lookup_says_what_was_asked_what_is_near_and_what_exists() -> None:
    expected = (
        r"^unknown init 'he_norml': did you mean 'he_normal'\? "
        r"Known: he_normal, lecun_normal, zeros\.$"
    )
    with pytest.raises(InitBenchError, match=expected):
        lookup(MENU, "he_norml", kind="init")


def test_lookup_guesses_nothing_where_nothing_is_near() -> None:
    expected = r"^unknown init 'qqq'\. Known: he_normal, lecun_normal, zeros\.$"
    with pytest.raises(InitBenchError, match=expected):
        lookup(MENU, "qqq", kind="init")


@given(name=st.text(max_size=12).filter(lambda name: name not in MENU))
def test_lookup_names_every_choice_whatever_was_asked(name: str) -> None:
    with pytest.raises(InitBenchError, match="Known: he_normal, lecun_normal, zeros") as caught:
        lookup(MENU, name, kind="init")
    assert repr(name) in str(caught.value)


def test_lookup_in_a_long_menu_names_the_similar_and_the_command_that_lists_all() -> None:
    menu = dict.fromkeys([*MENU, *(f"name{i}" for i in range(LONG))])
    expected = (
        "unknown init 'he_norml': did you mean 'he_normal'? Similar: lecun_normal. "
        "List all: init-bench list inits"
    )
    with pytest.raises(InitBenchError, match=f"^{re.escape(expected)}$"):
        lookup(menu, "he_norml", kind="init")
    with pytest.raises(InitBenchError, match=r"^unknown init 'qqq'\. List all: "):
        lookup(menu, "qqq", kind="init")
    with pytest.raises(InitBenchError, match="Known: he_normal, lecun_normal, zeros, name0, "):
        lookup(menu, "qqq", kind="mode")


@pytest.mark.parametrize("kind", LISTED)
def test_the_command_of_the_message_lists_the_menu(kind: str) -> None:
    assert CliRunner().invoke(app, ["list", f"{kind}s"]).exit_code == 0


def test_a_device_called_gpu_is_cuda_to_torch() -> None:
    with pytest.raises(InitBenchError, match=r"device 'gpu' is not available: .* GPU 'cuda'"):
        resolve_device("gpu")


def test_what_is_no_name_of_a_device_is_refused() -> None:
    with pytest.raises(InitBenchError, match="device 3 is not available"):
        resolve_device(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("zero", ": did you mean 'zeros'?"),
        ("He_Normal", ": did you mean 'he_normal'?"),
        ("ZEROES", ": did you mean 'zeros'?"),
        ("qqq", "."),
        ("", "."),
    ],
)
def test_nearest_ends_the_sentence(name: str, guess: str) -> None:
    assert nearest(name, MENU) == guess


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("he", ["he_normal", "he_uniform"]),
        ("xavier", ["xavier_normal", "torch.xavier_normal"]),
        ("default", ["torch.default"]),
        ("kaiming", ["he_normal"]),
        ("Kaiming_Normal_", ["he_normal"]),
        ("zeros_", ["zeros"]),
        ("h", []),
    ],
)
def test_a_part_of_a_name_or_of_its_other_names_suggests_it(name: str, found: list[str]) -> None:
    known = ["he_uniform", "he_normal", "torch.xavier_normal", "xavier_normal", "torch.default"]
    aliases = {"kaiming_normal": "he_normal"}
    assert similar_names(name, [*known, "zeros"], aliases) == found


def test_no_more_names_are_suggested_than_a_line_holds() -> None:
    assert similar_names("he", [f"he_{i}" for i in range(10)]) == [f"he_{i}" for i in range(4)]


@pytest.mark.parametrize(
    ("part", "rule"), [("he", "he"), ("kaiming", "he"), ("xavier", "xavier"), ("glorot", "xavier")]
)
def test_the_shell_and_python_suggest_the_same_rule_for_a_part(part: str, rule: str) -> None:
    expected = f"unknown init '{part}': did you mean '{rule}_normal'. Similar: {rule}_uniform"
    for check in (parse, lambda name: check_inits([name])):
        with pytest.raises(InitBenchError, match=expected):
            check(part)


@pytest.mark.parametrize("name", ["Relu", "RELU", "ReLU"])
def test_case_alone_makes_no_name_another(name: str) -> None:
    assert nearest(name, ["elu", "relu", "prelu"]) == ": did you mean 'relu'?"


@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_finite_returns_a_number_as_float(value: float) -> None:
    assert check_finite(value, "std") == value
    assert type(check_finite(value, "std")) is float


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "1", None, True, [1], 1j, 10**400]
)
def test_finite_refuses_what_is_no_finite_number(value: Any) -> None:
    with pytest.raises(InitBenchError, match=r"^std must be a finite number, got") as caught:
        check_finite(value, "std")
    assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize("value", [-1, -1e-300, -math.inf])
def test_finite_refuses_what_is_below_the_minimum(value: float) -> None:
    with pytest.raises(InitBenchError, match=rf"^std must be a finite number >= 0, got {value!r}$"):
        check_finite(value, "std", minimum=0)


def test_the_minimum_itself_is_allowed() -> None:
    assert check_finite(0, "std", minimum=0) == 0.0


def named(width: int, *, depth: int = 2) -> int:
    return width * depth


@pytest.mark.parametrize("fits", [named, nn.Softmax, lambda *widths: widths, max])
def test_what_takes_the_arguments_passes(fits: object) -> None:
    assert misfit(fits, 3) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "arguments", "why"),
    [
        (named, (), "missing a required argument: 'width'"),
        (named, (1, 2), "too many positional arguments"),
        (nn.Linear, (3,), "missing a required argument: 'out_features'"),
    ],
)
def test_what_does_not_is_told_why(
    function: object, arguments: tuple[object, ...], why: str
) -> None:
    assert misfit(function, *arguments) == why  # type: ignore[arg-type]
