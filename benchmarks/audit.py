"""Audit a safetensors file of 1 GB in a fresh process. ``python -m benchmarks.audit``"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file

from benchmarks.interleaved_timing import save
from init_bench.hooks.random_streams import stream

WIDTH, VOCABULARY = 2048, 32000
"""Sizes of a Llama-like model: an embedding of 262 MB, layers of 7 matrices."""


TORCH, IMPORTED = "import torch", "import init_bench.diagnosis.checkpoint.pipeline"


MEMORY = (
    "import re, pathlib; status = pathlib.Path('/proc/self/status').read_text(); "
    "peak = int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1024; "
    "own = int(re.search(r'RssAnon:\\s+(\\d+)', status)[1]) / 1024; "
)
"""Peak resident memory in MiB. ``ru_maxrss`` would count what the parent held at the fork.
Also the memory at the end that is no file: pages of libraries and of the audited file left out."""


def write(path: Path, megabytes: int, *, trained: bool) -> None:
    """Write float32 weights of about this size, drawn by rules or moved away from them."""
    tensors = {"embed.weight": (VOCABULARY, WIDTH)}
    while 4 * sum(rows * columns for rows, columns in tensors.values()) < megabytes * 1e6:
        layer = f"layers.{(len(tensors) - 1) // 5}"
        tensors |= {f"{layer}.{name}.weight": (WIDTH, WIDTH) for name in "qkvo"}
        tensors[f"{layer}.up.weight"] = (4 * WIDTH, WIDTH)
    values = {}
    for name, shape in tensors.items():
        values[name] = torch.randn(shape, generator=stream(0, name)) * 0.02
        if trained:
            values[name] *= torch.linspace(0.5, 1.5, shape[0])[:, None]
    save_file(values, path)


def measured(imported: str, path: Path | None) -> dict[str, float]:
    """Return seconds and peak memory in MiB of a fresh process that audits ``path``, if any."""
    work = f"init_bench.audit({str(path)!r})" if path else "None"
    script = (
        f"{imported}; import time, json; "
        f"start, cpu = time.perf_counter(), time.process_time(); result = {work}; "
        f"seconds = time.perf_counter() - start; cpu = time.process_time() - cpu; {MEMORY}"
        f"fresh = len(result.fresh) if result else 0; number = len(result.table) if result else 0; "
        f"print(json.dumps(dict(seconds=seconds, cpu_seconds=cpu, peak_mib=peak, "
        f"anonymous_mib=own, fresh=fresh, tensors=number)))"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return {**found, "process_seconds": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        variants: dict[str, tuple[str, Path | None]] = {
            "torch alone": (TORCH, None),
            "imports alone": (IMPORTED, None),
        }
        for name, trained in (("fresh weights", False), ("trained weights", True)):
            variants[name] = (IMPORTED, Path(folder) / f"{name}.safetensors")
            write(Path(folder) / f"{name}.safetensors", given.megabytes, trained=trained)
        rows = pd.DataFrame(
            {"variant": name, "round": i, **measured(*variant)}
            for i in range(given.repeats)
            for name, variant in variants.items()
        )
    for memory in ("peak_mib", "anonymous_mib"):
        torchs = rows.loc[rows["variant"] == "torch alone"].set_index("round")[memory]
        rows[memory.replace("mib", "beyond_torch_mib")] = rows[memory] - rows["round"].map(torchs)
    print(rows.groupby("variant", sort=False).median().round(2).to_string())
    print(save(rows, "audit" if torch.version.cuda else "audit-cpu-build"))


if __name__ == "__main__":
    main()
