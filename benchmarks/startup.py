"""Measure the start-up time of package and CLI. ``python -m benchmarks.startup``"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.interleaved_timing import interleaved, save, summary

COMMANDS = {
    "python, nothing imported": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import init_bench": ["-c", "import init_bench"],
    "from init_bench import init": ["-c", "from init_bench import init; init.he_normal_"],
    "init-bench --help": ["-m", "init_bench", "--help"],
    "init-bench list inits": ["-m", "init_bench", "list", "inits"],
}


def timed(arguments: list[str]) -> Callable[[], float]:
    """Return a measurement of a fresh interpreter, in seconds."""

    def measure() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    rows = interleaved({name: timed(a) for name, a in COMMANDS.items()}, given.repeats)
    print(summary(rows).round(3).to_string())
    print(save(rows, "startup"))


if __name__ == "__main__":
    main()
