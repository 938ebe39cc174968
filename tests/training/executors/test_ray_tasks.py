"""A real Ray cluster: a head and two nodes, whose workers and nodes are killed."""

import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import init_bench as ib
from benchmarks.processes import descendants, kill
from init_bench.errors import InitBenchError
from init_bench.training.chunk_timeout import ChunkTimeoutError
from init_bench.training.executors import ray_tasks
from init_bench.training.executors.protocol import Resources
from tests.training.executors.gated import Gate

ray = pytest.importorskip("ray")

SMALL: dict[str, Any] = {"width": 8, "batch_size": 16, "steps": 5}
GRID = ib.Grid(model="tests.training.executors.gated:net", seed=range(3), lr=[0.1, 0.2], **SMALL)
PLAIN = ib.Grid(depth=2, **SMALL)


def assert_same(a: ib.Results, b: ib.Results) -> None:
    drop = ["train_seconds"]
    pd.testing.assert_frame_equal(a.cells.drop(columns=drop), b.cells.drop(columns=drop))
    pd.testing.assert_frame_equal(a.curves, b.curves, check_exact=True)
    pd.testing.assert_frame_equal(a.layers, b.layers, check_exact=True)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate(tmp_path / "gate")
    for name, value in gate.environment.items():
        monkeypatch.setenv(name, value)
    return gate


@pytest.fixture
def cluster(gate: Gate) -> Iterator[Any]:
    """A head that takes no tasks and two nodes that take one each; they see the gate."""
    from ray.cluster_utils import Cluster

    memory = 80 * 2**20
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": memory}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=memory) for _ in range(2)]
    yield cluster, nodes, memory
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own, about files that a killed node leaves open
def test_a_grid_outlives_a_worker_and_a_node(cluster: Any, gate: Gate, tmp_path: Path) -> None:
    """Kill a worker mid-task, then a node and its children; add a node: each cell is there once."""
    heads, (node, _), memory = cluster
    options = {"address": heads.address}
    found: list[ib.Results] = []

    def drive() -> None:
        how: dict[str, Any] = {"executor": "ray", "executor_options": options, "device": "cpu"}
        found.append(ib.run(GRID, tmp_path / "ray", progress=False, **how))

    driver = threading.Thread(target=drive)
    driver.start()
    first = gate.waiting(2)
    kill(first[0])
    gate.waiting(1, other_than=set(first))  # the task of the killed worker has begun again
    raylet = node.all_processes["raylet"][0].process.pid
    kill(raylet, *descendants(raylet))
    heads.add_node(num_cpus=1, object_store_memory=memory)
    gate.open()
    driver.join()
    assert not found[0].failures
    assert_same(found[0], ib.run(GRID, tmp_path / "serial", device="cpu", executor="serial"))
    keys = pd.read_parquet(tmp_path / "ray" / "cells")["key"]
    assert sorted(keys) == sorted(cell.key for cell in GRID.cells)


def _refused(tmp_path: Path, **options: Any) -> str:
    """Return how a run on Ray is refused, before anything is written."""
    with pytest.raises(InitBenchError) as refused:
        ib.run(PLAIN, tmp_path / "out", device="cpu", executor="ray", executor_options=options)
    assert not (tmp_path / "out").exists()
    return str(refused.value)


def test_without_ray_one_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'init_bench[ray]'" in _refused(tmp_path)


def test_a_closed_port_and_a_head_that_is_silent_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_tasks, "ANSWER_SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert f"no Ray cluster answers at '{address}'" in _refused(tmp_path, address=address)
        silent.listen()
        monkeypatch.setattr(ray, "init", lambda **settings: time.sleep(9))
        assert "nothing for 1 s" in _refused(tmp_path, address=address)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cpu": 2}, "did you mean 'cpus'? Known: address, cpus, gpus, retries, chunk_timeout"),
        ({"cpus": "many"}, "'cpus' of executor 'ray' .*: must be a number of at least 0.01"),
        ({"retries": 1.5}, "whole number"),
    ],
    ids=str,
)
def test_a_bad_option_is_told(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    assert re.search(said.replace("?", r"\?"), _refused(tmp_path, **options))


@pytest.fixture
def one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray as it answers where a cluster has one node of 2 CPUs."""
    node = {"Alive": True, "Resources": {"CPU": 2.0}}
    answers = {"init": None, "nodes": [node], "shutdown": None}
    for name, answer in answers.items():
        monkeypatch.setattr(ray, name, lambda answer=answer, **settings: answer)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})


@pytest.mark.parametrize(
    ("options", "asked"), [({"cpus": 3}, "3 CPUs and 0 GPUs"), ({"gpus": 0.5}, "1 CPU and 0.5 GPU")]
)
@pytest.mark.usefixtures("one_node")
def test_a_task_that_this_machine_cannot_hold_is_refused(
    options: dict[str, Any], asked: str, tmp_path: Path
) -> None:
    said = _refused(tmp_path, **options)
    assert f"a task takes {asked}" in said and "the most that one has is 2 CPUs and 0 GPUs" in said


@pytest.mark.usefixtures("one_node")
def test_a_cluster_that_may_grow_is_waited_for_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ray_tasks._warn_of_waiting(ray, Resources(device="cpu", workers=None, options={"cpus": 2}))
    assert not caplog.messages
    ray_tasks._warn_of_waiting(ray, Resources(device="cuda", workers=None, options={}))
    assert "a task takes 1 CPU and 1 GPU, and no node has that" in caplog.text


@pytest.mark.parametrize(("device", "said"), [("cuda:1", "write 'cuda'"), ("gpu", "'cuda'")])
def test_a_device_is_one_of_the_workers(tmp_path: Path, device: str, said: str) -> None:
    with pytest.raises(InitBenchError, match=said):
        ib.run(PLAIN, tmp_path / "out", device=device, executor="ray")


def test_a_worker_with_a_chunk_that_hangs_ends_after_it_has_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()
    monkeypatch.setattr("os._exit", lambda code: ended.set())

    def hanging(chunk: Any, progress: Any) -> Any:
        raise ChunkTimeoutError("too long")

    with pytest.raises(ChunkTimeoutError):
        ray_tasks._train(hanging, PLAIN.cells)
    assert ended.wait(60)
