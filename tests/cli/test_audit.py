"""``init-bench audit``: files and factories, what changed, exit codes."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.cli.in_process import init_bench

save_file = pytest.importorskip("safetensors.torch").save_file

HERE = "tests.models_to_diagnose"

audit = partial(init_bench, "audit")


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A checkpoint whose head is zero and whose first layer is as torch draws it."""
    net = nn.ModuleDict({"body": nn.Linear(64, 64), "head": nn.Linear(64, 2, bias=False)})
    values = net.state_dict()
    values["head.weight"].zero_()
    save_file(values, tmp_path / "net.safetensors")
    return str(tmp_path / "net.safetensors")


def test_the_answer_is_the_first_line(file: str) -> None:
    done = audit(file)
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    assert "1 of 3 parameters is all zero: head.weight." in first
    assert "body.weight" in first


def test_json_has_a_row_per_parameter_and_what_changed(file: str) -> None:
    done = audit(file, "--reference", file, "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert {row["parameter"]: row["change"] for row in rows} == {
        "body.weight": "equal",
        "body.bias": "equal",
        "head.weight": "equal",
    }


def test_a_factory_is_audited_too() -> None:
    done = audit(f"{HERE}:sound", "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert {row["module"] for row in rows} == {"Linear"}


def test_strict_ends_with_1_if_something_was_found(file: str, tmp_path: Path) -> None:
    assert audit(file, "--strict").returncode == 1
    trained = {"w": torch.linspace(0.1, 0.7, 80).reshape(8, 10)}
    torch.save(trained, tmp_path / "trained.pt")
    assert audit(str(tmp_path / "trained.pt"), "--strict").returncode == 0


def test_out_holds_figure_page_and_json(file: str, tmp_path: Path) -> None:
    assert audit(file, "--out", str(tmp_path / "out")).returncode == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "audit.png",
        "audit.html",
        "audit.json",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.safetensors"], "there is no file missing.safetensors"),
        (["missing"], "MODULE:FACTORY on the command line"),
        (["pyproject.toml"], "cannot be audited: give a file that ends in .safetensors"),
        ([f"{HERE}:nobody"], "has no 'nobody'"),
        ([f"{HERE}:sound", "--reference", "missing.pt"], "there is no file missing.pt"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(words: list[str], said: str) -> None:
    done = audit(*words)
    assert done.returncode == 2
    assert not done.stdout and said in done.stderr and done.stderr.count("\n") == 1
