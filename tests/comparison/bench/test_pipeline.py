"""The benchmark from call to files: small, real trainings, and what is refused before any."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import init_bench as ib
from init_bench import InitBenchError
from init_bench.comparison.bench import forecast, readme
from init_bench.comparison.bench.pipeline import planned
from init_bench.comparison.bench.protocol import FIRST_TUNING_SEED
from init_bench.comparison.bench.result import TABLES
from init_bench.comparison.bench.tasks import Task
from init_bench.files import head_of_readme
from init_bench.init.lookup import RECORDS
from tests.cli.in_process import init_bench

DEEP = Task(
    name="deep", architecture="MLP of 10 layers", axes={"depth": 10, "width": 32}, steps=240
)
OPTIONS: dict[str, Any] = {"device": "cpu", "workers": 1, "progress": False, "quick": True}


@pytest.fixture
def halved() -> Any:
    """Register He's rule with half its standard deviation."""

    def half_(tensor, *, generator=None):  # type: ignore[no-untyped-def]
        """Fill from half of He's."""
        return ib.init.he_normal_(tensor, generator=generator).mul_(0.5)

    ib.register_init("half_he", half_)
    yield "half_he"
    ib.init.INITS.pop("half_he")
    RECORDS.pop("half_he")


@pytest.mark.slow
def test_a_package_outside_of_a_checkout_writes_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readme, "commit", lambda: "")
    tiny = replace(DEEP, axes={"depth": 2, "width": 8}, steps=40)
    ib.bench([tiny], ["he_normal", "zeros"], out=tmp_path, seeds=2, **OPTIONS)
    facts = head_of_readme(tmp_path)
    assert "machine" in facts and "commit" not in facts
    assert facts["machine"] in (tmp_path / "report.html").read_text()


def test_the_folder_of_a_run_is_refused(tmp_path: Path) -> None:
    ib.run(ib.Grid(steps=1, width=8), tmp_path, device="cpu", progress=False)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InitBenchError, match=r"holds a run, .*another folder"):
        ib.bench([DEEP], ["he_normal", "zeros"], out=tmp_path, **OPTIONS)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_halved_std_on_a_deep_network_is_found_and_everything_is_written(
    halved: str, tmp_path: Path
) -> None:
    result = ib.bench([DEEP], ["he_normal", halved], out=tmp_path, seeds=4, **OPTIONS)
    assert result.summary[["use", "avoid"]].to_numpy().tolist() == [["he_normal", halved]]
    assert result.summary["runs"].item() == 8
    for name in TABLES:
        table = pd.read_parquet(tmp_path / f"{name}.parquet")
        assert len(table) == len(pd.read_csv(tmp_path / f"{name}.csv")) > 0
    text = (tmp_path / "README.md").read_text()
    assert "final runs 0 to 3" in text and "## Over 1 task\n" in text
    assert "A quick look" in text and "A quick look" in str(result)
    assert "| `half_he` |" in text
    assert "not trained here: lecun_normal, " in text
    assert (tmp_path / "figures" / "deep.svg").stat().st_size > 1000
    page = (tmp_path / "report.html").read_text()
    assert page == result.report() and "For MLP of 10 layers, use he_normal." in page
    assert "A quick look" in page
    with pytest.raises(InitBenchError, match=r"more tasks or runs \(deep\).*another folder"):
        ib.bench([DEEP], ["he_normal", halved], out=tmp_path, seeds=2, **OPTIONS)
    with pytest.raises(InitBenchError, match=r"more tasks or runs \(deep\)"):
        ib.bench(["mlp"], ["he_normal", halved], out=tmp_path, seeds=4, **OPTIONS)
    with pytest.raises(InitBenchError, match="unknown task 'dep': did you mean 'deep'"):
        result.figure("dep")


@pytest.mark.slow
def test_the_same_call_trains_nothing_again_and_gives_the_same_tables(tmp_path: Path) -> None:
    first = ib.bench([DEEP], ["he_normal", "zeros"], out=tmp_path / "a", seeds=2, **OPTIONS)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "a" / "runs" / "cells").iterdir()}
    again = ib.bench([DEEP], ["he_normal", "zeros"], out=tmp_path / "a", seeds=2, **OPTIONS)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "a/runs/cells").iterdir()} == files
    elsewhere = ib.bench([DEEP], ["zeros", "he_normal"], out=tmp_path / "b", seeds=2, **OPTIONS)
    for other in (again, elsewhere):
        for name in ("tuning", "pairs"):
            pd.testing.assert_frame_equal(
                getattr(first, name).drop(columns="status", errors="ignore"),
                getattr(other, name).drop(columns="status", errors="ignore"),
            )
        numbers = first.runs.drop(columns="seconds")
        pd.testing.assert_frame_equal(numbers, other.runs.drop(columns="seconds"))


@pytest.mark.slow
def test_final_seeds_are_fresh(tmp_path: Path) -> None:
    result = ib.bench([DEEP], ["he_normal", "zeros"], out=tmp_path, seeds=[3, 8], **OPTIONS)
    assert set(result.runs["seed"]) == {3, 8}
    assert result.tuning["seed"].min() == FIRST_TUNING_SEED


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module whose model returns nan."""
    (tmp_path / "broken_net.py").write_text(
        "import torch\n\n\nclass Broken(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.fc = torch.nn.Linear(784, 10)\n\n"
        "    def forward(self, x):\n        return self.fc(x.flatten(1)) * float('nan')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "broken_net:Broken"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "broken_net:Broken"], r"the loss of model .* is nan at step 0"),
        (["--tasks", "mlp", "--inits", "fixup"], "0 of the initializers fixup fit its network"),
        (
            ["--tasks", "rates.toml"],
            r"rates must be at least 3 different ones .*, got \[0.1\]",
        ),
        (
            ["--tasks", "mlp", "--seeds", "1"],
            "^error: --seeds must be a count of at least 2, such as 10, or auto: got '1'$",
        ),
        (["--tasks", "mpl"], "unknown task 'mpl': did you mean 'mlp'"),
        (["--tasks", "mlp", "--inits", "he_norml"], "unknown init 'he_norml'"),
    ],
)
def test_bad_input_is_one_message_and_exit_2_before_any_work(
    words: list[str], message: str, net: str, tmp_path: Path
) -> None:
    (tmp_path / "rates.toml").write_text('[[task]]\nname = "one"\nrates = [0.1]\n')
    done = init_bench("bench", *words, "--out", "out", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert len(done.stderr.strip().splitlines()) <= 3
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_line_prints_the_summary_as_json(tmp_path: Path) -> None:
    (tmp_path / "tasks.toml").write_text('[[task]]\nname = "tiny"\nwidth = 16\ndepth = 3\n')
    words = ["--quick", "--tasks", "tasks.toml", "--inits", "he_normal", "--inits", "zeros"]
    options = ["--seeds", "2", "--device", "cpu", "--workers", "1", "--out", "out", "--json"]
    done = init_bench("bench", *words, *options, cwd=tmp_path)
    assert done.returncode == 0
    (row,) = json.loads(done.stdout)
    assert (row["task"], row["use"], row["runs"]) == ("tiny", "he_normal", 4)


@pytest.mark.slow
def test_a_dry_run_says_how_much_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text('[[task]]\nname = "tiny"\nwidth = 16\nsteps = 40\n')
    words = ["--quick", "--tasks", "tiny.toml", "--inits", "he_normal", "--inits", "zeros"]
    options = ["--dry-run", "--workers", "1", "--device", "cpu"]
    done = init_bench("bench", *words, *options, cwd=tmp_path)
    assert done.returncode == 0
    assert re.search(r"about [\d.]+ (s|min|h) with 1 worker,", done.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_a_forecast_on_an_accelerator_counts_devices_not_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "_seconds", lambda *_: (1.0, 0.1))
    two = [torch.device("meta", 0), torch.device("meta", 1)]
    monkeypatch.setattr(forecast, "devices_of", lambda name: two)
    plan = planned([DEEP], ["he_normal", "zeros"], out=tmp_path, quick=True, seeds=2)
    assert forecast.forecast_bench(plan, "auto", None).workers == 2


@pytest.mark.parametrize(("quick", "counts"), [(False, (10, 20, 40)), (True, (5, 10, 20))])
def test_a_forecast_says_what_auto_means_and_its_range(
    quick: bool, counts: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "_seconds", lambda *_: (1.0, 0.1))
    arms = ["he_normal", "zeros"]
    plan = planned([DEEP], arms, out=tmp_path, quick=quick, seeds="auto")
    auto = forecast.forecast_bench(plan, "cpu", 1)
    plan = planned([DEEP], arms, out=tmp_path, quick=quick, seeds=counts[-1])
    most = forecast.forecast_bench(plan, "cpu", 1)
    (row,) = auto.table.to_dict("records")
    assert row["most_runs"] - row["runs"] == len(arms) * (counts[-1] - counts[0])
    assert row["most_runs"] == most.table["runs"].item()
    assert row["most_seconds"] == pytest.approx(most.table["seconds"].item())
    assert "auto: {} seeds of every initializer; then {} and {} of".format(*counts) in str(auto)
    assert f"{row['runs']} to {row['most_runs']} runs, about " in str(auto)
    assert "auto" not in str(most) and "most_runs" not in str(most)


def test_strings_in_place_of_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match=r"give a list of specs: \['he_normal'\]"):
        ib.bench(["mlp"], "he_normal", out=tmp_path, **OPTIONS)


@pytest.mark.slow
def test_seeds_are_added_where_no_difference_shows_and_a_second_call_adds_none(
    halved: str, tmp_path: Path
) -> None:
    tiny = Task(name="tiny", architecture="a small MLP", axes={"depth": 3, "width": 16}, steps=80)
    inits = ["he_normal", "he_uniform", halved]
    first = ib.bench([tiny], inits, out=tmp_path, seeds="auto", **OPTIONS)
    stored = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs" / "cells").iterdir()}
    again = ib.bench([tiny], inits, out=tmp_path, seeds="auto", **OPTIONS)
    most = first.runs.groupby("init")["seed"].nunique()
    assert most.max() > 5
    assert most.idxmax() in first.summary["use"].item()
    assert f"{first.summary['seeds'].item()} seeds): use" in str(first)
    assert "final runs 0 to 4; 0 to 9" in (tmp_path / "README.md").read_text()
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "runs/cells").iterdir()} == stored
    pd.testing.assert_frame_equal(first.pairs, again.pairs)


def test_a_number_of_seeds_that_is_none_is_refused(tmp_path: Path) -> None:
    done = init_bench("bench", "--seeds", "atuo", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "--seeds must be a count of at least 2, such as 10, or auto: got 'atuo'" in done.stderr
