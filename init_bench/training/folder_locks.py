"""Let several drivers share a folder: a lock for moments, and claims on cells for hours.

Both are leases of ``filelock``: a file with host, process and heartbeat, on NFS too. The lease of a
dead process of this machine is taken over at once, any other when its heartbeat has stood still for
``LEASE_SECONDS``.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from filelock import SoftFileLease, Timeout

from init_bench.files import make_folder, write_atomic

log = logging.getLogger(__name__)


LEASE_SECONDS = 60.0
"""A heartbeat that stands still for this long is a dead driver's. All drivers must agree on it."""


CLAIMS = "claims"
"""Folder of the claims of a run."""


PATIENCE_SECONDS = 10.0
"""Wait for a lock this long before saying so."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs; wait for whoever holds it."""
    lease = SoftFileLease(path, lease_duration=LEASE_SECONDS)
    try:
        lease.acquire(timeout=PATIENCE_SECONDS)
    except Timeout:
        log.warning("waiting for %s, held by %s", path, _holder_of(lease))
        _acquire_from_nobody(lease)
    try:
        yield
    finally:
        lease.release()


def _acquire_from_nobody(lease: SoftFileLease) -> None:
    """Take a lease when it is free, or its file names no holder for as long as a lease lasts.

    ``filelock`` takes over a dead process's lease, but waits forever for one that was killed, or
    whose disk was full, before its name was written.
    """
    while True:
        with suppress(Timeout):
            lease.acquire(timeout=PATIENCE_SECONDS)
            return
        with suppress(FileNotFoundError):
            age = time.time() - Path(lease.lock_file).stat().st_mtime
            if lease.owner is None and age > LEASE_SECONDS:
                Path(lease.lock_file).unlink()


def _holder_of(lease: SoftFileLease) -> str:
    """Return which process holds a lease, and when its heart beat last."""
    owner = lease.owner
    try:
        age = time.time() - Path(lease.lock_file).stat().st_mtime
    except FileNotFoundError:
        owner = None
    if owner is None:
        return "another process, which is just letting it go"
    return f"process {owner.pid} on {owner.hostname} (last heartbeat {max(age, 0):.0f} s ago)"


class Claims:
    """Claim cells for this driver, and see which ones other drivers have claimed.

    A claim is a JSON file beside the lease of its driver. It lasts until the driver ends, or its
    lease is taken over.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / CLAIMS
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self.lease = self._lease_of(self.name)
        self.waiting = False  # whether it has been said that others are waited for
        self._leases: dict[str, SoftFileLease] = {}  # kept: they time the heartbeats of others

    def __enter__(self) -> Self:
        make_folder(self.folder)
        self.lease.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file(self.name).unlink(missing_ok=True)
        self.lease.release()

    def take(self, keys: Collection[str]) -> set[str]:
        """Claim those of these cells that no other driver has claimed; return their keys.

        Call it under the folder's lock, so that two drivers do not choose at once.
        """
        taken = {key for other in self.others() for key in other["cells"]}
        mine = set(keys) - taken
        claim = {"host": socket.gethostname(), "pid": os.getpid(), "since": self.since}
        text = json.dumps({**claim, "cells": sorted(mine)})
        write_atomic(self._file(self.name), lambda part: part.write_text(text))
        return mine

    def held(self) -> bool:
        """Return whether this driver's claim stands: no other has taken its cells over.

        Call it under the folder's lock, under which cells are taken over.
        """
        try:  # to open a file, other than to ask whether it is there, is answered anew on NFS
            self._file(self.name).open().close()
        except FileNotFoundError:
            return False
        return True

    def others(self) -> list[dict[str, Any]]:
        """Return the claims of all other drivers that are alive; delete those of dead ones."""
        found = []
        for path in sorted(self.folder.glob("[!.]*.json")):
            if path.stem == self.name:
                continue
            if self._is_dead(path.stem):
                log.warning("the driver of %s has ended: its cells are free again", path)
                path.unlink(missing_ok=True)
                self._leases.pop(path.stem).release()
            else:
                with suppress(FileNotFoundError):  # it has just ended
                    found.append(json.loads(path.read_text()))
        return found

    def _is_dead(self, name: str) -> bool:
        """Take over the lease of another driver if it is nobody's any more."""
        lease = self._leases.setdefault(name, self._lease_of(name))
        try:
            lease.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def _lease_of(self, name: str) -> SoftFileLease:
        return SoftFileLease(self.folder / f"{name}.lock", lease_duration=LEASE_SECONDS)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def holder(claim: dict[str, Any]) -> str:
    """Return who holds a claim, and since when.

    Example:
        >>> holder({"host": "node7", "pid": 12, "since": "2026-11-27T10:00:00+00:00"})
        'process 12 on node7 (since 2026-11-27T10:00:00+00:00)'
    """
    return f"process {claim['pid']} on {claim['host']} (since {claim['since']})"
