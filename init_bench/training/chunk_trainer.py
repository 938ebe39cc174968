"""Train chunks on the devices of this machine, and of any other that the trainer is sent to."""

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from init_bench import datasets
from init_bench.datasets import Dataset
from init_bench.errors import InitBenchError
from init_bench.training.cell import Cell
from init_bench.training.chunk_timeout import within
from init_bench.training.devices import devices_of
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.intra_op import one_thread
from init_bench.training.precision import float32_products
from init_bench.training.progress import ProgressCallback
from init_bench.training.tables import CellResult


class ChunkTrainer:
    """Train a chunk on the least busy of the devices that a name stands for.

    Pickled, it is a name, the hashes of the data and the time limit: where it is loaded, it finds
    the devices and the data anew.

    Args:
        device: ``cpu``, ``cuda`` (all of them), ``cuda:1`` …
        sums: SHA-256 of the data sets that the chunks need, by name.
        timeout: seconds that a chunk may take; ``None`` is no limit.
        data: the data sets, where they are loaded already.
    """

    def __init__(
        self,
        device: str,
        sums: Mapping[str, str],
        timeout: float | None = None,
        data: Mapping[str, Dataset] | None = None,
    ) -> None:
        self.device, self.sums, self.timeout = device, dict(sums), timeout
        self.loaded = dict(data or {})
        self._copies: dict[tuple[str, torch.device], Dataset] = {}
        self._busy: Counter[torch.device] = Counter()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., "ChunkTrainer"], tuple[Any, ...]]:
        return _trainer_of_process, (self.device, tuple(self.sums.items()), self.timeout)

    def __call__(self, chunk: Sequence[Cell], progress: ProgressCallback) -> list[CellResult]:
        """Train one chunk with one intra-op thread and the precision of its cells.

        Raises:
            ChunkTimeoutError: it takes too long.
            InitBenchError: a network cannot be made, there is no such device here, or the data
                here are not the driver's.
        """
        return within(self.timeout, functools.partial(self._train, chunk), progress)

    def _train(self, chunk: Sequence[Cell], progress: ProgressCallback) -> list[CellResult]:
        with self._least_busy() as device:
            data = self.data_on(device, chunk[0].dataset)
            with one_thread(), float32_products(chunk[0].precision, device):
                return train_chunk(chunk, data, device, progress)

    @functools.cached_property
    def devices(self) -> list[torch.device]:
        """The devices of this machine that the name stands for."""
        return devices_of(self.device)

    @contextmanager
    def _least_busy(self) -> Iterator[torch.device]:
        with self._lock:
            device = min(self.devices, key=lambda device: self._busy[device])
            self._busy[device] += 1
        try:
            yield device
        finally:
            with self._lock:
                self._busy[device] -= 1

    def data_on(self, device: torch.device, name: str) -> Dataset:
        """Return a data set on a device, where it stays.

        Raises:
            InitBenchError: it is another than the driver's.
        """
        with self._lock:
            if name not in self.loaded:
                self.loaded[name] = datasets.load(name)
            if self.loaded[name].sha256 != self.sums[name]:
                raise InitBenchError(f"the data set {name!r} on this machine is not the driver's")
            if (name, device) not in self._copies:
                self._copies[name, device] = self.loaded[name].to(device)
            return self._copies[name, device]


@functools.lru_cache(maxsize=1)
def _trainer_of_process(
    device: str, sums: tuple[tuple[str, str], ...], timeout: float | None
) -> ChunkTrainer:
    """Return the trainer of a process that gets chunks one by one: it loads the data once."""
    return ChunkTrainer(device, dict(sums), timeout)
