"""Fixtures that several test modules share: small data, and hypothesis without a clock."""

import gc
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from init_bench.datasets.idx import FILES

torch.set_num_threads(1)  # a test process for each core: more threads would wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same in the processes that tests start

TRAIN, TEST, SIDE, CLASSES = 200, 50, 28, 10

collect_ignore_glob = ["*emulated_accelerator.py"]
"""Importing one registers a back end for the rest of the process: they run in their own."""

# Few examples a run: CI and developers run often. --hypothesis-profile=thorough draws many.
settings.register_profile("init_bench", deadline=None, max_examples=6)
settings.register_profile("thorough", deadline=None, max_examples=200)  # --hypothesis-profile
settings.load_profile("init_bench")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        help="Write golden files anew; see git diff.",
    )
    parser.addoption(
        "--slow",
        action="store_true",
        help="Run slow end-to-end tests too, as CI does: notebooks, pages, clusters and more.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the slow end-to-end tests unless ``--slow`` is given."""
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))


def pytest_collection_finish() -> None:
    """Keep torch and thousands of collected tests out of every garbage collection: 8 % of a run."""
    gc.collect()
    gc.freeze()


def write_idx(path: Path, values: np.ndarray) -> None:
    """Write ``values`` as a raw IDX file of unsigned bytes."""
    header = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def write_dataset(folder: Path) -> None:
    """Write a data set of random images and labels, every class in both parts."""
    random = np.random.default_rng(0)
    for split, number in (("train", TRAIN), ("test", TEST)):
        images = random.integers(0, 256, (number, SIDE, SIDE))
        write_idx(folder / FILES[f"{split}_images"], images)
        write_idx(folder / FILES[f"{split}_labels"], np.arange(number) % CLASSES)


@pytest.fixture(scope="session")
def fake_idx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound data set of four IDX files; read it, do not change it."""
    folder = tmp_path_factory.mktemp("idx")
    write_dataset(folder)
    return folder


@pytest.fixture
def own_idx(tmp_path: Path) -> Path:
    """The same data set in a folder of the test's own, to be damaged."""
    folder = tmp_path / "idx"
    folder.mkdir()
    write_dataset(folder)
    return folder


@pytest.fixture
def process_group() -> Iterator[None]:
    """A group of this process alone, as distributed models want one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()
