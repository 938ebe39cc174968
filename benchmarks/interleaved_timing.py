"""Time methods in interleaved rounds, so that machine drift affects all of them alike."""

import platform
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch

from init_bench.training.manifest import versions

RESULTS = Path(__file__).parent / "results"


def interleaved(contenders: Mapping[str, Callable[[], float]], repeats: int) -> pd.DataFrame:
    """Return a row per contender and repeat; the contenders of a repeat follow one another."""
    return pd.DataFrame(
        [
            {"contender": name, "repeat": repeat, "value": measure()}
            for repeat in range(repeats)
            for name, measure in contenders.items()
        ]
    )


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return median, least and greatest value of each contender, in order of measurement."""
    return rows.groupby("contender", sort=False)["value"].agg(["median", "min", "max"])


def ratios(rows: pd.DataFrame, ours: str, peer: str) -> pd.Series:
    """Return peer / ours, repeat by repeat: both of a ratio stem from the same minute."""
    wide = rows.pivot(index="repeat", columns="contender", values="value")
    return wide[peer] / wide[ours]


def save(frame: pd.DataFrame, name: str, folder: Path = RESULTS) -> Path:
    """Write ``frame`` with machine and versions beside every row."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.csv"
    machine = {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads", **versions()}
    frame.assign(**machine).to_csv(path, index=False)
    return path
