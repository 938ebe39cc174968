"""Run chunks as tasks of a Ray cluster: each returns its results, this driver stores them."""

import itertools
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from init_bench.errors import InitBenchError, first_line
from init_bench.training.cell import Cell
from init_bench.training.chunk_timeout import ChunkTimeoutError
from init_bench.training.executors.protocol import (
    ChunkOutcome,
    Executor,
    Option,
    Resources,
    TrainChunk,
    Work,
    imported,
    number,
    outcome_of,
)
from init_bench.training.tables import CellResult
from init_bench.words import counted

log = logging.getLogger(__name__)


ANSWER_SECONDS = 20.0
"""A cluster that has not answered by then is taken for dead."""


AHEAD = 16
"""Tasks that wait in Ray's queue, beside those that run: a new node finds work at once."""


QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
"""What workers print goes to Ray's logs: the output of this process is the results alone."""


RETRIES = 3
"""A task is run again this often if its worker or its node dies."""


def run(work: Work) -> Iterator[ChunkOutcome]:
    """Yield each chunk with its results as the tasks end."""
    ray = imported("ray", extra="ray")
    options = work.resources.options
    task = ray.remote(_train).options(
        num_cpus=options.get("cpus", 1),
        num_gpus=_gpus(work.resources),
        max_retries=options.get("retries", RETRIES),
    )
    train, chunks = ray.put(work.train), iter(work.chunks)
    running: dict[Any, list[Cell]] = {}
    try:
        while True:
            room = _most_tasks(ray, work.resources) - len(running)
            for chunk in itertools.islice(chunks, max(0, room)):
                running[task.remote(train, chunk)] = chunk
            if not running:
                return
            for done in ray.wait([*running], num_returns=1)[0]:
                chunk = running.pop(done)
                outcome = outcome_of(partial(ray.get, done))
                work.progress(sum(cell.steps for cell in chunk))
                yield chunk, outcome
    finally:
        for each in running:
            ray.cancel(each, force=True)


def _train(train: TrainChunk, chunk: Sequence[Cell]) -> list[CellResult]:
    """Train a chunk in a worker of the cluster."""
    try:
        return train(chunk, lambda steps: None)
    except ChunkTimeoutError:
        # The thread that hangs would keep the worker busy. It ends when Ray has the error; a task
        # that it has got meanwhile runs again.
        threading.Timer(1.0, os._exit, (1,)).start()
        raise


def _gpus(resources: Resources) -> float:
    """Return the GPUs of a task: as asked, else one if it trains on an accelerator."""
    return float(resources.options.get("gpus", 0 if resources.device == "cpu" else 1))


def _slots(ray: Any, resources: Resources) -> int:
    """Return how many tasks run at once now; nodes come and go."""
    total = ray.cluster_resources()
    return int(min(total.get(name, 0) // need for name, need in _needs(resources).items() if need))


def _needs(resources: Resources) -> dict[str, float]:
    """Return what a task takes of a node, as Ray names it."""
    return {"CPU": resources.options.get("cpus", 1), "GPU": _gpus(resources)}


def _why_no_node_fits(ray: Any, resources: Resources) -> str:
    """Return why a task would wait for ever, empty if some node can hold it."""
    needs = _needs(resources)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= need for name, need in needs.items()) for node in nodes):
        return ""
    most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in needs}
    asked, there = (
        " and ".join(counted(f"{count:g}", name) for name, count in of.items())
        for of in (needs, most)
    )
    return f"a task takes {asked}, and no node has that: the most that one has is {there}"


def _most_tasks(ray: Any, resources: Resources) -> int:
    return resources.workers or _slots(ray, resources) + AHEAD


@contextmanager
def connect(resources: Resources) -> Iterator[int]:
    """Connect to the cluster of the option ``address`` or ``$RAY_ADDRESS``, or start one here.

    A connection that the caller has made is used, and left.

    Raises:
        InitBenchError: Ray is not installed, the cluster does not answer, or the one that is
            started here cannot hold a task.
    """
    ray = imported("ray", extra="ray")
    if ray.is_initialized():
        _warn_of_waiting(ray, resources)
        yield resources.workers or max(1, _slots(ray, resources))
        return
    address = resources.options.get("address") or os.environ.get("RAY_ADDRESS")
    if address and address != "local":
        _connect(ray, address)
        _warn_of_waiting(ray, resources)
    else:
        _start(ray, resources)
    try:
        yield resources.workers or max(1, _slots(ray, resources))
    finally:
        ray.shutdown()


def _start(ray: Any, resources: Resources) -> None:
    """Start a cluster on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    cpus = resources.workers and math.ceil(resources.workers * resources.options.get("cpus", 1))
    settings = {"address": "local", "include_dashboard": False, "num_cpus": cpus}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**settings, **QUIET)
    except Exception as cause:
        reason = first_line(cause)
        raise InitBenchError(f"Ray cannot be started on this machine: {reason}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray has put its own in place of the caller's
    if reason := _why_no_node_fits(ray, resources):
        ray.shutdown()
        raise InitBenchError(
            f"executor 'ray', on this machine: {reason}. Lower the options cpus and gpus, or name "
            "a cluster with the option address"
        )


def _warn_of_waiting(ray: Any, resources: Resources) -> None:
    """Say that no node can hold a task: a cluster that grows may get one, any other will not."""
    if reason := _why_no_node_fits(ray, resources):
        log.warning(
            "Ray: %s. The tasks wait for such a node. If none will come, stop, and lower the "
            "options cpus and gpus",
            reason,
        )


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster, from another thread: Ray itself waits for minutes."""
    _check_port(address)
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            ray.init(address=address, **QUIET)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    if thread.is_alive():
        raise _no_answer(address, f"nothing for {ANSWER_SECONDS:g} s")
    if errors:
        raise _no_answer(address, first_line(errors[0])) from None


def _check_port(address: str) -> None:
    """Knock at the head's port: one that is closed says so at once."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS / 2).close()
    except OSError as cause:
        raise _no_answer(address, str(cause)) from None


def _no_answer(address: str, reason: str) -> InitBenchError:
    return InitBenchError(
        f"no Ray cluster answers at {address!r}: {reason}. 'ray status --address {address}' must "
        f"work from here. The address is the option address or $RAY_ADDRESS; without both, a "
        f"cluster is started on this machine"
    )


RAY = Executor(
    run=run,
    parallel=True,
    help="tasks of a Ray cluster; without an address, one that is started here",
    options={
        "address": Option(parse=str, help="the head, HOST:PORT; default $RAY_ADDRESS"),
        "cpus": Option(parse=number(float, minimum=0.01), help="CPUs of a task; default 1"),
        "gpus": Option(
            parse=number(float, minimum=0),
            help="GPUs of a task; default 1 on a GPU; 0.5 puts two tasks on one",
        ),
        "retries": Option(
            parse=number(int, minimum=0),
            help=f"runs of a task again after its worker died; default {RETRIES}",
        ),
    },
    connect=connect,
    elsewhere=True,
)
"""The executor ``ray``."""
