"""A figure on disk: PNG and SVG, the same bytes for the same figure."""

import functools
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from init_bench.figures.style import RC
from init_bench.files import write_whole

_UNDATED: dict[str, Mapping[str, None]] = {"png": {"Software": None}, "svg": {"Date": None}}


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``folder/figures/name`` as PNG at 150 dpi and as SVG; return their paths."""
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    paths = []
    for kind, metadata in _UNDATED.items():
        path = target / f"{name}.{kind}"
        write = functools.partial(figure.savefig, format=kind, dpi=150, metadata=metadata)
        with mpl.rc_context(RC):
            write_whole(path, write)
        paths.append(path)
    return paths
