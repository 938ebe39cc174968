"""assert_healthy against a baseline of known findings, and the names that tests rely on."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from init_bench.diagnosis.rules.menu import verdict_names
from init_bench.errors import InitBenchError
from init_bench.testing import WRITE_BASELINES, assert_healthy, write_baseline

STABLE = (
    "nonfinite",
    "exploding_signal",
    "vanishing_signal",
    "symmetric",
    "dead_units",
    "saturated",
    "collapsed",
    "vanishing_gradient",
    "exploding_gradient",
    "one_sided",
)
"""Names that tests of users hold, in ``allow`` and in baselines: add to them, take none away."""


def test_names_of_verdicts_stay() -> None:
    assert set(STABLE) <= set(verdict_names())


def batch() -> Tensor:
    return torch.randn(16, 20, generator=torch.Generator().manual_seed(0))


def model_with_zeros(*layers: int) -> nn.Sequential:
    """A sound network but for these layers, whose weights are 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            *(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 2))
        )
    for layer in layers:
        nn.init.zeros_(model[layer].weight)  # type: ignore[arg-type]
    return model


def test_a_known_finding_passes_and_a_new_one_fails(tmp_path: Path) -> None:
    path = tmp_path / "baselines" / "net.json"
    write_baseline(path, model_with_zeros(0), batch())
    assert_healthy(model_with_zeros(0), batch(), baseline=path)
    with pytest.raises(AssertionError, match=r'not in .*net\.json: .*\(first at layer "2"\)'):
        assert_healthy(model_with_zeros(2), batch(), baseline=path)


def test_a_finding_that_is_gone_passes(tmp_path: Path) -> None:
    write_baseline(tmp_path / "net.json", model_with_zeros(0), batch())
    assert_healthy(model_with_zeros(), batch(), baseline=tmp_path / "net.json")


def test_a_baseline_of_nothing_lets_nothing_pass(tmp_path: Path) -> None:
    write_baseline(tmp_path / "net.json", model_with_zeros(), batch())
    with pytest.raises(AssertionError):
        assert_healthy(model_with_zeros(0), batch(), baseline=tmp_path / "net.json")


def test_the_same_findings_are_the_same_file(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path in paths:
        write_baseline(path, model_with_zeros(0, 2), batch())
    assert paths[0].read_bytes() == paths[1].read_bytes()
    findings = json.loads(paths[0].read_text())["findings"]
    assert findings == sorted(findings, key=lambda one: (one["verdict"], one["layer"]))
    assert {one["layer"] for one in findings} >= {"0", "2"}


def test_the_environment_variable_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.json"
    monkeypatch.setenv(WRITE_BASELINES, "1")
    assert_healthy(model_with_zeros(0), batch(), baseline=path)
    monkeypatch.delenv(WRITE_BASELINES)
    assert_healthy(model_with_zeros(0), batch(), baseline=path)


def test_a_missing_baseline_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match=rf"no baseline .*net\.json.*{WRITE_BASELINES}=1"):
        assert_healthy(model_with_zeros(), batch(), baseline=tmp_path / "net.json")


@pytest.mark.parametrize("text", ["", "[]", '{"findings": [{"layer": "0"}]}', '{"findings": 3}'])
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(InitBenchError, match="is no baseline"):
        assert_healthy(model_with_zeros(), batch(), baseline=tmp_path / "net.json")
