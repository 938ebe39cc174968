"""The house is tested as a house: imports point down, public names are documented."""

import ast
import graphlib
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import init_bench
from init_bench.init import all_inits
from init_bench.init.docstrings import section

ROOT = Path(init_bench.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

FLOORS: tuple[set[str], ...] = (
    {"statistics", "errors", "words"},
    {"activations", "files", "figures"},
    {"hooks", "models", "datasets"},
    {"init"},
    {"training", "theory"},
    {"diagnosis", "comparison", "reproduction"},
    {"cli", "testing", "integrations"},
    {"__init__", "__main__"},
)
"""The root's entries, floor by floor: there are no others, and imports point down."""

INSIDE: dict[str, tuple[set[str], ...]] = {
    "init": (
        {"docstrings", "progress_bar", "std_formulas"},
        {"lookup"},
        {"tensor_inits", "graph"},
        {"spec", "plugins"},
        {"whole_model"},
        {"module_inits", "batch_inits", "loss_inits"},
        {"menu"},
        {"__init__"},
    ),
    "training": (
        {
            "cell",
            "minibatch_indices",
            "seeds_argument",
            "progress",
            "devices",
            "precision",
            "__init__",
        }
        | {"folder_locks", "folder_format"},
        {"networks", "chunks", "tables", "intra_op", "chunk_timeout"},
        {"init_check", "device_memory", "engine", "chunk_files", "shards", "histogram_bins"},
        {"run_facts", "axes", "executors", "chunk_tables", "chunk_trainer"},
        {"grid", "store", "chunk_timing"},
        {"run_page", "compaction"},
        {"results"},
        {"manifest", "dispatch", "export"},
        {"jobs"},
        {"pipeline"},
        {"forecast"},
    ),
}
"""The floors inside the two packages with the most files."""


def heights(floors: tuple[set[str], ...]) -> dict[str, int]:
    return {name: height for height, names in enumerate(floors) for name in names}


def module_of(source: Path) -> str:
    """Return the dotted name of a source file below ``init_bench``."""
    return ".".join(source.relative_to(ROOT).with_suffix("").parts)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def import_nodes(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield all imports: those inside functions and those for type checkers alone too."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child


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


def with_parents(module: str, by: str) -> set[str]:
    """Return a module and the ``__init__`` of its packages that importing it from ``by`` runs."""
    parts, own = module.split(".")[:-1], by.split(".")[:-1]
    packages = [parts[: i + 1] for i in range(len(parts))]
    return {module} | {".".join([*p, "__init__"]) for p in packages if p != own[: len(p)]}


def loaded_by(*arguments: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Which module imports which; the root's lazy ``__init__`` is left out."""
    found = {}
    for source in SOURCES:
        own = module_of(source)
        names = (with_parents(name, own) for name in imported(source))
        found[own] = set().union(*names) - {own, "__init__"}
    return found


def test_the_root_holds_the_entries_of_the_floors_and_no_other() -> None:
    entries = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or any(p.glob("*.py"))}
    assert entries == set().union(*FLOORS), "a new file goes into a package of the root"


def points_up(graph: dict[str, set[str]], floors: tuple[set[str], ...], prefix: str) -> list[str]:
    """Return the imports below ``prefix`` that do not go to a lower floor."""
    floor, depth = heights(floors), prefix.count(".")
    wrong = []
    for source, names in graph.items():
        for name in names:
            if not (source.startswith(prefix) and name.startswith(prefix)):
                continue
            a, b = source.split(".")[depth], name.split(".")[depth]
            if a != b and floor[b] >= floor[a]:
                wrong.append(f"{source} imports {name}")
    return wrong


def test_imports_point_down(graph: dict[str, set[str]]) -> None:
    assert not points_up(graph, FLOORS, "")


@pytest.mark.parametrize("package", INSIDE)
def test_imports_inside_a_package_point_down(package: str, graph: dict[str, set[str]]) -> None:
    folder = ROOT / package
    entries = {p.stem for p in folder.iterdir() if p.suffix == ".py" or any(p.glob("*.py"))}
    assert entries == set().union(*INSIDE[package])
    assert not points_up(graph, INSIDE[package], f"{package}.")


def test_imports_are_absolute() -> None:
    relative = [
        f"{module_of(source)}:{node.lineno}"
        for source in SOURCES
        for node in import_nodes(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_there_is_no_circle_of_imports(graph: dict[str, set[str]]) -> None:
    """Type-only imports count, and so does a package's ``__init__`` where one of it is imported."""
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) >= set(graph)


PACKAGES = [
    name for _, name, is_package in pkgutil.walk_packages([str(ROOT)], "init_bench.") if is_package
]


@pytest.mark.parametrize("package", ["init_bench", *PACKAGES])
def test_no_submodule_has_the_name_of_an_export(package: str) -> None:
    """Importing a submodule binds its name on the package and would hide the function."""
    module = importlib.import_module(package)
    submodules = {name for _, name, _ in pkgutil.iter_modules(module.__path__)}
    exported = set(getattr(module, "__all__", ()))
    modules = {n for n in exported & submodules if inspect.ismodule(getattr(module, n))}
    assert exported & submodules == modules


def test_what_type_checkers_see_is_what_is_imported() -> None:
    """The block for type checkers, the homes and ``__all__`` name the same."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: (node.module or "").removeprefix("init_bench").lstrip(".")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name: home for name, home in seen.items() if home} == init_bench._HOMES
    modules = {name for name in init_bench.__all__ if name not in init_bench._HOMES}
    assert {name for name, home in seen.items() if not home} == modules


@pytest.mark.parametrize("name", init_bench.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    public = getattr(init_bench, name)
    documented = public if callable(public) or inspect.ismodule(public) else None
    if documented is None:  # a menu: its module speaks for it
        documented = importlib.import_module(f"init_bench.{init_bench._HOMES[name]}")
    assert (inspect.getdoc(documented) or "").strip()


@pytest.mark.parametrize("name", init_bench.__all__)
def test_every_public_class_has_its_own_docstring_and_not_a_generated_one(name: str) -> None:
    public = getattr(init_bench, name)
    own = vars(public).get("__doc__") if inspect.isclass(public) else "not a class"
    assert own and not own.startswith(f"{name}("), "a dataclass without a docstring gets this one"


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Gird'"):
        _ = init_bench.Gird


@pytest.mark.parametrize(
    "name",
    [n for n, f in all_inits().items() if inspect.unwrap(f).__module__.startswith("init_bench.")],
)
def test_every_initializer_of_ours_states_what_a_reader_needs(name: str) -> None:
    for title in ("Formula", "Source", "Shapes", "Example"):
        assert section(all_inits()[name], title), title


NEVER_RAISE = {"init.ones_", "init.zeros_", "init.zero_", "figures.smooth"}
"""Public functions with parameters that take anything of the right type."""


def public_functions() -> dict[str, Any]:
    """Return the functions of the package and of its public modules, deprecated ones left out."""
    found: dict[str, Any] = {}
    for name in init_bench.__all__:
        public = getattr(init_bench, name)
        members = getattr(public, "__all__", ()) if inspect.ismodule(public) else ()
        current = [member for member in members if f"{member}_" not in members]
        found |= {f"{name}.{member}": getattr(public, member) for member in current}
        found[name] = public
    return {n: f for n, f in found.items() if inspect.isfunction(f) and n != "reproduce"}


PUBLIC = public_functions()


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_shows_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(PUBLIC[name]) or "")


TAKE_ARGUMENTS = [name for name, f in PUBLIC.items() if inspect.signature(f).parameters]


@pytest.mark.parametrize("name", sorted({*TAKE_ARGUMENTS} - NEVER_RAISE))
def test_every_public_function_says_what_it_raises(name: str) -> None:
    assert section(PUBLIC[name], "Raises")


def test_importing_the_package_loads_no_heavy_library() -> None:
    loaded = loaded_by("-c", "import init_bench")
    assert "init_bench" in loaded
    assert not loaded & {"torchvision", "ray"}


def test_help_loads_no_heavy_library_and_not_torch() -> None:
    loaded = loaded_by("-m", "init_bench", "--help")
    assert "typer" in loaded
    assert not loaded & {"torchvision", "ray", "torch"}


@pytest.mark.slow
def test_weights_and_bundled_data_load_no_compiler_and_no_torchvision() -> None:
    """The two take 130 MB and three seconds, which who needs neither should not pay."""
    loaded = loaded_by(
        "-c",
        "import init_bench as ib; ib.datasets.load('mnist'); "
        "model = ib.models.mlp(4, 4, 2, 2, 'relu'); ib.initialize(model, 'he_normal', seed=0); "
        "import torch; ib.diagnose(model, torch.ones(3, 4), torch.tensor([0, 1, 0]))",
    )
    assert "torch" in loaded
    assert not loaded & {"torchvision", "sympy"}, "sympy comes with the compiler"
