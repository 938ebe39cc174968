"""What runs on the emulated accelerator: in one process, as registering a back end is for good."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import importlib, json, sys, traceback

for name in sys.argv[1:]:
    try:
        importlib.import_module(name).main()
        wrong = ""
    except Exception:
        wrong = traceback.format_exc()
    print(json.dumps([name, wrong]))
"""
MODULES = [
    "tests.statistics.on_emulated_accelerator",
    "tests.init.on_emulated_accelerator",
    "tests.diagnosis.on_emulated_accelerator",
    "tests.diagnosis.evidence.on_emulated_accelerator",
    "tests.training.engine.on_emulated_accelerator",
]
"""Each has a function ``main`` that raises where the device gives other numbers than the CPU."""


@pytest.fixture(scope="module")
def wrong() -> dict[str, str]:
    """Return what each module raised, empty where nothing is wrong."""
    command = [sys.executable, "-c", RUN, *MODULES]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_the_emulated_accelerator_gives_the_cpus_numbers(
    module: str, wrong: dict[str, str]
) -> None:
    assert not wrong[module], wrong[module]
