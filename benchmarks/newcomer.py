"""Time a newcomer's path, each step as the README prints it. ``python -m benchmarks.newcomer``

Install in a fresh environment, the book, a model of one's own, an initializer of one's own. The
steps run in an empty folder, from a copy of this tree's tracked files. ``--gpu`` leaves out the CPU
build of torch, which the README has machines without a GPU install first; ``--here`` skips the
install and uses the present environment.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import pandas as pd

from benchmarks.interleaved_timing import save

ROOT = Path(__file__).parents[1]


def steps(readme: str) -> dict[str, list[tuple[str, str]]]:
    """Return the blocks of code of the README by heading, each with its language.

    Example:
        >>> steps("## One\\n```shell\\nls\\n```\\n## Two\\n")
        {'One': [('shell', 'ls\\n')], 'Two': []}
    """
    sections = re.split(r"^## ", readme, flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: re.findall(r"```(\w+)\n(.*?)```", section, flags=re.DOTALL)
        for section in sections
    }


def timed(
    name: str, command: list[str], folder: Path, environment: dict[str, str]
) -> dict[str, object]:
    """Run one step, which must succeed; return its name and how long it took."""
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    row = {
        "step": name,
        "seconds": round(time.perf_counter() - begin, 1),
        "ok": done.returncode == 0,
    }
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", action="store_true", help="skip the install")
    parser.add_argument("--gpu", action="store_true", help="skip the CPU build of torch")
    given = parser.parse_args()
    sections = steps((ROOT / "README.md").read_text("utf-8"))
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "init_bench"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tree)], check=True)
        environment = {**os.environ, "INIT_BENCH_CACHE": f"{scratch}/cache"}
        if given.here:
            environment["PYTHONPATH"] = str(tree)
        else:
            venv.create(Path(scratch) / "venv", with_pip=True)
            environment["PATH"] = f"{scratch}/venv/bin{os.pathsep}{environment['PATH']}"
        python = sys.executable if given.here else f"{scratch}/venv/bin/python"
        earlier = ""  # blocks of Python go on from those before them
        for heading, blocks in sections.items():
            for language, block in blocks:
                if heading == "Install" and (given.here or (given.gpu and "--index-url" in block)):
                    continue
                name = f"{heading}: {block.strip().splitlines()[-1]}"
                if language == "python":
                    earlier += block
                    command = [python, "-c", earlier]
                else:
                    command = ["bash", "-ec", block]
                rows.append(timed(name, command, tree, environment))
    print(save(pd.DataFrame(rows), "newcomer"))
    sys.exit(not all(row["ok"] for row in rows))


if __name__ == "__main__":
    main()
