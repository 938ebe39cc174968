"""Diagnose every model of torchvision at its default weights. ``python -m benchmarks.zoo``

Each model runs in a process of its own: its memory is freed, and a model that exceeds the time
limit is stopped. Finished rows are in the temporary folder ``init_bench_zoo``. Run the command
again to continue; delete that folder first if the verdicts have changed.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd
from torchvision.models import list_models

from benchmarks.interleaved_timing import save
from benchmarks.zoo_tasks import build, task_of
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.result import Diagnosis

CACHE = Path(tempfile.gettempdir()) / "init_bench_zoo"
MINUTES = 10.0
COLUMNS = ("model", "parameters", "layers", "seconds", "verdict", "layer", "value", "threshold")


def diagnosed_row(name: str) -> dict[str, object]:
    """Return the row of one model: its size and its first finding."""
    task = task_of(name)
    try:
        model = build(name, task)
        started = time.perf_counter()
        found = diagnose(model, task.inputs, task.targets, task.loss)
    except Exception as error:
        return {"model": name, "verdict": "error", "why": f"{type(error).__name__}: {error}"}
    return {
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "layers": found.profile["layer"].nunique(),
        "seconds": round(time.perf_counter() - started, 1),
        **_first(found),
    }


def _first(found: Diagnosis) -> dict[str, object]:
    """Return the first finding and the names of all."""
    names = ", ".join(found.verdicts["verdict"].unique())
    first = found.verdicts[["verdict", "layer", "value", "threshold"]].to_dict("records")[0]
    return {**{str(key): value for key, value in first.items()}, "findings": names}


def cached_row(name: str, minutes: float) -> dict[str, object]:
    """Return the row of one model from the cache, or diagnose it in its own process."""
    path = CACHE / f"{name}.json"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        path.write_text(json.dumps(_in_its_own_process(name, minutes)))
    row: dict[str, object] = json.loads(path.read_text())
    return row


def _in_its_own_process(name: str, minutes: float) -> dict[str, object]:
    context = multiprocessing.get_context("fork")  # torch is imported once for all
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(diagnosed_row(name)))
    process.start()
    theirs.close()
    try:
        row: dict[str, object] = ours.recv() if ours.poll(minutes * 60) else _not_ended(minutes)
    except EOFError:
        row = {"verdict": "error", "why": "the process was killed, most likely for its memory"}
    process.kill()
    process.join()
    return {"model": name, **row}


def _not_ended(minutes: float) -> dict[str, object]:
    return {"verdict": "error", "why": f"did not end in {minutes:g} minutes"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="models to diagnose (default: all)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="time limit per model")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning, module="torchvision")
    rows = []
    for name in given.models or list_models():
        rows.append(cached_row(name, given.minutes))
        print({key: value for key, value in rows[-1].items() if key != "threshold"}, flush=True)
    table = pd.DataFrame(rows)
    print(table.reindex(columns=list(COLUMNS)).to_string())
    print(table["verdict"].value_counts().to_string())
    if not given.models:
        print(save(table, "zoo"))


if __name__ == "__main__":
    main()
