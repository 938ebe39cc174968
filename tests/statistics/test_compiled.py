"""Compiled loops: the bits of the process that compiles them and of those that load them."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import init_bench

CAPTURE = """
import hashlib, torch
import init_bench as ib

torch.manual_seed(0)
digest = hashlib.sha256()
for width in (30, 64, 100):
    layers = [layer for _ in range(4) for layer in (torch.nn.Linear(width, width), torch.nn.Tanh())]
    for samples in (37, 64, 256):
        with ib.capture(model := torch.nn.Sequential(*layers)) as record:
            model(torch.randn(samples, width))
        digest.update(record.table().select_dtypes(float).to_numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_a_loop_has_the_same_bits_where_it_is_compiled_and_where_it_is_loaded(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", CAPTURE]
    root = Path(__file__).parents[2]
    compiling, loading = (
        subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert [*tmp_path.rglob("*.nbc")]
    assert compiling == loading != ""


def test_no_compiled_loop_calls_another() -> None:
    loops: dict[str, ast.FunctionDef] = {}
    for path in (Path(init_bench.__file__).parent / "statistics").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and "compiled" in map(
                ast.unparse, node.decorator_list
            ):
                loops[node.name] = node
    assert len(loops) >= 4
    for name, loop in loops.items():
        called = {ast.unparse(n.func) for n in ast.walk(loop) if isinstance(n, ast.Call)}
        assert not called & set(loops), name
