"""Every block of the README's tour runs, in order, as a reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


def _blocks(language: str, heading: str) -> list[str]:
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)


def test_the_python_tour_runs(tmp_path: Path) -> None:
    script = "\n".join(_blocks("python", "Five minutes with Python"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sample_std" in done.stdout
    assert (tmp_path / "results" / "mine" / "loss.png").stat().st_size > 10_000


def test_the_shell_tour_runs(tmp_path: Path) -> None:
    (block,) = _blocks("shell", "The same from the shell")
    command = f'init-bench() {{ "{sys.executable}" -m init_bench "$@"; }}; set -e\n{block}'
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "torch.kaiming_uniform(nonlinearity='relu')" in done.stdout


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert (Path(__file__).parents[1] / target).exists()
