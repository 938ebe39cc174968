"""An initializer from outside states the fields of its record and is treated as one of ours."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.cli.app import main
from init_bench.comparison.pairs_from_names import pairs_of
from init_bench.comparison.tensor_draws import SHAPES, distribution_rows
from init_bench.errors import InitBenchError
from init_bench.init import ALIASES, INITS, he_normal_, register_init
from init_bench.init.lookup import record_of
from init_bench.init.std_formulas import Size


def quarter_he_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Fill ``tensor`` in place from N(0, 1 / (8 fan_in))."""
    he_normal_(tensor, generator=generator).data.mul_(0.25)
    return tensor


def quarter(arguments: Mapping[str, Any], size: Size) -> float:
    return float((8 * size.fan_in) ** -0.5)


@pytest.fixture
def registered() -> Iterator[str]:
    register_init(
        "quarter_he",
        quarter_he_,
        nominal_std=quarter,
        distribution="normal",
        aliases=("quarter_kaiming",),
    )
    yield "quarter_he"
    INITS.pop("quarter_he")
    ALIASES.pop("quarter_kaiming")


def test_it_is_in_the_list_of_the_command_line(
    registered: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["init-bench", "list", "inits", "--json"])
    with pytest.raises(SystemExit) as done:
        main()
    assert not done.value.code
    assert registered in [row["name"] for row in json.loads(capsys.readouterr().out)]


def test_its_nominal_std_is_in_the_report(registered: str) -> None:
    report = ib.initialize(nn.Linear(50, 30), "quarter_kaiming")
    assert report.spec == registered
    assert report.rows[0].std_nominal == pytest.approx(0.05)
    assert report.rows[0].std_measured == pytest.approx(0.05, rel=0.1)


def test_its_draws_are_tested_against_what_it_states(registered: str) -> None:
    rows = distribution_rows(pairs_of([registered, "orthogonal"]))
    moments = [row for row in rows if row.quantity in ("mean of a", "variance of a")]
    assert len(moments) == 2 * len(SHAPES)
    assert all(row.p is not None and row.p > 1e-6 for row in moments)


def test_diagnose_recognizes_its_draws(registered: str) -> None:
    model = nn.Sequential(nn.Linear(50, 30), nn.ReLU(), nn.Linear(30, 5))
    ib.initialize(model, registered)
    found = ib.diagnose(model, torch.randn(16, 50), torch.arange(16) % 5).weights
    assert found.set_index("parameter")["looks_like"]["0.weight"] == registered


def test_it_is_gone_once_popped() -> None:
    register_init("passing", quarter_he_, nominal_std=quarter, aliases=("gone",))
    INITS.pop("passing")
    register_init("passing", quarter_he_)
    try:
        assert record_of("passing").nominal_std is None
    finally:
        INITS.pop("passing")
        ALIASES.pop("gone")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"distribution": "normal"}, "without a standard deviation; give nominal_std="),
        ({"distribution": "cauchy", "nominal_std": quarter}, "unknown distribution 'cauchy'"),
        ({"aliases": ("he_normal",)}, "'he_normal' is taken"),
    ],
)
def test_a_record_that_cannot_hold_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(InitBenchError, match=reason):
        register_init("placeholder", quarter_he_, **fields)
    assert "placeholder" not in INITS
