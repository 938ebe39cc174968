"""Run what the README and the pages print: Python in order, the shell's commands, every link."""

import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from init_bench import theory
from init_bench.init.lookup import INITS
from tests.cli.in_process import init_bench

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").glob("*.md"))]
LENGTHS = {
    "seeds=8, steps=100": "seeds=2, steps=5",
    "steps = 100": "steps = 5",
    "--steps 100": "--seeds 2 --steps 5",
    "3, 64, 64": "3, 32, 32",
    "3,64,64": "3,32,32",
    "(0, 5, 10)": "(0, 1, 2)",
    "--capture-at 0,3": "--capture-at 0,1",
}
"""What pages show, and what is tried in its place: fewer steps and seeds, smaller images."""


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of code of a page, shorter in what they train."""
    text = (ROOT / page).read_text("utf-8")
    for shown, tried in LENGTHS.items():
        text = text.replace(shown, tried)
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("README.md", "vanishing_signal"),
        ("docs/tour.md", "sample_std"),
        ("docs/diagnose.md", "healthy"),
        ("docs/own-initializer.md", "half_he"),
        ("docs/trackers.md", "0."),
        ("docs/mup.md", "width-independent"),
        ("docs/audit.md", "as initialized"),
    ],
)
def test_the_python_of_a_page_runs_in_order(
    page: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which has imported torch; what a page registers is removed afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(INITS, "half_he", INITS["normal"])
    del INITS["half_he"]
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile("\n".join(blocks(page, "python")), page, "exec"), {"__name__": "page"})
    assert said in out.getvalue()


RECORD = """
set -e
init-bench() { printf '%s\\n' "$@" '' >> commands; }
"""
"""The shell reads the block and writes the words of each command down, an empty line after each."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", ["README.md", "docs/command-line.md", "docs/mup.md", "docs/bench.md"]
)
def test_the_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # each page writes its own
    (block,) = [block for block in blocks(page, "shell") if "cat > " in block]
    subprocess.run(["bash", "-c", RECORD + block], cwd=tmp_path, check=True)
    commands = [words.splitlines() for words in (tmp_path / "commands").read_text().split("\n\n")]
    done = [init_bench(*words, cwd=tmp_path) for words in commands if words]
    assert len(done) == block.count("\ninit-bench ")
    assert all(one.returncode == 0 for one in done), [one.stderr for one in done]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    files = [target for target in targets if not target.startswith("https://")]
    made_by_the_build = {"gallery.md"}
    assert not [f for f in files if f not in made_by_the_build and not (page.parent / f).exists()]


def test_the_korean_readme_has_the_same_commands_in_the_same_order() -> None:
    for language in ("python", "shell"):
        assert blocks("README.ko.md", language) == blocks("README.md", language)


def test_the_page_on_theory_names_all_of_it() -> None:
    page = (ROOT / "docs" / "theory.md").read_text("utf-8")
    assert len(theory.__all__) > 10
    assert not [name for name in theory.__all__ if not re.search(rf"\b{name}\b", page)]


def test_every_page_is_in_the_navigation_once() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    made_by_the_build = {"gallery.md", "notebooks/index.md", "benchmarks/README.md"}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert sorted(listed) == sorted(pages | made_by_the_build)


def test_every_command_is_on_its_page() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    listed = init_bench("--help", cwd=ROOT).stdout.partition("Commands:")[2]
    commands = re.findall(r"^  (\S+)", listed, re.MULTILINE)
    assert len(commands) > 9
    assert not [name for name in commands if f"| `init-bench {name}" not in page]
