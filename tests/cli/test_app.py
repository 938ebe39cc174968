"""Test the command line: output, exit codes, one screen of error."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.cli.early_checks import known_inits
from init_bench.init import ALIASES, all_inits
from init_bench.training.executors import EXECUTORS
from init_bench.training.seeds_argument import FEWEST_OF_INTERVAL, FEWEST_TO_RANK
from tests.cli.in_process import Done
from tests.cli.in_process import init_bench as _cli


def _process(*words: str, cwd: Path) -> Done:
    command = [sys.executable, "-m", "init_bench", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def _refused(done: Done, *said: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 25
    for words in said:
        assert words in done.stderr


GRID = 'init = ["he_normal", "zeros"]\nwidth = 8\ndepth = 3\nbatch_size = 16\nsteps = 10\n'


@pytest.mark.slow
def test_run_trains_a_grid_and_resumes_it(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    first = _cli("run", "grid.toml", "--device", "cpu", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "he_normal" in first.stdout
    assert "2/2 cells" in first.stderr
    second = _cli("run", "grid.toml", "--device", "cpu", cwd=tmp_path)
    assert second.stdout == first.stdout
    assert "cells," not in second.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('init = ["he_norml"]', "did you mean 'he_normal'"),
        ('activation = "relo"', "did you mean 'relu'"),
        ('model = "mpl"', "did you mean 'mlp'"),
        ('dataset = "minst"', "did you mean 'mnist'"),
        ("learning_rate = 0.1\nwidht = 3", "did you mean 'width'"),
        ("steps = 0", "greater than 0"),
        ("lr = nan", "finite"),
        ('steps = "ten"', "'ten'"),
        ("seed = [0, 0]", "given twice"),
        ("init = []", "at least one"),
        ("lr = 1\nlr = 2", "not TOML"),
        ('init = "normal(std=-1)"', "got -1"),
        ("init = \"__import__('os')\"", "malformed"),
    ],
)
def test_a_bad_grid_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    _refused(_cli("run", "bad.toml", cwd=tmp_path), "bad.toml", said)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    (tmp_path / "taken").write_text("mine")
    _refused(_cli("run", "grid.toml", "--out", "taken", cwd=tmp_path), "taken is a file")


RUN = ("run", "grid.toml", "--device", "cpu")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("book", "--seeds", "0"), "0"),
        (("paper", "he2015", "--seeds", "0"), "0"),
        (("book", "--steps", "-1"), "-1"),
        (("book", "--only", "6-16"), "6-16"),
        (("compare", "he_norml"), "did you mean 'he_normal'"),
        (("compare", "constant"), "needs value, as in constant(value=0.5)"),
        (("compare", "he_normal", "--lr", "-1"), "greater than or equal to 0"),
        ((*RUN, "--out", "/proc/run"), "/proc/run cannot be made"),
        ((*RUN, "--out", "."), "holds other files"),
        ((*RUN, "--executor", "serail"), "did you mean 'serial'"),
        ((*RUN, "--executor", "ray", "--executor-option", "cpu=2"), "did you mean 'cpus'?"),
        ((*RUN, "--executor", "local", "--executor-option", "cpus=2"), "Known: chunk_timeout."),
        (
            (*RUN, "--executor", "ray", "--executor-option", "cpus"),
            "KEY=VALUE, such as cpus=4: got 'cpus'",
        ),
        ((*RUN, "--executor", "slurm"), "no sbatch and srun here"),
        (
            (*RUN, "--executor", "local", "--chunk-timeout", "0"),
            "must be a number of at least 0.01, got 0.0",
        ),
    ],
    ids=str,
)
def test_bad_words_are_refused_and_nothing_is_written(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    _refused(_cli(*words, cwd=tmp_path), said)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bench", "mlp"), "unexpected argument 'mlp': write --tasks mlp\n"),
        (("bench", "he_normal"), "unexpected argument 'he_normal': write --inits he_normal\n"),
        (("bench", "my"), "unexpected argument 'my': write --tasks my or --inits my\n"),
        (("bench", "quick"), "unexpected argument 'quick': the option is --quick"),
        (("paper", "he2015", "list"), "unexpected argument 'list': the option is --list"),
        (("diagnose", "mine:net", "8,3"), "unexpected argument '8,3': write --input 8,3"),
        (("doctor", "me"), "unexpected argument 'me'. See what it takes: init-bench doctor --help"),
    ],
)
def test_a_word_in_the_wrong_place_is_told_its_option(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = _cli(*words, cwd=tmp_path)
    _refused(done, said)
    assert len(done.stderr.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_an_unknown_menu_is_refused(tmp_path: Path) -> None:
    _refused(_process("list", "init", cwd=tmp_path), "did you mean 'inits'")


def test_list_json_holds_the_whole_menu_and_nothing_else(tmp_path: Path) -> None:
    rows = json.loads(_cli("list", "inits", "--json", cwd=tmp_path).stdout)
    assert [row["name"] for row in rows] == list(all_inits())
    assert all(row["formula"] and row["source"] for row in rows)


@pytest.mark.parametrize("menu", ["activations", "models", "datasets"])
def test_list_prints_every_menu(tmp_path: Path, menu: str) -> None:
    done = _cli("list", menu, cwd=tmp_path)
    assert done.returncode == 0
    known = {"activations": list(ACTIVATIONS), "models": ["mlp"], "datasets": ["mnist"]}
    assert all(name in done.stdout for name in known[menu])


def test_doctor_finds_this_machine_fit(tmp_path: Path) -> None:
    rows = json.loads(_cli("doctor", "--json", cwd=tmp_path).stdout)
    found = {row["check"]: row["found"] for row in rows}
    assert found["torchvision operators"] == "load beside this torch"
    assert found["devices"].startswith("cpu")


STOPPABLE = """
import signal
from init_bench.__main__ import main
from init_bench.training import progress
progress.SECONDS_BETWEEN_LINES = 0.1
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell put pytest aside
main()
"""


BUSY = """
import time
from init_bench.training.engine.trainer import _Training
whole = _Training._capture
_Training._capture = lambda *words: time.sleep(600) if words[2] else whole(*words)
"""
"""A worker that reports its steps and then sleeps, as in one that takes long."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "worker"), [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGTERM, BUSY)]
)
def test_a_stopped_run_says_how_to_go_on(
    tmp_path: Path, fake_idx: Path, sent: signal.Signals, worker: str
) -> None:
    """A run stopped by Ctrl-C or a scheduler says the command with which its folder goes on."""
    grid = f'dataset = "idx:{fake_idx}"\nsteps = 1000000\nwidth = 8\n'
    grid += "capture_at = [0, 50]\n"
    (tmp_path / "long.toml").write_text(grid)
    command = [sys.executable, "-c", worker + STOPPABLE, "run", "long.toml", "--device", "cpu"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, env=environment)
    assert child.stderr is not None
    assert b" cells" in child.stderr.readline()
    child.send_signal(sent)
    said = child.stderr.read().decode()
    assert child.wait(timeout=60) == 128 + sent
    assert "init-bench run long.toml" in said
    assert "Traceback" not in said
    child.stderr.close()


STOPPED_IN_IMPORT = """
import os, signal, sys
from init_bench.__main__ import main

class Stops:
    def find_spec(self, name, *rest):
        if name == "typer":
            os.kill(os.getpid(), SENT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Stops())
main()
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_verb_that_is_stopped_while_it_loads_says_so(sent: signal.Signals) -> None:
    code = STOPPED_IN_IMPORT.replace("SENT", str(int(sent)))
    command = [sys.executable, "-c", code, "report", "a folder"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + sent
    assert done.stderr.startswith("\nStopped. Nothing of this call is stored")
    assert done.stderr.endswith("init-bench report 'a folder'\n")
    assert len(done.stderr.splitlines()) == 3


@pytest.mark.slow
def test_compare_prints_verdicts_or_json_and_nothing_else(tmp_path: Path) -> None:
    small = ("--seeds", "2", "--steps", "5", "--width", "16", "--depth", "2", "--device", "cpu")
    said = _cli("compare", "he_normal", *small, "--out", "run", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("he_normal vs torch.kaiming_normal: the same bits\n")
    assert (tmp_path / "run" / "comparison.parquet").is_file()
    rows = json.loads(
        _cli("compare", "he_normal", *small, "--out", "run", "--json", cwd=tmp_path).stdout
    )
    assert {row["question"] for row in rows} == {"distribution", "training", "speed"}


A_MODEL = "tests.models_to_diagnose:sound"
SOURCE = str(Path(__file__).parents[2])


def test_a_full_disk_is_said_after_the_result_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = _cli("diagnose", A_MODEL, "--input", "8,30", "--out", "out", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("as built\n")
    assert done.stderr.startswith("error: [Errno 28] No space left on device: 'out/as-built")
    assert done.stderr.endswith(f"init-bench diagnose {A_MODEL} --input 8,30 --out out\n")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.slow
def test_diagnose_prints_a_table_and_writes_its_faces(tmp_path: Path) -> None:
    words = ("diagnose", A_MODEL, "--input", "16,30", "--init", "normal(std=0.001)")
    done = _cli(*words, "--out", str(tmp_path), cwd=Path(SOURCE))
    assert done.returncode == 0, done.stderr
    assert "vanishing_signal" in done.stdout and "fc1" in done.stdout
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".html", ".json"}


def test_diagnose_is_strict_when_asked_and_prints_json_alone() -> None:
    words = ("diagnose", A_MODEL, "--input", "16,30", "--strict", "--json")
    sound = _cli(*words, "--init", "he_normal", cwd=Path(SOURCE))
    assert sound.returncode == 0, sound.stderr
    assert [row["verdict"] for row in json.loads(sound.stdout)] == ["healthy"]
    bad = _cli(*words, "--init", "zeros", cwd=Path(SOURCE))
    assert bad.returncode == 1
    assert {row["init"] for row in json.loads(bad.stdout)} == {"zeros"}


OWN_MODEL = """
from torch import nn
def net(width=8):
    print("built")
    return nn.Sequential(nn.Linear(20, width), nn.ReLU(), nn.Linear(width, 5))
def leaves():
    raise SystemExit(3)
"""


@pytest.mark.parametrize(
    "verb",
    ["diagnose", "recommend --seeds 3 --init zeros", "coord-check --widths 8,16", "audit"],
)
def test_what_a_model_prints_is_no_part_of_the_result(verb: str, tmp_path: Path) -> None:
    name = f"own_{verb[:3]}"  # a module is imported once
    (tmp_path / f"{name}.py").write_text(OWN_MODEL)
    inputs = () if verb == "audit" else ("--input", "8,20")
    verb, *options = verb.split()
    done = _cli(verb, f"{name}:net", *inputs, *options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert "built" in done.stderr


@pytest.mark.parametrize(("options", "square_root"), [((), "?"), (("--json",), "√")])
def test_a_locale_without_the_letters_of_a_text_gets_question_marks_or_json(
    tmp_path: Path, options: tuple[str, ...], square_root: str
) -> None:
    command = [sys.executable, "-m", "init_bench", "list", "verdicts", *options]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    assert square_root in (str(json.loads(text)) if options else text)


@pytest.mark.slow
def test_what_a_model_prints_in_a_worker_is_no_part_of_the_result(tmp_path: Path) -> None:
    printing = 'print("built") or nn.Sequential(nn.Flatten(), nn.Linear(784, 10))'
    (tmp_path / "own_run.py").write_text(f"from torch import nn\ndef net(): return {printing}\n")
    (tmp_path / "grid.toml").write_text('model = "own_run:net"\nsteps = 3\nseed = [0, 1]\n')
    done = _process("run", "grid.toml", "--device", "cpu", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)[0]["cells"] == 2, done.stderr
    assert "built" in done.stderr


def test_a_factory_that_leaves_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own_leaves.py").write_text(OWN_MODEL)
    _refused(
        _cli("diagnose", "own_leaves:leaves", cwd=tmp_path), "its own code fails", "SystemExit: 3"
    )


def test_diagnose_looks_during_training_when_asked() -> None:
    words = ("diagnose", A_MODEL, "--input", "16,30", "--init", "he_normal")
    done = _cli(*words, "--capture-at", "0,3", "--lr", "0.05", cwd=Path(SOURCE))
    assert done.returncode == 0, done.stderr
    assert "Step 0: Healthy. " in done.stdout and " Step 3: " in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("torchvision.models",), "MODULE:FACTORY"),
        ((A_MODEL, "--input", "16,30", "--capture-at", "0,x"), "must be integers"),
        ((A_MODEL, "--input", "16,7"), "it stops in layer 'fc1'"),
        ((A_MODEL, "--input", "16,x"), "must be sizes"),
        ((A_MODEL, "--input", "16,30", "--init", "he_norml"), "did you mean 'he_normal'"),
    ],
)
def test_diagnose_refuses_what_it_cannot_look_at(words: tuple[str, ...], said: str) -> None:
    _refused(_cli("diagnose", *words, cwd=Path(SOURCE)), said)


def test_help_shows_every_executor_of_the_menu() -> None:
    assert f"[{'|'.join(EXECUTORS)}]" in _cli("run", "--help", cwd=Path(SOURCE)).stdout


VERBS = (
    "book run bench export compare paper report diagnose audit recommend coord-check list doctor"
).split()


def test_the_help_of_a_verb_names_no_type_of_python_and_fits_its_line() -> None:
    listed = _cli("--help", cwd=Path(SOURCE)).stdout.partition("Commands:")[2]
    assert all(f"\n  {verb} " in listed for verb in VERBS) and "..." not in listed
    assert not any("list[" in _cli(verb, "--help", cwd=Path(SOURCE)).stdout for verb in VERBS)


def test_the_names_read_from_the_source_are_those_of_the_menu() -> None:
    own = {name for name in all_inits() if not name.startswith("torch.")}
    assert set(known_inits()) == own | set(ALIASES)


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "he_norml"),
        ("diagnose", A_MODEL, "--init", "he_norml"),
        ("recommend", A_MODEL, "--init", "he_norml"),
    ],
    ids=str,
)
def test_a_misspelled_init_is_refused_before_torch_is_loaded(words: tuple[str, ...]) -> None:
    script = (
        "import sys\nfrom init_bench.cli.app import main\n"
        f"sys.argv = {['init-bench', *words]!r}\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    _refused(done, "did you mean 'he_normal'")


def test_a_share_without_cells_says_so(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("steps = 2\n")
    done = _cli("run", "grid.toml", "--device", "cpu", "--shard", "2/2", cwd=tmp_path)
    assert done.returncode == 0
    assert "this shard is empty" in done.stdout


def test_a_bad_shard_is_refused_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    words = ("run", "grid.toml", "--device", "cpu", "--shard", "3/2")
    _refused(_cli(*words, cwd=tmp_path), "shard '3/2'", "i from 1 to n")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


def test_compact_says_what_it_did(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    _cli("run", "grid.toml", "--device", "cpu", "--workers", "2", cwd=tmp_path)
    done = _cli("compact", "results/grid", cwd=tmp_path)
    assert done.stdout == "results/grid: 2 chunks before, 1 now\n", done.stderr
    _refused(_cli("compact", "nowhere", cwd=tmp_path), "there is no folder nowhere")


def test_a_dry_run_says_what_would_be_done(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    words = ("run", "grid.toml", "--device", "cpu", "--dry-run")
    done = _cli(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cells   2: 0 stored, 2 to train\n")
    (row,) = json.loads(_cli(*words, "--json", cwd=tmp_path).stdout)
    assert row["cells"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


def test_more_than_a_million_cells_ask_for_yes(tmp_path: Path) -> None:
    many = ", ".join(map(str, range(1001)))
    (tmp_path / "grid.toml").write_text(f"{GRID}lr = [{many}]\nseed = [{many}]\n")
    said = "multiplies out to 2,004,002 cells; if you mean it, add --yes"
    _refused(_cli("run", "grid.toml", "--dry-run", cwd=tmp_path), said)


def test_run_prints_json_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    done = _cli("run", "grid.toml", "--device", "cpu", "--json", cwd=tmp_path)
    assert [row["init"] for row in json.loads(done.stdout)] == ["he_normal", "zeros"]


def test_diagnose_makes_no_folder_when_it_refuses(tmp_path: Path) -> None:
    out = tmp_path / "new"
    words = ("diagnose", A_MODEL, "--input", "16,30", "--init", "he_norml", "--out", str(out))
    _refused(_cli(*words, cwd=Path(SOURCE)), "did you mean 'he_normal'")
    assert not out.exists()


def test_the_old_name_of_capture_at_warns() -> None:
    words = ("diagnose", A_MODEL, "--input", "16,30", "--steps", "0,1")
    with pytest.warns(FutureWarning, match="--capture-at"):
        assert "Step 1: " in _cli(*words, cwd=Path(SOURCE)).stdout


def test_recommend_says_that_the_data_are_random() -> None:
    words = ("--input", "16,30", "--init", "zeros", "--seeds", "3")
    done = _cli("recommend", A_MODEL, *words, cwd=Path(SOURCE))
    assert done.stdout.splitlines()[-1].startswith("Measured on random inputs and random classes;")


@pytest.mark.slow
def test_recommend_ranks_and_writes(tmp_path: Path) -> None:
    words = ("recommend", A_MODEL, "--input", "16,30", "--init", "zeros", "--init", "he_normal")
    done = _cli(*words, "--seeds", "3", "--out", str(tmp_path), "--json", cwd=Path(SOURCE))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["init"] == "he_normal"
    assert json.loads((tmp_path / "recommendation.json").read_text()) == json.loads(done.stdout)


def test_coord_check_judges_every_layer(tmp_path: Path) -> None:
    words = ("coord-check", f"{__name__}:of_width", "--widths", "8,16", "--input", "16,5")
    done = _cli(*words, "--seeds", "2", "--out", str(tmp_path), "--json", cwd=Path(SOURCE))
    assert done.returncode == 0, done.stderr
    assert [row["layer"] for row in json.loads(done.stdout)] == ["0", "1", "2"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".json"}


def test_coord_check_takes_depths_and_the_rates_of_an_initializer() -> None:
    words = ("coord-check", f"{__name__}:of_size", "--widths", "8", "--depths", "1,2")
    more = (
        "--input",
        "16,5",
        "--seeds",
        "2",
        "--init",
        "mup(base_width=4)",
        "--optimizer",
        "adamw",
    )
    done = _cli(*words, *more, "--json", cwd=Path(SOURCE))
    assert done.returncode == 0, done.stderr
    assert {row["over"] for row in json.loads(done.stdout)} == {"depth"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((f"{__name__}:of_width", "--widths", "8,x"), "--widths must be integers from 1"),
        (
            (f"{__name__}:of_width", "--widths", "8,16", "--seeds", "1"),
            "--seeds must be an integer of at least 2, got 1",
        ),
        (
            (f"{__name__}:of_width", "--widths", "8,16", "--optimizer", "lion"),
            "unknown optimizer 'lion'",
        ),
        (("torch.nn:Linear", "--widths", "8,16"), "cannot be built from width alone"),
        (
            (f"{__name__}:of_width", "--widths", "8", "--depths", "2,4"),
            "cannot be built from width and depth alone: it takes a width, but no depth",
        ),
        ((f"{__name__}:of_nothing", "--widths", "8,16"), "from width alone: it takes no width"),
    ],
)
def test_coord_check_refuses_bad_words(words: tuple[str, ...], said: str) -> None:
    _refused(_cli("coord-check", *words, "--input", "16,30", cwd=Path(SOURCE)), said)


def of_size(width: int, depth: int) -> nn.Module:
    """Return a classifier of 5 inputs and 3 classes, with ``depth`` hidden layers between."""
    hidden = [part for _ in range(depth) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), *hidden, nn.Linear(width, 3))


def of_nothing() -> nn.Module:
    """Return a classifier of one size."""
    return of_width(8)


def of_width(width: int) -> nn.Module:
    """Return a classifier of 5 inputs and 3 classes."""
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 3))


def test_compare_says_which_comparison_of_the_folder_it_replaces(tmp_path: Path) -> None:
    small = ("--steps", "2", "--width", "8", "--depth", "2", "--seeds", "2", "--out", "run")
    said = [
        _cli("compare", "he_normal", other, *small, cwd=tmp_path).stderr
        for other in ("zeros", "zeros", "ones")
    ]
    assert ["replaced" in text for text in said] == [False, False, True]
    assert "replaced the comparison that run held (he_normal vs zeros: mnist mlp" in said[2]


def test_compare_names_all_unknown_initializers_at_once() -> None:
    done = _cli("compare", "he", "xavier")
    assert done.returncode == 2
    assert "unknown init 'he'" in done.stderr and "unknown init 'xavier'" in done.stderr


FEWEST = {
    "recommend": (f"{__name__}:of_width", FEWEST_TO_RANK),
    "bench": ("--quick", FEWEST_OF_INTERVAL),
}


@pytest.mark.parametrize("verb", FEWEST)
def test_the_fewest_seeds_of_a_verb_are_those_of_the_library(verb: str) -> None:
    word, fewest = FEWEST[verb]
    done = _cli(verb, word, "--seeds", str(fewest - 1))
    assert done.returncode == 2 and f"at least {fewest}" in done.stderr
