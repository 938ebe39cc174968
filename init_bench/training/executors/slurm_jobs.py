"""Run a grid as jobs of Slurm: each trains a share of it and writes into the folder of the run."""

import logging
import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from init_bench.errors import InitBenchError, first_line
from init_bench.training.executors.protocol import (
    ChunkOutcome,
    Executor,
    Jobs,
    Option,
    Resources,
    Work,
    imported,
    number,
    one_of,
)
from init_bench.training.shards import Shard

log = logging.getLogger(__name__)


JOB_SECONDS = 600.0
"""A job gets at least this much work: one that is shorter is a burden to the scheduler."""


POLL_SECONDS = 2.0
"""Seconds between two checks of the jobs."""


MARGIN = 3
"""A job may take this many times its estimated time, and an hour at least."""


ANSWER_SECONDS = 25.0
"""A command of Slurm that has not answered by then is given up."""


ARRAY_JOBS = 1000
"""Jobs of an array at most where Slurm does not say what the site allows: its own default."""


def run(work: Work) -> Iterator[ChunkOutcome]:
    """Submit the jobs as an array, and wait until all of them have ended."""
    assert work.jobs is not None, "this executor stores"
    seconds = work.jobs.seconds()
    count = min(_asked_jobs(work) or _number_of_jobs(seconds, work), len(work.chunks))
    submit = _submitter(work.resources, work.jobs.folder, seconds / count)
    job = ShareJob(work.jobs, _workers(work.resources))
    waiting = [(i + 1, count) for i in range(count)]
    running: list[Any] = []
    # Slurm itself keeps to the number of jobs at once; submitit's local cluster has no such limit.
    at_once = work.workers if _is_local(work.resources) else count
    try:
        while waiting or running:
            now, waiting = waiting[: at_once - len(running)], waiting[at_once - len(running) :]
            running += _submitted(submit, job, now)
            time.sleep(min(POLL_SECONDS, 0.1) if _is_local(work.resources) else POLL_SECONDS)
            work.progress(0)
            running = [each for each in running if not each.done()]
    finally:
        for each in running:
            each.cancel(check=False)
    yield from ()


class ShareJob:
    """Train a share of the grid in a job; out of time, the job is queued again and goes on."""

    def __init__(self, jobs: Jobs, workers: int | None) -> None:
        self.train_share, self.workers = jobs.train_share, workers

    def __call__(self, share: Shard) -> None:
        """Train the share; the results are in the store, and nothing is returned."""
        self.train_share(share, self.workers)

    def checkpoint(self, share: Shard) -> Any:
        """Return what submitit is to queue again: the same, as the store knows what is done."""
        return imported("submitit", extra="slurm").helpers.DelayedSubmission(self, share)


def _is_local(resources: Resources) -> bool:
    return resources.options.get("cluster") == "local"


def _workers(resources: Resources) -> int | None:
    """Return the worker threads of a job: one per CPU that it has, one per GPU by itself."""
    return resources.options.get("cpus", 1) if resources.device == "cpu" else None


def _asked_jobs(work: Work) -> int | None:
    """Return the number of jobs that was asked for, cut to what there is to do and to submit."""
    asked: int | None = work.resources.options.get("jobs")
    if asked is None:
        return None
    most = {
        "the grid has that many chunks to train": len(work.chunks),
        "this site allows arrays of that size": _most_jobs(work.resources),
    }
    reason = min(most, key=lambda why: most[why])
    if asked > most[reason]:
        log.warning("jobs=%d: %d are submitted, as %s", asked, most[reason], reason)
    return min(asked, most[reason])


def _number_of_jobs(seconds: float, work: Work) -> int:
    """Return how many jobs have ten minutes of work or more, at most what an array may have."""
    at_once = _workers(work.resources) or max(1, work.resources.options.get("gpus", 1))
    long_enough = int(seconds / (JOB_SECONDS * at_once))
    return max(1, min(long_enough, _most_jobs(work.resources)))


def _most_jobs(resources: Resources) -> int:
    """Return the size of the largest array that this site allows."""
    if _is_local(resources) or not shutil.which("scontrol"):
        return ARRAY_JOBS
    try:
        command = ["scontrol", "show", "config"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        return ARRAY_JOBS
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", said.stdout)
    return max(1, int(found[1]) - 1) if found else ARRAY_JOBS


def _submitter(resources: Resources, folder: Path, seconds: float) -> Any:
    """Return submitit's executor for jobs of about so many seconds."""
    submitit = imported("submitit", extra="slurm")
    options, gpus = dict(resources.options), _gpus(resources)
    given = {name: options[name] for name in SBATCH if name in options}
    settings: dict[str, Any] = {
        "name": "init-bench",
        "timeout_min": options.get("time") or max(60, math.ceil(MARGIN * seconds / 60)),
        "cpus_per_task": options.get("cpus", 1),
        "mem_gb": options.get("mem_gb"),
        **{f"slurm_{name}": value for name, value in given.items()},
    }
    if gpus:
        settings["gpus_per_node"] = gpus
    if resources.workers:
        settings["slurm_array_parallelism"] = resources.workers
    if "setup" in options:
        settings["slurm_setup"] = [options["setup"]]
    cluster = options.get("cluster", "slurm")
    submitter = submitit.AutoExecutor(folder=folder / "slurm", cluster=cluster)
    submitter.update_parameters(**settings)
    return submitter


def _submitted(submit: Any, job: ShareJob, shares: list[Shard]) -> list[Any]:
    """Submit jobs as one array.

    Raises:
        InitBenchError: Slurm refuses them.
    """
    if not shares:
        return []
    try:
        return list(submit.map_array(job, shares))
    except Exception as cause:
        raise InitBenchError(f"Slurm refuses the jobs: {_message(str(cause))}") from cause


@contextmanager
def connect(resources: Resources) -> Iterator[int]:
    """Ask Slurm whether it would take a job with these options.

    Raises:
        InitBenchError: submitit is not installed, there is no Slurm here, or it refuses them.
    """
    imported("submitit", extra="slurm")
    if not _is_local(resources):
        if not shutil.which("sbatch") or not shutil.which("srun"):
            raise InitBenchError(
                "executor 'slurm': there is no sbatch and srun here. Start the run on a login "
                "node, or try it with --executor-option cluster=local"
            )
        command = ["sbatch", "--test-only", *_flags(resources), "--wrap", "true"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            raise InitBenchError(
                f"Slurm does not answer: 'sbatch --test-only' took more than {ANSWER_SECONDS:g} s"
            ) from None
        if done.returncode:
            raise InitBenchError(f"Slurm refuses such a job: {_message(done.stderr)}")
    yield resources.workers or os.cpu_count() or 1


def _gpus(resources: Resources) -> int:
    """Return the GPUs of a job: as asked, none beside a gres, else one on an accelerator."""
    by_default = 0 if resources.device == "cpu" or "gres" in resources.options else 1
    return int(resources.options.get("gpus", by_default))


def _flags(resources: Resources) -> list[str]:
    """Return the options as sbatch spells them."""
    names = {"cpus": "cpus-per-task", "gpus": "gpus-per-node", "time": "time"}
    names |= {name: name for name in SBATCH}
    given = {**resources.options, "gpus": _gpus(resources)}
    if not given["gpus"]:
        del given["gpus"]
    flags = [f"--{flag}={given[name]}" for name, flag in names.items() if name in given]
    return [*flags, *([f"--mem={given['mem_gb']:g}G"] if "mem_gb" in given else [])]


def _message(text: str) -> str:
    """Return Slurm's error message in one line."""
    lines = [line.removeprefix("sbatch: error: ") for line in text.splitlines() if line.strip()]
    return ". ".join(lines) or first_line(RuntimeError(text))


def minutes(value: Any) -> int:
    """Return minutes from ``90``, ``1:30:00`` or ``1-00:00:00``, as Slurm writes times.

    Example:
        >>> minutes("90"), minutes("1:30:00"), minutes("1-00:00:00")
        (90, 90, 1440)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):\d\d", str(value))
    if found:
        return (int(found[1] or 0) * 24 + int(found[2])) * 60 + int(found[3])
    return int(number(int, minimum=1)(value))


SBATCH = ("partition", "account", "qos", "constraint", "gres")
"""Options that are passed on as they are."""


SLURM = Executor(
    run=run,
    parallel=False,
    help="jobs of Slurm, each a share of the grid; the folder must be on a shared file system",
    options={
        "cluster": Option(
            parse=one_of("slurm", "local"), help="local: processes of this machine, as a trial"
        ),
        **{name: Option(parse=str, help=f"sbatch's --{name}") for name in SBATCH},
        "time": Option(parse=minutes, help="of a job, in minutes or as 1:30:00"),
        "cpus": Option(parse=number(int, minimum=1), help="CPUs of a job; default 1"),
        "gpus": Option(parse=number(int, minimum=0), help="GPUs of a job; default 1 on a GPU"),
        "mem_gb": Option(parse=number(float, minimum=0.1), help="memory of a job, in GB"),
        "setup": Option(parse=str, help="shell command before it, such as 'module load cuda'"),
        "jobs": Option(
            parse=number(int, minimum=1), help="number of jobs; default: ten minutes each or more"
        ),
    },
    connect=connect,
    elsewhere=True,
    stores=True,
)
"""The executor ``slurm``."""
