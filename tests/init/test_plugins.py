"""A package with an entry point puts its initializer everywhere without another line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).parents[2]

PLUGIN = '''
"""Initializers of another package, one of each kind."""

from init_bench.init import he_normal_


def half_he_(tensor, *, generator=None):
    """Fill ``tensor`` in place from N(0, 1 / (2 fan_in)).

    Formula:
        std = √(1 / (2 fan_in)).

    Source:
        nobody.
    """
    he_normal_(tensor, generator=generator).data.mul_(0.5)
    return tensor


half_he_.nominal_std = lambda arguments, size: (2 * size.fan_in) ** -0.5
half_he_.distribution = "normal"


def half_net_(network):
    """Halve every weight of he_normal."""
    network.start("he_normal")
    _scale(network, 0.5)


def level_net_(network):
    """Divide every weight by the spread of the output on the batch."""
    network.start("he_normal")
    with network.preserved_state():
        spread = network.run().std().item()
    _scale(network, 1 / spread)


def lossy_net_(network):
    """Divide every weight by 1 + loss."""
    network.start("he_normal")
    with network.preserved_state():
        loss = network.objective().item()
    _scale(network, 1 / (1 + loss))


half_net_.needs, level_net_.needs, lossy_net_.needs = "module", "batch", "loss"


def _scale(network, factor):
    for weight in network.weights:
        network.scale(weight, factor)
'''

KINDS = {"half_he": "tensor", "half_net": "module", "level_net": "batch", "lossy_net": "loss"}
"""The plug-ins above by name, and what they need; their functions end in an underscore."""


def install(folder: Path, entries: dict[str, str], package: str = "half_he") -> None:
    """Lay out in ``folder`` what pip leaves behind for a package with these entry points."""
    (folder / "half_he_plugin.py").write_text(PLUGIN)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {package}-package\nVersion: 1.0\n"
    (info / "METADATA").write_text(about)
    points = "".join(f"{name} = {entry}\n" for name, entry in entries.items())
    (info / "entry_points.txt").write_text(f"[init_bench.inits]\n{points}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a package offers one initializer of each kind."""
    folder = tmp_path_factory.mktemp("installed")
    install(folder, {name: f"half_he_plugin:{name}_" for name in KINDS})
    return folder


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TREE), str(folder)])
    return subprocess.run(
        [sys.executable, *words],
        cwd=TREE,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


USE = f"""
import json, sys
import torch, init_bench as ib
from init_bench.cli.app import main
from init_bench.comparison.stated_distribution import stated
from tests.cli.test_menu_listing import documented

model = torch.nn.Linear(50, 40)
said = {{
    "grid": ib.Grid(init={list(KINDS)}).init,
    "page": documented().splitlines(),
    "nominal": ib.initialize(model, "half_he").rows[0].std_nominal,
    "tested": stated(ib.init.parse("half_he"), (40, 50)).std(),
    "looks_like": ib.diagnose(model, torch.randn(8, 50), torch.arange(8)).weights["looks_like"][0],
}}
print(json.dumps(said))
sys.argv = ["init-bench", "list", "inits", "--json"]
main()
"""


@pytest.fixture(scope="module")
def said(installed: Path) -> dict[str, Any]:
    """What a process beside the package says of its initializers; ``list``: what the CLI lists."""
    done = python(installed, "-c", USE)
    assert done.stderr == ""
    found, listed = map(json.loads, done.stdout.splitlines())
    return {**found, "list": {row["name"]: row for row in listed}}


@pytest.mark.slow
def test_plugins_of_every_kind_are_in_the_list(said: dict[str, Any]) -> None:
    rows = said["list"]
    assert {name: rows[name]["needs"] for name in KINDS} == KINDS
    assert rows["half_he"]["formula"] == "std = √(1 / (2 fan_in))."
    assert rows["lossy_net"]["formula"] == "Divide every weight by 1 + loss."


@pytest.mark.slow
def test_plugins_of_every_kind_are_in_specs_and_in_the_table_of_the_docs(
    said: dict[str, Any],
) -> None:
    assert said["grid"] == list(KINDS)
    for name, needs in KINDS.items():
        assert sum(line.startswith(f"| {name} | {needs} | ") for line in said["page"]) == 1


@pytest.mark.slow
def test_plugins_of_every_kind_meet_the_property_tests(installed: Path) -> None:
    words = ("-m", "pytest", "-n0", "-p", "no:cacheprovider", "tests/init/test_menu.py")
    chosen = f"({' or '.join(KINDS)}) and not taken"
    done = python(installed, *words, "tests/init/test_network_inits.py", "-k", chosen, "-v")
    assert done.returncode == 0, done.stdout
    passed = [line for line in done.stdout.splitlines() if " PASSED " in line]
    for name in KINDS:
        assert sum(name in line for line in passed) >= 8


def test_a_plugin_is_reported_tested_and_recognized_as_ours_are(said: dict[str, Any]) -> None:
    assert [said["nominal"], said["tested"]] == pytest.approx([0.1, 0.1])
    assert said["looks_like"] == "half_he"


BROKEN = [
    ("no_such_module:fill_", "broken", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("half_he_plugin:no_such_", "broken", "AttributeError"),
    ("half_he_plugin:__doc__", "broken", "must be a function init(tensor, *, generator=None)"),
    ("half_he_plugin:half_he_", "he_normal", "init 'he_normal' is taken"),
    ("half_he_plugin:level_net_", "he_normal", "init 'he_normal' is taken"),
    ("half_he_plugin:half_he_", "half-he", "init name 'half-he' must be a Python name"),
]
"""Entry points, their names and why they are refused."""


@pytest.fixture(scope="module")
def warned(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The warnings of a process beside a package for each broken plug-in; all else works."""
    folder = tmp_path_factory.mktemp("broken")
    for number, (entry, name, _) in enumerate(BROKEN):
        install(folder, {name: entry}, package=f"broken{number}")
    code = "from init_bench import init; print(init.canonical('he_normal'))"
    done = python(folder, "-c", code)
    assert done.stdout == "he_normal\n"
    return done.stderr.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_plugin_is_named_and_breaks_nothing_else(number: int, warned: list[str]) -> None:
    entry, name, reason = BROKEN[number]
    said = f"the plug-in init {name!r} ({entry}, from broken{number}-package) is left out"
    (line,) = [line for line in warned if said in line]
    assert reason in line
