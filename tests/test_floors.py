"""The house is tested as a house: imports point down, public names are documented."""

import ast
import graphlib
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import init_bench
from init_bench.docstrings import section
from init_bench.init import all_inits

ROOT = Path(init_bench.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

FLOORS: tuple[set[str], ...] = (
    {"errors"},
    {"docstrings", "progress", "randomness", "signatures", "tensors", "undropped", "devices"}
    | {"activations"},
    {"sums", "distinct_rows"},
    {"importing"},
    {"mean_field"},
    {"init", "datasets", "shares", "statistics", "functional", "wrappers", "batches"},
    {"numbers_once"},
    {"models", "watching", "theory", "known_rules", "wanted", "stacked"},
    {"recording", "audit", "arrivals", "layer_profile"},
    {"examining"},
    {"measures", "following", "trials", "inputs", "slopes"},
    {"verdicts", "noting"},
    {"judging"},
    {"grid"},
    {"tables"},
    {"engine", "store"},
    {"executors", "figures"},
    {"first_look", "claims", "coordinates"},
    {"running", "telling"},
    {"diagnosing"},
    {"comparison", "testing", "factories", "recommending"},
    {"book", "comparing", "listing", "checkup"},
    {"cli"},
    {"__main__", "__init__"},
)
"""Top-level modules and packages; inside a package only cycles are forbidden."""

FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}


def module_of(source: Path) -> str:
    """Return the dotted name of a source file below ``init_bench``."""
    return ".".join(source.relative_to(ROOT).with_suffix("").parts)


def unit_of(module: str) -> str:
    return module.split(".")[0]


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def import_nodes(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run, those inside functions too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not is_for_types_only(child):
            yield from import_nodes(child)


def targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the dotted names an import may load."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(source: Path) -> set[str]:
    """Return the modules of ``init_bench`` that a file imports, packages as ``pkg.__init__``."""
    found = set()
    for node in import_nodes(ast.parse(source.read_text())):
        for target in targets(node):
            if target.split(".")[0] != "init_bench":
                continue
            parts = target.split(".")[1:]
            while parts and not is_module(".".join(parts)):
                parts.pop()
            name = ".".join(parts)
            found.add(f"{name}.__init__".lstrip(".") if (ROOT / Path(*parts)).is_dir() else name)
    return found


def loaded_by(*arguments: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize("source", SOURCES, ids=module_of)
def test_every_module_has_a_floor(source: Path) -> None:
    assert unit_of(module_of(source)) in FLOOR, "give it a floor in FLOORS"


@pytest.mark.parametrize("source", SOURCES, ids=module_of)
def test_imports_point_down(source: Path) -> None:
    own = unit_of(module_of(source))
    others = {unit_of(name) for name in imported(source)} - {own}
    above = {name for name in others if FLOOR[name] >= FLOOR[own]}
    assert not above, f"{own} stands below or beside {sorted(above)}"


@pytest.mark.parametrize("source", SOURCES, ids=module_of)
def test_imports_are_absolute(source: Path) -> None:
    nodes = import_nodes(ast.parse(source.read_text()))
    relative = [n.lineno for n in nodes if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative, f"relative imports in lines {relative}"


def test_no_import_cycle_inside_a_package() -> None:
    graph = {module_of(source): imported(source) for source in SOURCES}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) >= set(graph)


@pytest.mark.parametrize("name", init_bench.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    public = getattr(init_bench, name)
    documented = public if callable(public) or inspect.ismodule(public) else None
    if documented is None:  # a menu: its module speaks for it
        documented = importlib.import_module(f"init_bench.{name.lower()}")
    assert (inspect.getdoc(documented) or "").strip()


@pytest.mark.parametrize("name", init_bench.__all__)
def test_every_public_class_has_its_own_docstring_and_not_a_generated_one(name: str) -> None:
    public = getattr(init_bench, name)
    own = vars(public).get("__doc__") if inspect.isclass(public) else "not a class"
    assert own and not own.startswith(f"{name}("), "a dataclass without a docstring gets this one"


def test_public_names_are_listed_once_in_order() -> None:
    names = init_bench.__all__
    assert names == sorted(set(names), key=lambda n: (not n.isupper(), not n[0].isupper(), n))


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Gird'"):
        _ = init_bench.Gird


@pytest.mark.parametrize("title", ["Formula", "Source", "Shapes", "Example"])
@pytest.mark.parametrize(
    "name",
    [n for n, f in all_inits().items() if inspect.unwrap(f).__module__.startswith("init_bench.")],
)
def test_every_initialiser_of_ours_states(name: str, title: str) -> None:
    assert section(all_inits()[name], title)


def test_importing_the_package_loads_no_heavy_library() -> None:
    loaded = loaded_by("-c", "import init_bench")
    assert "init_bench" in loaded
    assert not loaded & {"torchvision", "plotly", "ray"}


def test_help_loads_no_heavy_library_and_not_torch() -> None:
    loaded = loaded_by("-m", "init_bench", "--help")
    assert "typer" in loaded
    assert not loaded & {"torchvision", "plotly", "ray", "torch"}


def test_no_module_hides_the_public_name_it_exports() -> None:
    """Importing a submodule binds its name on the package: it must not be a function's name."""
    script = (
        "import pkgutil, importlib, types, init_bench as ib\n"
        "for m in pkgutil.walk_packages(ib.__path__, 'init_bench.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "modules = {n for n in ib.__all__ if isinstance(getattr(ib, n), types.ModuleType)}\n"
        "print(sorted(modules))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['figures', 'init', 'statistics', 'testing', 'theory']"
