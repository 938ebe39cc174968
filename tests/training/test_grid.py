"""Grids: the book's defaults, stable keys, every fault in one message, chunks that partition."""

import dataclasses
import inspect
import itertools
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from init_bench import datasets
from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError
from init_bench.training.axes import GridAxes
from init_bench.training.cell import AXES, Cell
from init_bench.training.chunks import CHUNK_CELLS, chunks
from init_bench.training.grid import Grid, read_grid

OTHER: dict[str, Any] = {
    "dataset": "kmnist",
    "model": "lenet",
    "width": 101,
    "depth": 6,
    "bias": False,
    "norm": "batch",
    "activation": "tanh",
    "init": "zeros",
    "optimizer": "adam",
    "lr": 0.02,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "batch_size": 64,
    "steps": 2001,
    "precision": "bfloat16",
    "seed": 1,
    "capture_at": (0,),
}
FIELDS = [field.name for field in dataclasses.fields(Cell)]

BAD: list[tuple[str, Any, str]] = [
    (
        "learning_rate",
        0.1,
        r"unknown axis 'learning_rate': did you mean 'lr'\? Known: dataset, mod",
    ),
    ("initialiser", "zeros", r"unknown axis 'initialiser': did you mean 'init'\?"),
    ("depths", 3, r"unknown axis 'depths': did you mean 'depth'\?"),
    ("colour", "red", r"unknown axis 'colour'\. Known: dataset, model, width"),
    ("activations", "relu", r"unknown axis 'activations': did you mean 'activation'\?"),
    ("lr", "fast", r"lr: .*number.*, got 'fast'"),
    ("lr", True, r"lr: .*number.*, got True"),
    ("lr", -0.1, r"lr: .*greater than or equal to 0.*, got -0\.1"),
    ("lr", float("nan"), r"lr: .*, got nan"),
    ("lr", float("inf"), r"lr: .*finite.*, got inf"),
    ("steps", "10", r"steps: .*integer.*, got '10'"),
    ("steps", 0, r"steps: .*greater than 0.*, got 0"),
    ("steps", 2.5, r"steps: .*integer.*, got 2\.5"),
    ("batch_size", -1, r"batch_size: .*greater than 0.*, got -1"),
    ("lr", 10**400, r"lr: .*, got 10{199} …$"),
    ("learning_rat", 1, r"unknown axis 'learning_rat': did you mean 'lr'"),
    ("width", 0, r"width: .*greater than 0.*, got 0"),
    ("depth", 10**9, r"depth: .*less than or equal to 100000, got 1000000000"),
    ("depth", 0, r"depth: .*greater than 0.*, got 0"),
    ("seed", True, r"seed: .*integer.*, got True"),
    ("seed", -1, r"seed: .*greater than or equal to 0.*, got -1"),
    ("init", "normal(std=-1)", r"init.*normal\(std=-1\).*std must be a finite number >= 0, got -1"),
    ("init", "he_norml", r"init: unknown init 'he_norml': did you mean 'he_normal'\?"),
    ("init", "constant", r"init: init 'constant': constant needs value"),
    ("init", 3, r"init: .*string.*, got 3|init: an init is a string.*got 3"),
    ("activation", "rellu", r"activation: unknown activation 'rellu': did you mean 'relu'\?"),
    ("dataset", "minst", r"dataset: unknown dataset 'minst': did you mean 'mnist'\?"),
    ("model", "cnn", r"model: unknown model 'cnn'\. Known: mlp, lenet, resnet18"),
    ("model", "nowhere:net", r"model: .*module 'nowhere' cannot be imported: ModuleNotFound"),
    ("model", "math:pi", r"model: .*'math:pi': pi is 3.14.*, which cannot be called"),
    ("norm", "layer", r"norm: unknown norm 'layer'.* Known: none, batch"),
    ("precision", "float16", r"precision: unknown precision 'float16'.*'bfloat16'"),
    ("seed", 2**63, r"seed: .*less than 9223372036854775808"),
    ("optimizer", "sdg", r"optimizer: unknown optimizer 'sdg': did you mean 'sgd'\? Known: sgd"),
    ("seed", [1, 2, 1], r"seed: 1 is given twice"),
    ("lr", [1, 1.0], r"lr: 1\.0 is given twice"),
    ("init", ["he_normal", "kaiming_normal"], r"init: 'he_normal' is given twice"),
    ("seed", [], r"seed: an axis needs at least one value"),
    ("activation", (), r"activation: an axis needs at least one value"),
    ("capture_at", [0, -1], r"capture_at: .*greater than or equal to 0.*, got -1"),
    ("capture_at", [2, 2], r"capture_at: 2 is given twice"),
]

TOGETHER: dict[str, tuple[Any, str]] = {
    "learning_rate": (0.1, r"unknown axis 'learning_rate'"),
    "lr": ("fast", r"lr: .*got 'fast'"),
    "steps": ("10", r"steps: .*got '10'"),
    "seed": (True, r"seed: .*got True"),
    "batch_size": (0, r"batch_size: .*got 0"),
    "width": (-3, r"width: .*got -3"),
    "depth": ([], r"depth: an axis needs at least one value"),
    "activation": (["relu", "relu"], r"activation: 'relu' is given twice"),
    "init": ("normal(std=-1)", r"init.*std must be a finite number >= 0, got -1"),
}


def grid_strategy() -> st.SearchStrategy[Grid]:
    """Grids of several cohorts, small enough to enumerate."""
    some = {"min_size": 1, "max_size": 3, "unique": True}
    return st.builds(
        Grid,
        width=st.lists(st.integers(1, 4), **some),  # type: ignore[arg-type]
        steps=st.lists(st.integers(1, 4), **some),  # type: ignore[arg-type]
        activation=st.lists(st.sampled_from([*ACTIVATIONS]), **some),  # type: ignore[arg-type]
        seed=st.lists(st.integers(0, 50), min_size=1, max_size=12, unique=True),
    )


def test_the_defaults_are_the_books() -> None:
    assert Grid().cells == [Cell()]
    assert asdict(Cell()) == {
        "dataset": "mnist",
        "model": "mlp",
        "width": 100,
        "depth": 5,
        "bias": True,
        "norm": "none",
        "activation": "relu",
        "init": "he_normal",
        "optimizer": "sgd",
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "batch_size": 128,
        "steps": 2000,
        "precision": "float32",
        "seed": 0,
        "capture_at": None,
    }


def test_the_cells_are_the_product_with_the_seed_running_fastest() -> None:
    cells = Grid(init=["zeros", "ones"], lr=[0.1, 0.2], seed=range(3)).cells
    expected = list(itertools.product(["zeros", "ones"], [0.1, 0.2], [0, 1, 2]))
    assert [(cell.init, cell.lr, cell.seed) for cell in cells] == expected


def test_the_axes_are_every_field_but_the_looks() -> None:
    assert [*AXES, "capture_at"] == FIELDS == [*Grid.model_fields] == [*GridAxes.__annotations__]
    assert list(Cell().axes) == list(AXES)


@given(grid=grid_strategy())
def test_keys_are_distinct_and_built_anew_the_same(grid: Grid) -> None:
    keys = [cell.key for cell in grid.cells]
    assert len(set(keys)) == len(keys)
    assert keys == [cell.key for cell in Grid(**grid.to_dict()).cells]


def test_the_key_of_the_default_cell_is_pinned() -> None:
    # SHA-256 of "{}", fields at their default being left out.
    expected = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert Cell().key == expected


def test_the_key_of_another_cell_is_pinned() -> None:
    # SHA-256 of {"activation":"tanh","init":"normal(std=0.01)","lr":0.1,"seed":3,"width":50}:
    # names in alphabetical order, no spaces; stored results rest on it.
    cell = Grid(width=50, activation="tanh", init="normal(std=1e-2)", lr=0.1, seed=3).cells[0]
    assert cell.key == "b4b558c29b46699dfbe8bf8cb0649c76f4ac432c9d73d18d5d183ba31f8c9d83"


@pytest.mark.parametrize("field", FIELDS)
def test_the_key_depends_on_every_field(field: str) -> None:
    changed = dataclasses.replace(Cell(), **{field: OTHER[field]})
    assert changed.key != Cell().key


def test_no_two_fields_share_a_key() -> None:
    keys = {dataclasses.replace(Cell(), **{field: OTHER[field]}).key for field in FIELDS}
    assert len(keys) == len(FIELDS)


@pytest.mark.parametrize("value", [1, 1.0, np.float64(1.0), np.int64(1)])
def test_equal_numbers_have_one_key(value: Any) -> None:
    cell = Grid(lr=value).cells[0]
    assert cell.key == Grid(lr=1.0).cells[0].key
    assert type(cell.lr) is float


@pytest.mark.parametrize(
    ("given_init", "canonical"),
    [
        ("kaiming_normal", "he_normal"),
        ("glorot_uniform", "xavier_uniform"),
        ("normal(std=1.0)", "normal(std=1)"),
        (" normal( std=.01 ) ", "normal(std=0.01)"),
    ],
)
def test_inits_are_spelled_canonically(given_init: str, canonical: str) -> None:
    assert Grid(init=given_init).init == (canonical,)
    assert Grid(init=given_init).cells[0].key == Grid(init=canonical).cells[0].key


@pytest.mark.parametrize("seeds", [range(3), [0, 1, 2], (0, 1, 2), np.arange(3), iter([0, 1, 2])])
def test_an_axis_takes_any_series(seeds: Any) -> None:
    assert Grid(seed=seeds).seed == (0, 1, 2)


def test_a_folder_becomes_absolute(fake_idx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fake_idx.parent)
    assert Grid(dataset=f"idx:{fake_idx.name}").dataset == (f"idx:{fake_idx}",)


@pytest.mark.parametrize(
    ("capture_at", "steps", "captured"),
    [
        (None, 10, (0, 10)),
        ([0, 5, 20], 10, (0, 5)),
        ([10, 0], 10, (0, 10)),
        (3, 10, (3,)),
    ],
)
def test_the_layers_are_looked_at_where_asked(
    capture_at: Any, steps: int, captured: tuple[int, ...]
) -> None:
    assert Grid(capture_at=capture_at, steps=steps).cells[0].captured_steps == captured


@given(grid=grid_strategy())
def test_json_holds_the_whole_grid(grid: Grid) -> None:
    assert Grid(**json.loads(json.dumps(grid.to_dict()))) == grid


def test_a_cell_is_frozen_and_hashable() -> None:
    assert len({Cell(), Cell(seed=0), Cell(seed=1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'lr'"):
        Cell().lr = 0.1  # type: ignore[misc]


@pytest.mark.parametrize(("axis", "value", "message"), BAD)
def test_a_bad_value_is_named_with_its_axis(axis: str, value: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        Grid(**{axis: value})


def test_a_type_checker_refuses_what_a_grid_refuses() -> None:
    """mypy is strict: it reports each of these ignores that it does not need."""
    with pytest.raises(InitBenchError, match="unknown axis 'ini'"):
        Grid(ini="zeros")  # type: ignore[call-arg]
    with pytest.raises(InitBenchError, match=r"lr: .*got 'x'"):
        Grid(lr="x")  # type: ignore[arg-type]
    with pytest.raises(InitBenchError, match=r"seed: .*got 'x'"):
        Grid(seed=["x"])  # type: ignore[list-item]
    assert Grid(lr=[0.1, 1], seed=range(2), init="zeros", capture_at=None).lr == (0.1, 1.0)


def test_the_help_of_a_grid_states_type_and_default_of_every_axis() -> None:
    documented = inspect.getdoc(Grid) or ""
    for name, field in Grid.model_fields.items():
        default = field.default[0] if field.default else None
        kind = "int" if default is None else type(default).__name__
        shown = json.dumps(default) if isinstance(default, str) else default
        assert f"    {name}: {kind}, default {shown}. " in documented
    signature = str(inspect.signature(Grid))
    assert "Annotated" not in signature and "lr: Axis[Rate]" in signature


def test_to_json_is_the_old_name_of_to_dict() -> None:
    with pytest.warns(FutureWarning, match="Grid.to_json is now Grid.to_dict"):
        assert Grid().to_json() == Grid().to_dict()


@pytest.mark.parametrize("axis", TOGETHER)
def test_every_fault_is_in_the_one_message(axis: str) -> None:
    with pytest.raises(InitBenchError, match=TOGETHER[axis][1]):
        Grid(**{name: value for name, (value, _) in TOGETHER.items()})


def test_every_bad_init_is_in_the_one_message() -> None:
    with pytest.raises(InitBenchError, match=r"(?s)std=-1\).*std=-2\)"):
        Grid(init=["normal(std=-1)", "he_normal", "normal(std=-2)"])


def test_a_bad_value_among_good_ones_is_named() -> None:
    with pytest.raises(InitBenchError, match=r"steps: .*got 'x'"):
        Grid(steps=[10, "x", 20])  # type: ignore[list-item]


# Grid files.


def grid_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "grid.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_grid_file_is_a_grid(tmp_path: Path) -> None:
    text = 'init = ["he_normal", "normal(std=0.01)"]\nseed = [0, 1]\nlr = 0.1\n'
    expected = Grid(init=["he_normal", "normal(std=0.01)"], seed=[0, 1], lr=0.1)
    assert read_grid(grid_file(tmp_path, text)) == expected
    assert read_grid(str(tmp_path / "grid.toml")) == expected


def test_a_grid_file_may_begin_with_a_byte_order_mark_and_end_its_lines_as_on_windows(
    tmp_path: Path,
) -> None:
    path = tmp_path / "grid.toml"
    path.write_bytes(b"\xef\xbb\xbfinit = 'zeros'\r\nsteps = 5\r\n")
    assert read_grid(path) == Grid(init="zeros", steps=5)


@pytest.mark.parametrize("text", ["", "\n", "# init = 'zeros'\n"], ids=["empty", "line", "comment"])
def test_an_empty_grid_file_is_refused_and_told_what_to_write(tmp_path: Path, text: str) -> None:
    path = grid_file(tmp_path, text)
    with pytest.raises(InitBenchError, match=f"grid file {path} is empty.*one axis") as error:
        read_grid(path)
    example = "\n".join(str(error.value).splitlines()[1:3])
    assert read_grid(grid_file(tmp_path, example)).seed == (0, 1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", r"is not TOML: .*A grid file has a line per axis"),
        ("lr = 0.1\nlr = 0.2", r"is not TOML: .*A grid file has a line per axis"),
        ("lr = " + "1" * 5000, r"is not TOML: .*A grid file has a line per axis"),
        (b"\xff\xfe", r"is not TOML: .*A grid file has a line per axis"),
        (
            'lr = "fast"\nstep = 3',
            r"(?s):\n.*lr: .*'fast'.*unknown axis 'step': did you mean 'steps'",
        ),
        ("lr = nan", r"(?s):\n.*lr: .*got nan"),
        ("seed = []", r"(?s):\n.*seed: an axis needs at least one value"),
        ('init = "normal(std=-1)"', r"(?s):\n.*std must be a finite number >= 0"),
        ("[init]\nstd = 1", r"(?s):\n.*init: .*got \{'std': 1\}"),
        ("seed = 2020-01-01", r"(?s):\n.*seed: .*integer"),
    ],
)
def test_a_bad_grid_file_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = grid_file(tmp_path, text)
    with pytest.raises(
        InitBenchError, match=f"(?s){re.escape(str(path))}.*{message.removeprefix('(?s)')}"
    ):
        read_grid(path)


def test_a_missing_grid_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(InitBenchError, match=f"cannot read grid file {path}: No such file"):
        read_grid(path)


def test_a_folder_is_no_grid_file(tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match=f"cannot read grid file {tmp_path}: Is a directory"):
        read_grid(tmp_path)


# Chunks.


@given(grid=grid_strategy(), workers=st.integers(1, 9))
def test_chunks_hold_every_cell_exactly_once(grid: Grid, workers: int) -> None:
    cut = chunks(grid.cells, workers)
    found = sorted(cell.key for chunk in cut for cell in chunk)
    assert found == sorted(cell.key for cell in grid.cells)


@given(grid=grid_strategy(), workers=st.integers(1, 9))
def test_a_chunk_is_of_one_cohort_and_neither_empty_nor_too_large(grid: Grid, workers: int) -> None:
    cut = chunks(grid.cells, workers)
    assert all(1 <= len(chunk) <= CHUNK_CELLS for chunk in cut)
    assert all(len({cell.cohort for cell in chunk}) == 1 for chunk in cut)


@given(grid=grid_strategy(), workers=st.integers(1, 9))
def test_the_chunks_of_a_cohort_are_equal_and_serve_all_workers(grid: Grid, workers: int) -> None:
    sizes: dict[Any, list[int]] = {}
    for chunk in chunks(grid.cells, workers):
        sizes.setdefault(chunk[0].cohort, []).append(len(chunk))
    assert all(max(size) - min(size) <= 1 for size in sizes.values())
    assert all(len(size) % workers == 0 or max(size) == 1 for size in sizes.values())


@given(grid=grid_strategy(), data=st.data())
def test_cells_of_a_seed_stand_together(grid: Grid, data: st.DataObject) -> None:
    cells = data.draw(st.permutations(grid.cells))
    seeds = [[cell.seed for cell in chunk] for chunk in chunks(cells)]
    assert all(chunk == sorted(chunk) for chunk in seeds)


@pytest.mark.parametrize("number", range(1, 3 * CHUNK_CELLS + 2))
def test_there_are_as_few_chunks_as_their_size_allows(number: int) -> None:
    sizes = [len(chunk) for chunk in chunks(Grid(seed=range(number)).cells)]
    assert len(sizes) == -(-number // CHUNK_CELLS)
    assert max(sizes) <= CHUNK_CELLS and sum(sizes) == number


def test_no_cells_make_no_chunks() -> None:
    assert chunks([]) == []


def test_what_may_differ_in_a_cohort_does_not_split_it() -> None:
    grid = Grid(init=["zeros", "ones"], activation=["relu", "tanh"], lr=[0.1, 0.2], seed=[0])
    assert [len(chunk) for chunk in chunks(grid.cells)] == [8]


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_every_data_set_on_the_menu_is_taken(name: str) -> None:
    assert Grid(dataset=name).cells[0].dataset == name


def test_momentum_makes_cells_for_its_own_optimizer_alone() -> None:
    cells = Grid(optimizer=["sgd", "momentum"], momentum=[0.5, 0.9]).cells
    assert [(c.optimizer, c.momentum) for c in cells] == [
        ("sgd", 0.9), ("momentum", 0.5), ("momentum", 0.9)
    ]  # fmt: skip
