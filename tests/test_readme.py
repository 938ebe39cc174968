"""Every block of the README's tour runs, in order, with fewer steps and seeds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.in_process import init_bench

README = (Path(__file__).parents[1] / "README.md").read_text()


def _blocks(language: str, heading: str) -> list[str]:
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)


def _shortened(text: str, lengths: dict[str, str]) -> str:
    """Return the text with fewer steps and seeds: each replacement is found."""
    for shown, tried in lengths.items():
        assert shown in text
        text = text.replace(shown, tried)
    return text


def test_the_python_tour_runs(tmp_path: Path) -> None:
    script = "\n".join(_blocks("python", "Five minutes with Python"))
    lengths = {"seeds=8, steps=100": "seeds=2, steps=5"}
    done = subprocess.run(
        [sys.executable, "-c", _shortened(script, lengths)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sample_std" in done.stdout
    assert (tmp_path / "results" / "mine" / "loss.png").stat().st_size > 10_000


RECORD = """
set -e
init-bench() { printf '%s\\n' "$@" '' >> commands; }
"""
"""The shell reads the block and writes the words of each command down, an empty line after each."""


def test_the_shell_tour_runs(tmp_path: Path) -> None:
    (block,) = _blocks("shell", "The same from the shell")
    lengths = {"steps = 100": "steps = 5", "--steps 100": "--seeds 2 --steps 5"}
    script = RECORD + _shortened(block, lengths)
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    commands = [words.splitlines() for words in (tmp_path / "commands").read_text().split("\n\n")]
    done = [init_bench(*words, cwd=tmp_path) for words in commands if words]
    assert len(done) == block.count("\ninit-bench ")
    assert all(one.returncode == 0 for one in done), [one.stderr for one in done]
    assert any("torch.kaiming_uniform(nonlinearity='relu')" in one.stdout for one in done)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert (Path(__file__).parents[1] / target).exists()
