"""``init-bench diagnose`` on bad words: exit code 2 and one screen that says what is wrong."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.cli.in_process import init_bench

HERE = "tests.models_to_diagnose"
SCRIPTS = {
    "leaves": "import sys\nsys.exit(3)\n",
    "broken": "def net(:\n",
    "fails": "import torch\ndef net(): return torch.nn.Linear(-1, 2)\n",
    "calls": "import json\ndef net(): return json.loads('{')\n",
    "built": "import torch\nnet = torch.nn.Linear(3, 2)\n",
    "asks": "import torch\ndef net(*sizes, classes): return torch.nn.Linear(3, classes)\n",
    "words": "import torch\n"
    "def net(): return torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2))\n",
}


diagnose = partial(init_bench, "diagnose")


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
        (("user_fails:net",), "user_fails.py:2 in net: RuntimeError"),
        (("user_built:net",), "is a model itself, a Linear, and each run needs a fresh one"),
        (("user_asks:net",), "'classes'; name a function without any that builds it, such as"),
        (("./user_words.py:net",), "mine:net for the function net in mine.py"),
        (("user_words.py:net",), "mine:net for the function net in mine.py"),
        (("user_words:net",), "8,3,224,224 is its default, 8,128:int64 suits a model that begins"),
        ((f"{HERE}:sound",), "a layer here takes 30 features: try --input 8,30"),
        ((f"{HERE}:sound", "--input", "1000000000000,30"), "cannot be made: "),
        ((f"{HERE}:sound", "--input", "16,30:"), "must be sizes and, if not float32, a type"),
        ((f"{HERE}:sound", "--input", "0,30"), "sizes must be positive, got 0"),
        (
            (f"{HERE}:sound", "--input", "16,30", "--lr", "5"),
            "give some, such as --capture-at 0,10",
        ),
        (("user_calls:net",), "user_calls.py:2 in net: JSONDecodeError"),
        (
            (f"{HERE}:sound", "--capture-at=-1", "--lr", "1"),
            "--capture-at must be integers from 0",
        ),
        (
            (f"{HERE}:sound", "--input", "16,30", "--init", "he_normal", "--init", "fixup"),
            "error: init 'fixup': found no residual branch",
        ),
        (
            (f"{HERE}:sound", "--input", "16,30", "--init", "normal(std=-1)"),
            "error: init 'normal(std=-1)': std must be",
        ),
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
def test_bad_words_are_refused_in_one_screen(words: tuple[str, ...], said: str) -> None:
    done = diagnose(*words)
    assert done.returncode == 2
    assert said in done.stderr and done.stdout == ""
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) < 25


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (taken := tmp_path / "mine.py").touch()
    monkeypatch.setattr(
        "init_bench.diagnosis.pipeline.diagnose", lambda *_, **__: pytest.fail("worked")
    )
    for out in (taken, Path("/proc/x")):
        done = diagnose(f"{HERE}:sound", "--input", "16,30", "--out", str(out))
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: output folder {out}")


@pytest.mark.slow
def test_the_rate_of_the_updates_is_the_one_asked_for() -> None:
    words = (f"{HERE}:sound", "--input", "16,30", "--capture-at", "2")
    told = [diagnose(*words, *rate) for rate in ((), ("--lr", "0.1"), ("--lr", "0"))]
    assert [done.returncode for done in told] == [0, 0, 0]
    assert told[0].stdout == told[1].stdout != told[2].stdout


@pytest.mark.usefixtures("script")
def test_indices_for_an_embedding_are_described_by_their_type() -> None:
    done = diagnose("user_words:net", "--input", "8,12:int64")
    assert done.returncode == 0
    assert done.stdout.startswith("as built\n") and "Sequential: 2 layer calls" in done.stdout


def test_a_model_that_does_not_run_on_its_input_leaves_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "new"
    assert diagnose(f"{HERE}:sound", "--input", "16,7", "--out", str(out)).returncode == 2
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((f"{HERE}:sound", "--input", "16,30"), "random inputs and random classes; in Python"),
        ((f"{HERE}:sound", "--input", "4,4,30"), "random inputs; in Python"),
    ],
    ids=["logits", "no logits"],
)
def test_the_answer_says_that_the_data_are_random(words: tuple[str, ...], said: str) -> None:
    assert f"Measured on {said}, init_bench.diagnose takes" in diagnose(*words).stdout
    assert "Measured on" not in diagnose(*words, "--json").stdout


def test_rates_print_the_window_and_as_json_a_row_per_rate() -> None:
    words = (f"{HERE}:sound", "--input", "16,30", "--rates")
    assert "indow of rates" in diagnose(*words).stdout
    done = diagnose(*words, "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    rates = [row for row in rows if "lr" in row]
    assert len(rates) == 9
    assert {row["init"] for row in rows} == {"as built"}
    assert {"in_window", "outcome"} <= rates[0].keys()
