"""A package with an entry point puts its initialiser everywhere without another line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]

PLUGIN = '''
"""An initialiser of another package."""

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
'''


def install(folder: Path, entry: str, name: str = "half_he") -> None:
    """Lay out in ``folder`` what pip leaves behind for a package with one entry point."""
    (folder / "half_he_plugin.py").write_text(PLUGIN)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[init_bench.inits]\n{name} = {entry}\n")


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


def test_a_plugin_is_in_the_list_and_in_specs(tmp_path: Path) -> None:
    install(tmp_path, "half_he_plugin:half_he_")
    listed = python(tmp_path, "-m", "init_bench", "list", "inits", "--json")
    assert listed.stderr == ""
    (row,) = [row for row in json.loads(listed.stdout) if row["name"] == "half_he"]
    assert row["formula"] == "std = √(1 / (2 fan_in))."
    use = "import init_bench as ib; print(ib.Grid(init=['half_he', 'zeros']).cells[0].init)"
    assert python(tmp_path, "-c", use).stdout == "half_he\n"


def test_a_plugin_meets_the_property_tests(tmp_path: Path) -> None:
    install(tmp_path, "half_he_plugin:half_he_")
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/init/test_menu.py")
    done = python(tmp_path, *words, "-k", "half_he and not taken")
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 12


@pytest.mark.parametrize(
    ("entry", "name", "reason"),
    [
        ("no_such_module:fill_", "broken", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("half_he_plugin:no_such_", "broken", "AttributeError"),
        ("half_he_plugin:__doc__", "broken", "must be a function init(tensor, *, generator=None)"),
        ("half_he_plugin:half_he_", "he_normal", "init 'he_normal' is taken"),
        ("half_he_plugin:half_he_", "half-he", "init name 'half-he' must be a Python name"),
    ],
)
def test_a_broken_plugin_is_named_and_breaks_nothing_else(
    tmp_path: Path, entry: str, name: str, reason: str
) -> None:
    install(tmp_path, entry, name)
    done = python(tmp_path, "-c", "from init_bench import init; print(init.canonical('he_normal'))")
    assert done.stdout == "he_normal\n"
    assert f"the plug-in init {name!r} ({entry}, from {name}-package) is left out" in done.stderr
    assert reason in done.stderr
