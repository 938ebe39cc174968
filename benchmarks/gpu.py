"""Check and measure this package on a GPU. ``python -m benchmarks.gpu --minutes 8``

Everything a few minutes of a lent GPU can tell: the tests marked ``gpu``, the engine at many
sizes against the rate of its matrix products and against other ways to train, whole jobs, and
what capture adds to a ResNet-50. It runs from the source tree; ``--device cpu`` rehearses it.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


TESTING = ("pytest", "pytest-xdist", "hypothesis")
"""What the tests need of the extra ``test``."""


OF_PYDANTIC = ("pydantic-core", "annotated-types", "typing-inspection")
"""What pydantic needs and nothing else here does."""


def missing_packages() -> list[str]:
    """Return the requirements that this Python lacks, or has in an older version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    testing = project["optional-dependencies"]["test"]
    wanted = [*project["dependencies"], *OF_PYDANTIC]
    wanted += [text for text in testing if text.partition(">=")[0] in TESTING]
    return [requirement for requirement in wanted if not _is_met(requirement)]


def _is_met(requirement: str) -> bool:
    name, _, least = requirement.partition(">=")
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return _numbers(found) >= _numbers(least)


def _numbers(version: str) -> list[int]:
    """Return the numbers of a version, without what follows ``+`` in a local one."""
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]


def advice(missing: list[str]) -> str:
    """Return how to get packages onto a machine that fetches nothing."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    quoted = " ".join(f"'{requirement}'" for requirement in missing)
    return (
        f"missing or too old here: {', '.join(missing)}. Where nothing can be fetched, bring "
        f"wheels: on a machine with a registry `pip download --no-deps --only-binary=:all: "
        f"--python-version {python} -d wheels {quoted}`, and what they need (pydantic needs "
        f"pydantic-core in the version that it names, annotated-types and typing-inspection), then "
        f"here `pip install --no-index --no-deps --target site wheels/*.whl` and PYTHONPATH=site."
    )


if __name__ == "__main__" and (absent := missing_packages()):
    sys.exit(advice(absent))

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX shares the memory

import subprocess  # noqa: E402
import tempfile  # noqa: E402

import pandas as pd  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

import init_bench as ib  # noqa: E402
from benchmarks import peers  # noqa: E402
from benchmarks.interleaved_timing import RESULTS, save  # noqa: E402
from init_bench.training.precision import PRECISIONS, float32_products  # noqa: E402

Rows = Iterator[dict[str, object]]


class Run:
    """Hold the device, the scale of the work and the time left."""

    def __init__(self, device: str, minutes: float) -> None:
        self.device = torch.device(device)
        self.rehearsal = self.device.type == "cpu"
        self.ends = time.monotonic() + 60 * minutes

    @property
    def seconds_left(self) -> float:
        """Return the seconds that are left."""
        return self.ends - time.monotonic()

    def steps(self, number: int) -> int:
        """Return a number of steps, a few in a rehearsal."""
        return 10 if self.rehearsal else number


def row(
    what: str, value: float, unit: str, target: str = "", met: bool | None = None
) -> dict[str, object]:
    return {"what": what, "value": value, "unit": unit, "target": target, "met": met}


MOST_SECONDS = 180.0
"""Of the tests, so that the measurements have time."""


def checks(run: Run) -> Rows:
    """Run the tests marked ``gpu`` in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "gpu", "tests/gpu"]
    environment = os.environ | {"INIT_BENCH_DEVICE": str(run.device)}
    limit = max(10.0, min(MOST_SECONDS, run.seconds_left))
    tested = subprocess.run(command, cwd=ROOT, env=environment, timeout=limit, check=False)
    passed = tested.returncode == 0
    yield row("tests marked gpu", tested.returncode, "exit status", "0", passed)


def engine_timer(run: Run, count: int, per_seed: int, precision: str) -> Callable[[], float]:
    """Return a measurement of the engine on the book's MLP, made and warm already."""
    kept = "bfloat16" if precision == "bfloat16" else "float32"
    cells = peers.cells(count // per_seed, per_seed, precision=kept)
    with float32_products(precision, run.device):
        measure = peers.prepared(cells, str(run.device), workers=1, most=count)
    steps = run.steps(max(100, 20000 // count))
    return lambda: measure(steps)


def engine(run: Run) -> Rows:
    """Time the engine on the book's MLP, from 1 to 4096 cells, in each precision."""
    sizes = [(1, 1), (10, 10), (100, 10), (1000, 10), (1000, 1), (4096, 16)]
    for precision in PRECISIONS[:1] if run.rehearsal else PRECISIONS:
        for count, per_seed in sizes[:2] if run.rehearsal else sizes:
            if count <= 1000 or precision == "float32":
                took = engine_timer(run, count, per_seed, precision)()
                name = f"engine, {count} cells, {per_seed} per seed, {precision}"
                yield row(name, took, "µs per model-step")


def against_others(run: Run) -> Rows:
    """Compare with the matrix products alone and with other ways to train, in turn."""
    count = 20 if run.rehearsal else 1000
    for precision in PRECISIONS[:1] if run.rehearsal else ("float32", "tf32"):
        mine = engine_timer(run, count, 10, precision)
        for name, measure, target in _others(run, count, precision):
            with float32_products(precision, run.device):
                pairs = [(measure(), mine()) for _ in range(3)]
            ratio = median(theirs / ours for theirs, ours in pairs)
            yield row(name, median(theirs for theirs, _ in pairs), "µs per model-step")
            against = f"{name} / engine with {count} cells, {precision}"
            yield row(against, ratio, "×", f"≥ {target:g}", ratio >= target)


def _others(
    run: Run, count: int, precision: str
) -> Iterator[tuple[str, Callable[[], float], float]]:
    """Yield name, measurement and the ratio to reach of each other way."""
    device, few = str(run.device), 10 if run.rehearsal else 100
    products = lambda: peers.products_of_a_step(count, 10, run.device)  # noqa: E731
    yield f"its products alone, {precision}", products, 0.6
    if precision == "float32":
        yield "preloaded loop", lambda: peers.preloaded_loop(run.steps(300), 1, device), 50.0
        yield (
            f"torch.func, {few} models",
            lambda: peers.torch_func(few, run.steps(50), device),
            1.5,
        )
    if run.rehearsal:
        return
    if precision == "float32":
        yield "preloaded loop as a CUDA graph", lambda: peers.graphed_loop(500, device), 1.5
    if jax_runs_on(run.device):
        rounding = "highest" if precision == "float32" else "default"
        name = f"JAX vmap + jit + scan, {count} models, precision {rounding}"
        yield name, peers.jax_scan(count // 10, 10, 100, rounding), 1.5


def jax_runs_on(device: torch.device) -> bool:
    """Let JAX use the same GPU; return whether it is here and can: a plug-in of its own must be."""
    if importlib.util.find_spec("jax") is None:
        return False
    jax = importlib.import_module("jax")
    if (backend := jax.default_backend()) != "gpu":
        print(f"JAX runs on {backend} here: not measured", flush=True)
        return False
    jax.config.update("jax_default_device", jax.devices()[device.index or 0])
    return True


def convolutional(run: Run) -> Rows:
    """Time LeNet and a small ResNet: 64 stacked, and one in a preloaded loop."""
    count, device = 2 if run.rehearsal else 64, str(run.device)
    kinds = {
        "lenet": peers.image_lenet,
        "benchmarks.peers:small_resnet": peers.image_resnet,
    }
    for name, make in kinds.items():
        with float32_products("float32", run.device):
            cells = peers.cells(1, count, model=name)
            mine = peers.prepared(cells, device, workers=1, most=count)(run.steps(50))
            loop = peers.preloaded_loop(run.steps(100), 1, device, make)
        short = name.rpartition(":")[2]
        yield row(f"{short}, {count} cells", mine, "µs per model-step")
        yield row(f"{short}, preloaded loop", loop, "µs per model-step")
        yield row(f"{short}, loop / engine", loop / mine, "×")


def jobs(run: Run) -> Rows:
    """Time whole jobs, stores and figures included."""
    seeds, steps = (2, 20) if run.rehearsal else (100, 2000)
    inits = ["normal(std=1)", "normal(std=0.01)", "lecun_normal", "glorot_normal", "he_normal"]
    grid = ib.Grid(init=inits, activation=["relu", "tanh"], seed=range(seeds), steps=steps)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        results = ib.run(grid, folder, device=str(run.device), progress=False)
        took = time.perf_counter() - started
    name = f"{len(results.cells)} book cells × {steps} steps, a whole run"
    yield row(name, took, "s", "< 60", took < 60)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        seeds, steps = (2, 20) if run.rehearsal else (5, 2000)
        ib.reproduce_book(folder, device=str(run.device), progress=False, seeds=seeds, steps=steps)
        yield row("the book's section, figures included", time.perf_counter() - started, "s")


def look(run: Run) -> Rows:
    """Time a forward and backward pass of ResNet-50 with and without capture, in turn."""
    from torchvision.models import resnet18, resnet50

    make, size, batch = (resnet18, 64, 2) if run.rehearsal else (resnet50, 224, 64)
    model = make().to(run.device)
    x = torch.randn(batch, 3, size, size).to(run.device)
    y = torch.randint(1000, (batch,)).to(run.device)

    def one_pass() -> float:
        peers.wait(str(run.device))
        started = time.perf_counter()
        nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        peers.wait(str(run.device))
        return time.perf_counter() - started

    def captured() -> float:
        with ib.capture(model):
            return one_pass()

    for measure in (one_pass, captured):
        measure()
    pairs = [(one_pass(), captured()) for _ in range(5)]
    added = median(mine / plain - 1 for plain, mine in pairs)
    name = f"capture on top of {make.__name__}, {batch} × 3 × {size} × {size}"
    yield row(name, 100 * added, "%", "≤ 30", added <= 0.3)
    (plain, busy), (launched, busy_too) = map(on_device, (one_pass, captured))
    yield row("operations on the device that capture adds", launched - plain, "")
    yield row("time on the device that capture adds", (busy_too - busy) / 1000, "ms")


def on_device(work: Callable[[], object]) -> tuple[int, float]:
    """Return how many operations the device did, and for how many microseconds."""
    with torch.profiler.profile() as profiler:
        work()
    done = [event for event in profiler.events() or () if event.device_type.name != "CPU"]
    return len(done), sum(event.time_range.elapsed_us() for event in done)


def median(values: Iterator[float]) -> float:
    return float(pd.Series(list(values)).median())


COLUMNS = ["what", "value", "unit", "target", "met"]
"""Of the table that is printed."""


SECTIONS: tuple[tuple[Callable[[Run], Rows], float], ...] = (
    (checks, 60.0),
    (jobs, 60.0),
    (against_others, 60.0),
    (engine, 60.0),
    (look, 20.0),
    (convolutional, 30.0),
)
"""What is done in this order, and the seconds that must be left for it to begin."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=8.0)
    given = parser.parse_args()
    run = Run(given.device, given.minutes)
    peers.choose(given.device)
    card = "CPU (rehearsal)" if run.rehearsal else torch.cuda.get_device_name(run.device)
    found: list[dict[str, object]] = []
    for section, needs in SECTIONS:
        for each in measured(run, section, needs):
            found.append(each)
            print(f"{each['what']}: {each['value']:.4g} {each['unit']}", flush=True)
            paths = store(pd.DataFrame(found).assign(card=card), run, card)
    print(card, pd.DataFrame(found)[COLUMNS].to_string(index=False), sep="\n\n")
    print(*paths, sep="\n")


def measured(run: Run, section: Callable[[Run], Rows], needs: float) -> Rows:
    """Yield the rows of a section, and one that says why where it ends early."""
    name, started = section.__name__, time.monotonic()
    if run.seconds_left < needs:
        yield row(f"{name}: not measured, no time left", float("nan"), "")
        return
    try:
        for each in section(run):
            yield each | {"section": name}
    except Exception as error:
        yield row(f"{name}: {type(error).__name__}: {error}", float("nan"), "", "", False)
    print(f"-- {name}: {time.monotonic() - started:.0f} s", flush=True)
    if not run.rehearsal:
        torch.cuda.empty_cache()


def store(table: pd.DataFrame, run: Run, card: str) -> list[Path]:
    """Write what there is so far, also into the folder ``$OUT`` if that is set."""
    paths = []
    folders = [RESULTS, Path(os.environ["OUT"])] if os.environ.get("OUT") else [RESULTS]
    for folder in folders:
        path = save(table, "gpu-rehearsal" if run.rehearsal else "gpu", folder)
        path.with_suffix(".md").write_text(page(table, card), "utf-8")
        paths.append(path)
    return paths


def page(table: pd.DataFrame, card: str) -> str:
    """Return the table as Markdown, a line per measurement."""
    lines = [f"{card}, torch {torch.__version__}. `python -m benchmarks.gpu`", ""]
    lines += ["| what | measured | target | met |", "|---|---|---|---|"]
    for what, value, unit, target, met in table[COLUMNS].to_numpy():
        lines.append(f"| {what} | {value:.4g} {unit} | {target} | {met if target else ''} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
