"""``init-bench diagnose`` on bad words: exit code 2 and one screen that says what is wrong."""

import sys
from pathlib import Path

import pytest

from init_bench.cli import main

HERE = "tests.models_to_diagnose"
SCRIPTS = {
    "leaves": "import sys\nsys.exit(3)\n",
    "broken": "def net(:\n",
    "fails": "import torch\ndef net(): return torch.nn.Linear(-1, 2)\n",
    "words": "import torch\n"
    "def net(): return torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2))\n",
}


def exit_code(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["init-bench", "diagnose", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A module name that stands for each script, put in the working folder of a user."""
    for name, text in SCRIPTS.items():
        (tmp_path / f"user_{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, f"user_{name}", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return "user_"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("user_leaves:net",), "cannot be imported: SystemExit: 3"),
        (("user_broken:net",), "cannot be imported: SyntaxError"),
        (("user_fails:net",), "its own code fails"),
        (("no_such_module:net",), "cannot be imported: ModuleNotFoundError"),
        (("builtins:dict",), "must return a torch.nn.Module, got dict"),
        (("torch.nn:ReLU",), "ReLU has no parameters"),
        ((f"{HERE}:sound", "--input", "16,7"), "float32 (16, 7): it stops in layer 'fc1'\n"),
        ((f"{HERE}:sound", "--input", "1,30"), "hold 1 sample"),
        (("user_words:net", "--input", "8,12"), "float32 (8, 12): it stops in layer '0'\n"),
        (("user_words:net", "--input", "1,12:int64"), "hold 1 sample"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("script")
def test_bad_words_are_refused_in_one_screen(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert exit_code(monkeypatch, *words) == 2
    told = capsys.readouterr()
    assert said in told.err and told.out == ""
    assert "Traceback" not in told.err and len(told.err.splitlines()) < 25


@pytest.mark.usefixtures("script")
def test_indices_for_an_embedding_are_described_by_their_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(monkeypatch, "user_words:net", "--input", "8,12:int64") == 0
    assert capsys.readouterr().out.startswith("as built\nSequential, 2 layers")
