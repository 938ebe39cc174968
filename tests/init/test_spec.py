"""Spec strings: parsed, never run; every fault says what was given and what may be."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import ALIASES, INITS, InitSpec, all_inits, canonical, normal_, parse

MALFORMED = r"is malformed: write name or name\(key=value, \.\.\.\).* such as he_normal"

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)


def needs_nothing(name: str) -> bool:
    try:
        parse(name)
    except InitBenchError:
        return False
    return True


@pytest.mark.parametrize("name", [*filter(needs_nothing, all_inits())])
def test_a_bare_name_is_its_own_canonical_spec(name: str) -> None:
    assert canonical(name) == name
    assert canonical(f"  {name}()  ") == name


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_resolves_to_its_canonical_name(alias: str) -> None:
    assert canonical(alias) == ALIASES[alias]


@given(mean=numbers, std=numbers)
def test_canonical_of_canonical_is_canonical(mean: float, std: float) -> None:
    once = canonical(f"normal(mean={mean!r}, std={std!r})")
    assert canonical(once) == once
    assert dict(parse(once).arguments) == {"mean": mean, "std": std}


@given(value=st.text(max_size=20) | st.booleans() | st.none() | numbers)
def test_any_literal_survives_the_round_trip(value: object) -> None:
    spec = InitSpec("constant", (("value", value),))  # type: ignore[arg-type]
    read = parse(str(spec))
    assert str(read) == str(spec)
    assert read.arguments[0][1] == value


@given(text=st.text(max_size=40))
def test_any_text_is_either_a_spec_or_an_error_of_ours(text: str) -> None:
    try:
        spec = str(parse(text))
    except InitBenchError as error:
        spec = ""
        assert repr(text) in str(error) or "unknown init" in str(error)
    assert canonical(spec or "zeros") == (spec or "zeros")


@pytest.mark.parametrize(
    ("given_spec", "spelled"),
    [
        ("normal(std=1.0)", "normal(std=1)"),
        ("normal( std = 1e-2 )", "normal(std=0.01)"),
        ("normal(std=.01)", "normal(std=0.01)"),
        ("normal(std=1,)", "normal(std=1)"),
        ("normal(mean=-0.0, std=+2)", "normal(mean=0, std=2)"),
        ('he_normal(mode="fan_out")', "he_normal(mode='fan_out')"),
        ("kaiming_normal(a=1.0)", "he_normal(a=1)"),
        ("constant(value=0.50)", "constant(value=0.5)"),
        ("torch.kaiming_normal(mode='fan_out')", "torch.kaiming_normal(mode='fan_out')"),
    ],
)
def test_one_meaning_has_one_spelling(given_spec: str, spelled: str) -> None:
    assert canonical(given_spec) == spelled


def test_a_spec_fills_as_the_function_does() -> None:
    weight = parse("normal(std=0.01)")(torch.empty(4, 3), generator=stream(0, "w"))
    assert torch.equal(weight, normal_(torch.empty(4, 3), std=0.01, generator=stream(0, "w")))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", MALFORMED),
        ("   ", MALFORMED),
        ("normal(std=)", MALFORMED),
        ("normal(std=1", MALFORMED),
        ("normal(1)", MALFORMED),
        ("normal(std=1, std=2)", MALFORMED),
        ("normal(**{'std': 1})", MALFORMED),
        ("normal(*[1])", MALFORMED),
        ("__import__('os')", MALFORMED),
        ("normal(std=1)(std=2)", MALFORMED),
        ("normal; zeros", MALFORMED),
        ("normal[0]", MALFORMED),
        ("3", MALFORMED),
        ("(" * 5000, MALFORMED),
        ("normal\0", MALFORMED),
        ("normal(std=1e999)", r"1e\+?\d+ is not finite"),
        ("normal(std=-1e999)", r"-1e\+?\d+ is not finite"),
        ("normal(std=nan)", "nan is no literal; a value is a number, a quoted string"),
        ("normal(std=open('x'))", r"open\('x'\) is no literal; a value is a number"),
        ("normal(std=1+1)", r"1 \+ 1 is no literal"),
        ("normal(std=[1])", r"\[1\] is no literal"),
        ("normal(std={[]})", r"\{\[\]\} is no literal"),
        ("normal(std={[]: 1})", r"\{\[\]: 1\} is no literal"),
        ("normal(std=2j)", "2j is no literal"),
        ("normal(std=b'1')", "b'1' is no literal"),
        ("he_normal(mode=fan_out)", "fan_out is no literal; .* a quoted string"),
        ("normal(sd=1)", r"normal takes no 'sd': did you mean 'std'\? It takes: mean, std\."),
        ("zeros(value=1)", r"zeros takes no 'value'\. It takes: no arguments\."),
        ("normal(generator=None)", r"normal takes no 'generator'.* It takes: mean, std\."),
        ("normal(tensor=1)", r"normal takes no 'tensor'.* It takes: mean, std\."),
        ("constant", r"constant needs value, as in constant\(value=0\.5\)"),
        ("torch.default(a=1)", r"torch\.default takes no 'a'\. It takes: no arguments\."),
    ],
)
def test_a_malformed_spec_is_shown_with_what_may_be(spec: str, message: str) -> None:
    with pytest.raises(InitBenchError, match=f"^init {re.escape(repr(spec))}:? .*{message}"):
        parse(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("he_norml", "unknown init 'he_norml': did you mean 'he_normal'. Similar: "),
        ("kaiming_norml", "unknown init 'kaiming_norml': did you mean 'he_normal'"),
        ("torch.defualt", "unknown init 'torch.defualt': did you mean 'torch.default'"),
        ("os.system", "unknown init 'os.system'.* List all: init-bench list inits"),
        ("he_normal_", "unknown init 'he_normal_': did you mean 'he_normal'"),
    ],
)
def test_an_unknown_name_is_shown_with_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        parse(spec)


@pytest.mark.parametrize("spec", [None, 3, ["he_normal"], b"he_normal"], ids=str)
def test_a_spec_that_is_no_string_is_refused(spec: Any) -> None:
    message = rf"an init is a string such as .*, got {re.escape(repr(spec))}"
    with pytest.raises(InitBenchError, match=message):
        parse(spec)


def test_nothing_in_a_spec_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    with pytest.raises(InitBenchError, match="is no literal"):
        parse(f"normal(std=open({str(trap)!r}, 'w'))")
    assert not trap.exists()


def test_a_number_too_large_for_a_float_is_refused_when_filling() -> None:
    with pytest.raises(InitBenchError, match=r"(not finite|must be a finite number)"):
        parse("normal(std=1" + "0" * 400 + ")")(torch.empty(2, 2))


def test_the_order_of_arguments_makes_no_other_cell() -> None:
    assert canonical("normal(std=2, mean=1)") == "normal(mean=1, std=2)"


def test_a_layer_alone_can_be_filled_by_tensor_inits_and_by_torchs_default() -> None:
    alone = {name for name in all_inits() if InitSpec(name).fills_one_layer}
    assert alone == {*INITS, "torch.default"}
    assert [name for name in alone if InitSpec(name).resets_modules] == ["torch.default"]
