"""Jobs of submitit's local cluster, and of commands that stand for Slurm's."""

import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import init_bench as ib
from benchmarks.processes import kill
from init_bench.errors import InitBenchError
from init_bench.training.executors import Resources, slurm_jobs
from tests.training.executors.gated import Gate

submitit = pytest.importorskip("submitit")

SMALL: dict[str, Any] = {"width": 8, "batch_size": 16, "steps": 5}
GATED = ib.Grid(model="tests.training.executors.gated:net", seed=range(12), **SMALL)
PLAIN = ib.Grid(depth=2, seed=range(20), **SMALL)


def run(grid: ib.Grid, out: Path, **options: Any) -> ib.Results:
    return ib.run(
        grid, out, device="cpu", executor="slurm", executor_options=options, progress=False
    )


def assert_each_cell_once(grid: ib.Grid, found: ib.Results, folder: Path) -> None:
    """Compare the files with the grid, and the numbers with those of ``serial``."""
    stored = pd.read_parquet(folder / "cells")["key"]
    assert sorted(stored) == sorted(cell.key for cell in grid.cells)
    serial = ib.run(grid, folder / ".." / "serial", device="cpu", executor="serial", progress=False)
    pd.testing.assert_frame_equal(found.curves, serial.curves, check_exact=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*os.fork")
def test_the_cells_of_a_killed_job_are_given_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(tmp_path / "gate")
    for name, value in gate.environment.items():
        monkeypatch.setenv(name, value)
    found: list[ib.Results] = []
    options = {"cluster": "local", "jobs": 2}

    def drive() -> None:
        how: dict[str, Any] = {"executor": "slurm", "executor_options": options, "workers": 2}
        found.append(ib.run(GATED, tmp_path / "run", device="cpu", progress=False, **how))

    driver = threading.Thread(target=drive)
    driver.start()
    kill(gate.waiting(2)[0])
    gate.open()
    driver.join()
    assert not found[0].failures
    assert_each_cell_once(GATED, found[0], tmp_path / "run")
    results = list((tmp_path / "run" / "slurm").glob("*_result.pkl"))
    assert results and all(path.stat().st_size < 100 for path in results)  # nothing but "success"


SBATCH = """#!{python}
import os, re, subprocess, sys
words = sys.argv[1:]
if "--partition=nope" in words:
    sys.exit("sbatch: error: invalid partition specified: nope")
if "--test-only" in words:
    sys.exit()
text = open(words[-1]).read()
open("{folder}/script", "w").write(text)
last = int(re.search("--array=0-([0-9]+)", text)[1])
for i in range(last + 1):
    names = dict(SLURM_JOB_ID=str(80 + i), SLURM_ARRAY_JOB_ID="77", SLURM_ARRAY_TASK_ID=str(i))
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen(["bash", words[-1]], env=os.environ | names, **quiet)
print("Submitted batch job 77")
"""


SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do case $1 in --unbuffered) shift;; *) shift 2;; esac; done
exec "$@" 2>/dev/null
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands that do what Slurm's do, on this machine; return their folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    texts = {
        "sbatch": SBATCH.format(python=sys.executable, folder=folder),
        "srun": SRUN,
        "sacct": "#!/bin/bash\necho 'JobID|State|NodeList'\n",
        "scontrol": "#!/bin/bash\necho 'MaxArraySize            = 3'\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(slurm_jobs, "POLL_SECONDS", 0.1)
    return folder


@pytest.mark.slow
def test_slurm_gets_an_array_with_the_options(slurm: Path, tmp_path: Path) -> None:
    options = {"partition": "long", "time": "2:00:00", "mem_gb": 4, "setup": "export A=1"}
    found = run(PLAIN, tmp_path / "run", jobs=2, **options)
    assert_each_cell_once(PLAIN, found, tmp_path / "run")
    script = (slurm / "script").read_text()
    for line in ("partition=long", "time=120", "mem=4GB", "cpus-per-task=1", "array=0-1%2"):
        assert f"#SBATCH --{line}\n" in script
    assert "\nexport A=1\n" in script


@pytest.mark.parametrize(("seconds", "jobs"), [(10, 1), (1300, 2), (1e6, 2)])
def test_a_job_has_ten_minutes_of_work_and_an_array_no_more_jobs_than_the_site_allows(
    slurm: Path, seconds: float, jobs: int
) -> None:
    work: Any = type("Work", (), {})()
    work.resources = Resources(device="cpu", workers=None, options={})
    assert slurm_jobs._number_of_jobs(seconds, work) == jobs


@pytest.mark.parametrize(
    ("jobs", "chunks", "submitted", "why"),
    [
        (2, 9, 2, ""),
        (9, 9, 2, "this site allows arrays"),
        (9, 1, 1, "the grid has that many"),
    ],
)
def test_fewer_jobs_than_asked_for_are_told(
    slurm: Path, jobs: int, chunks: int, submitted: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    work: Any = type("Work", (), {"chunks": range(chunks)})()
    work.resources = Resources(device="cpu", workers=None, options={"jobs": jobs})
    assert slurm_jobs._asked_jobs(work) == submitted
    assert (f"jobs={jobs}: {submitted} are submitted, as {why}" in caplog.text) == bool(why)


@pytest.mark.parametrize(
    ("device", "options", "flags"),
    [
        ("cpu", {}, []),
        ("cuda", {}, ["--gpus-per-node=1"]),
        ("cuda", {"gpus": 2}, ["--gpus-per-node=2"]),
        ("cuda", {"gres": "gpu:a100:1"}, ["--gres=gpu:a100:1"]),
    ],
    ids=str,
)
def test_slurm_is_asked_for_the_gpus_that_a_job_gets(
    device: str, options: dict[str, Any], flags: list[str]
) -> None:
    assert slurm_jobs._flags(Resources(device=device, workers=None, options=options)) == flags


def test_what_slurm_refuses_is_told_in_its_words(slurm: Path, tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match=r"Slurm refuses.*invalid partition specified: nope"):
        run(PLAIN, tmp_path / "run", partition="nope")
    assert not (tmp_path / "run").exists()


def test_without_slurm_or_submitit_one_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InitBenchError, match=r"no sbatch and srun here.*cluster=local"):
        run(PLAIN, tmp_path / "run")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InitBenchError, match=r"pip install 'init_bench\[slurm\]'"):
        run(PLAIN, tmp_path / "run")
    assert not (tmp_path / "run").exists()
