"""What holds for every initializer on the menu, ours and torch's, found by walking the menu."""

import ast
import builtins
import doctest
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from init_bench import init
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import ALIASES, INITS, KINDS, all_inits, menu_rows, register_init

SHAPES = ((8, 6), (5, 7, 3), (6, 4, 3, 3))
OURS = [n for n, f in INITS.items() if inspect.unwrap(f).__module__.startswith("init_bench.")]
"""Those of this package: neither torch's nor a plug-in's."""


def required(fill: Any) -> dict[str, float]:
    """Return 0.5 for every argument that ``fill`` cannot do without."""
    parameters = list(inspect.signature(fill).parameters.values())[1:]
    return {p.name: 0.5 for p in parameters if p.default is p.empty and p.name != "generator"}


def fill(name: str, tensor: Tensor, *, seed: int = 0) -> Tensor:
    arguments: dict[str, Any] = required(INITS[name])
    return INITS[name](tensor, generator=stream(seed, name), **arguments)


def takes(name: str, shape: tuple[int, ...]) -> bool:
    try:
        fill(name, torch.empty(shape))
    except InitBenchError:
        return False
    return True


CASES = [(name, shape) for name in INITS for shape in SHAPES if takes(name, shape)]


@pytest.mark.parametrize("name", INITS)
def test_every_init_takes_some_shape(name: str) -> None:
    assert name in dict(CASES)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")  # see test_drop_in
@pytest.mark.parametrize("shape", [*SHAPES, (), (3,), (0,), (0, 3), (3, 0, 2)], ids=str)
@pytest.mark.parametrize("name", OURS)
def test_inits_of_ours_fill_any_weight_or_name_the_shape_they_refuse(
    name: str, shape: tuple[int, ...]
) -> None:
    weight = torch.full(shape, torch.nan)
    try:
        assert fill(name, weight).isfinite().all()
    except InitBenchError as error:
        assert f"got shape {shape}" in str(error)
        assert weight.isnan().all(), "refused, yet filled"


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_an_init_fills_in_place_and_returns_its_tensor(name: str, shape: tuple[int, ...]) -> None:
    weight = torch.full(shape, torch.nan)
    assert fill(name, weight) is weight
    assert weight.shape == shape
    assert weight.isfinite().all(), "left a value as it was"


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_the_same_stream_gives_the_same_weights_and_the_global_one_is_untouched(
    name: str, shape: tuple[int, ...]
) -> None:
    before = torch.get_rng_state()
    weight = fill(name, torch.empty(shape))
    assert torch.equal(before, torch.get_rng_state()), "drew from the global stream"
    torch.rand(7)  # nor may the global stream's state matter
    assert torch.equal(weight, fill(name, torch.full(shape, 7.0)))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_an_init_draws_from_its_stream_or_is_a_constant(name: str, shape: tuple[int, ...]) -> None:
    weight, generator = torch.empty(shape), stream(0, name)
    before = generator.get_state()
    arguments: dict[str, Any] = required(INITS[name])
    INITS[name](weight, generator=generator, **arguments)
    drew = not torch.equal(before, generator.get_state())
    assert drew == (not torch.equal(weight, fill(name, torch.empty(shape), seed=1)))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_parameter_stays_a_leaf_without_history(name: str, shape: tuple[int, ...]) -> None:
    for requires_grad in (True, False):
        parameter = nn.Parameter(torch.empty(shape), requires_grad=requires_grad)
        assert fill(name, parameter) is parameter
        assert parameter.requires_grad is requires_grad
        assert parameter.is_leaf and parameter.grad_fn is None and parameter.grad is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", OURS)
def test_inits_of_ours_keep_the_dtype(name: str, dtype: torch.dtype) -> None:
    weight = fill(name, torch.full(dict(CASES)[name], torch.nan, dtype=dtype))
    assert weight.dtype is dtype
    assert weight.isfinite().all()


@pytest.mark.parametrize(("name", "shape"), [(n, shape) for n, shape in CASES if n in OURS])
def test_inits_of_ours_fill_a_view_that_is_not_contiguous_with_nothing_around_it(
    name: str, shape: tuple[int, ...]
) -> None:
    base = torch.full((*shape[:0:-1], 2 * shape[0]), torch.nan)
    view = base[..., ::2].permute(tuple(reversed(range(len(shape)))))
    assert fill(name, view) is view
    assert view.isfinite().all()
    assert base[..., 1::2].isnan().all()


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_an_init_leaves_a_meta_tensor_as_it_is_and_returns_it(
    name: str, shape: tuple[int, ...]
) -> None:
    weight = torch.empty(shape, device="meta")
    assert fill(name, weight) is weight


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_is_no_name_of_its_own(name: str) -> None:
    assert ALIASES[name] in INITS
    assert name not in INITS


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, f in all_inits().items()
        if inspect.unwrap(f).__module__.startswith("init_bench.") and n != "torch.default"
    ],
)
def test_every_init_of_ours_is_exported_with_an_underscore(name: str) -> None:
    assert getattr(init, f"{name}_") is inspect.unwrap(all_inits()[name])
    assert f"{name}_" in init.__all__


@pytest.mark.parametrize("row", menu_rows(), ids=lambda row: row["name"])
def test_every_row_of_the_menu_is_filled(row: dict[str, str]) -> None:
    assert set(row) == {"name", "formula", "source", "needs"}
    assert all(row.values())


def test_the_rows_are_the_menu() -> None:
    assert [row["name"] for row in menu_rows()] == list(all_inits())


@pytest.mark.parametrize("name", [*all_inits(), *ALIASES])
def test_a_taken_name_is_refused_and_not_replaced(name: str) -> None:
    before = dict(INITS)
    reason = "must be a Python name" if "." in name else "is taken"
    with pytest.raises(InitBenchError, match=f"'{name}' {reason}"):
        register_init(name, INITS["zeros"])
    assert before == INITS


def test_a_taken_name_says_who_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def half_he_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return tensor

    monkeypatch.setitem(INITS, "half_he", half_he_)
    for name, holder in (
        ("he_normal", "init_bench;"),
        ("zeros", "init_bench;"),
        ("glorot_normal", "'xavier_normal', which it is another name of;"),
        ("half_he", rf"what {__name__} brought, by register_init or as a plug-in;"),
    ):
        with pytest.raises(InitBenchError, match=f"'{name}' is taken by {holder}"):
            register_init(name, INITS["ones"])


@pytest.mark.parametrize("name", ["", "half he", "2he", "a.b", "he-normal"])
def test_a_name_no_spec_can_hold_is_refused(name: str) -> None:
    with pytest.raises(InitBenchError, match=f"init name '{name}' must be a Python name"):
        register_init(name, INITS["zeros"])
    assert name not in INITS


@pytest.mark.parametrize(
    "wrong", [3, lambda tensor: tensor, "he_normal"], ids=["a number", "no generator", "a name"]
)
def test_what_is_not_called_as_an_init_is_refused(wrong: Any) -> None:
    with pytest.raises(InitBenchError, match=r"must be a function init\(tensor, \*, gen"):
        register_init("placeholder", wrong)
    assert "placeholder" not in INITS


def test_an_init_without_a_stated_formula_has_its_first_line_in_the_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sevens_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Fill with sevens."""
        return tensor.data.fill_(7.0)

    monkeypatch.setitem(INITS, "sevens", sevens_)
    (row,) = [row for row in menu_rows() if row["name"] == "sevens"]
    assert row == {
        "name": "sevens",
        "formula": "Fill with sevens.",
        "source": "own",
        "needs": "tensor",
    }


def test_a_registered_init_is_on_the_menu_and_in_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    def sevens_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return tensor.data.fill_(7.0)

    monkeypatch.setitem(INITS, "placeholder", sevens_)  # restores the whole entry afterwards
    del INITS["placeholder"]
    register_init("placeholder", sevens_)
    assert init.parse("placeholder")(torch.empty(2)).tolist() == [7.0, 7.0]


@pytest.mark.parametrize("kind", KINDS)
def test_an_init_is_registered_under_the_kind_it_needs(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS[kind], "placeholder", INITS["normal"])
    del KINDS[kind]["placeholder"]
    register_init("placeholder", INITS["normal"], needs=kind)
    assert init.parse("placeholder").needs == kind
    assert [row["needs"] for row in menu_rows() if row["name"] == "placeholder"] == [kind]


def test_an_init_may_say_itself_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Level:
        needs = "batch"

        def __call__(self, network: Any) -> None:
            """Level it."""

    monkeypatch.setitem(KINDS["batch"], "placeholder", Level())
    del KINDS["batch"]["placeholder"]
    register_init("placeholder", Level())
    assert init.parse("placeholder").needs == "batch"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InitBenchError, match="unknown kind of init 'bacth': did you mean 'batch'"):
        register_init("placeholder", INITS["zeros"], needs="bacth")


@pytest.mark.parametrize("name", [name for name in all_inits() if name not in INITS])
def test_an_init_of_a_network_fills_no_single_tensor(name: str) -> None:
    with pytest.raises(InitBenchError, match=f"{name} needs a .*, not one tensor: initialize"):
        init.parse(name)(torch.empty(2, 2))


def names_to_import(example: str) -> set[str]:
    """Return the names that an example uses and neither imports nor defines."""
    nodes = list(ast.walk(ast.parse(example)))
    imports = [a for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names]
    defined = {a.asname or a.name.partition(".")[0] for a in imports}
    defined |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    defined |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    names = [n for n in nodes if isinstance(n, ast.Name)]
    defined |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
    return {n.id for n in names} - defined - set(dir(builtins))


@pytest.mark.parametrize(
    "name",
    [name for name, init in all_inits().items() if init.__module__.startswith("init_bench.")],
)
def test_a_docstring_says_all_and_its_example_runs_as_pasted(name: str) -> None:
    text = inspect.getdoc(all_inits()[name]) or ""
    wanted = ("Formula:", "Shapes:", "Source:", "Example:")
    assert [word for word in wanted if f"\n{word}\n" not in text] == []
    examples = doctest.DocTestParser().get_examples(text)
    assert examples and names_to_import("".join(e.source for e in examples)) == set()
