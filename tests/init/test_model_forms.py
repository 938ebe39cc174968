"""Every initializer gives a model the same weights, whatever form it comes in.

Of each initializer on the registry, plug-ins included, and each form below: the weights are, bit
for bit, those of the same model in float32 without a wrapper.
"""

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from init_bench.errors import InitBenchError
from init_bench.hooks.module_names import own_parameters
from init_bench.init import INITS, KINDS, Report, all_inits, initialize
from tests.init import networks

MAKERS: dict[str, Callable[[], nn.Sequential]] = {
    "residual": lambda: networks.residual(norm=True),
    "scaled": lambda: networks.residual(norm=True, scalar=True),
    "plain": networks.plain,
    "transformer": networks.transformer,
    "recurrent": networks.recurrent,
    "state_space": networks.state_space,
    "even": lambda: nn.Sequential(
        nn.ConstantPad1d((0, 1), 0.0),
        *(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4)),
    ),
    "convolutions": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 5)),
        *(nn.Conv1d(1, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)),
        nn.Conv1d(4, 4, 3, padding=1),
    ),
    "adapted": networks.adapted,
}
ARGUMENTS = {"mup": "(base_width=4)", "completep": "(base_width=4, base_depth=1)"}
"""Of initializers that cannot do without."""


NAMES = [
    pytest.param(name, marks=pytest.mark.slow if name in ("metainit", "krahenbuhl") else ())
    for name in all_inits()
]


def spec(name: str) -> str:
    """Return the initializer with what it needs, and with two steps where it takes many."""
    if name in ARGUMENTS:
        return name + ARGUMENTS[name]
    parameters = inspect.signature(all_inits()[name]).parameters
    given = ["steps=2"] if "steps" in parameters else []
    if name in INITS:
        needed = list(parameters.values())[1:]
        given += [f"{p.name}=0.5" for p in needed if p.default is p.empty and p.name != "generator"]
    return f"{name}({', '.join(given)})"


def made(maker: str) -> nn.Sequential:
    """Return a network whose own draws are the same every time."""
    torch.manual_seed(1)
    model = MAKERS[maker]()
    model[0].eval()
    return model


def run(name: str, model: nn.Module, dtype: torch.dtype = torch.float32) -> Report:
    inputs, targets = networks.batch()
    loss = nn.functional.cross_entropy
    return initialize(model, spec(name), batch=(inputs.to(dtype), targets), loss_fn=loss)


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in own_parameters(model).items()}


@functools.cache
def reference(name: str) -> tuple[str, dict[str, Tensor], Report]:
    """Return the first network that an initializer takes, its weights and the report."""
    for maker in MAKERS:
        model = made(maker)
        with contextlib.suppress(InitBenchError):
            report = run(name, model)
            return maker, values(model), report
    raise AssertionError(f"{name} takes none of {list(MAKERS)}: add a network that it takes")


def differing(found: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    assert found.keys() == expected.keys()
    return [name for name in expected if not torch.equal(found[name], expected[name])]


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    from torch.distributed import HashStore  # type: ignore[attr-defined]

    torch.distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def parts_compiled(model: nn.Sequential) -> nn.Module:
    """Compile each block by itself, as is done to compile equal blocks once."""
    for index, part in enumerate(model):
        model[index] = torch.compile(part)  # type: ignore[assignment]
    return model


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "distributed": nn.parallel.DistributedDataParallel,
    "compiled": torch.compile,
    "parts compiled": parts_compiled,
}


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("form", WRAPPERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_wrapped_model_gets_the_weights_of_its_own_model(name: str, form: str) -> None:
    maker, expected, report = reference(name)
    model = WRAPPERS[form](made(maker))
    wrapped = run(name, model)
    assert not differing(values(model), expected)
    assert wrapped.table.equals(report.table)


def needs(name: str) -> str:
    return next(kind for kind, menu in KINDS.items() if name in menu)


SEES_DATA = [name for name in all_inits() if needs(name) in ("batch", "loss")]


NOT_ROUNDED = {
    "torch.default": "torch's own reset_parameters draws in the module's type",
    "as_built": "keeps what the constructor drew",
    **dict.fromkeys(("mamba", "lora"), "has reset_parameters draw part, by torch 2.11 otherwise"),
    **dict.fromkeys(SEES_DATA, "measures a run of the model, which bfloat16 changes"),
}
"""Whose weights in bfloat16 are not those of float32, rounded; and why."""


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_weights_are_those_of_float32_rounded(name: str) -> None:
    """Rounded twice at most, of a draw and of a factor: within 2⁻⁷ of each value."""
    maker, expected, _ = reference(name)
    model = made(maker).bfloat16()
    run(name, model, torch.bfloat16)
    for parameter, value in values(model).items():
        assert value.dtype is torch.bfloat16 and value.isfinite().all()
        if name not in NOT_ROUNDED:
            wanted = expected[parameter]
            assert torch.allclose(value.float(), wanted, rtol=2**-7, atol=0), parameter


REFUSED_ON_META = dict.fromkeys([*SEES_DATA, "lora"], "is on the meta device and has no values")
"""Those that run the model or factorize its weights, and what they say."""


MEASURED_STD = {"zero": "its std is that of the values it makes"}
"""Whose nominal std is not known without memory, and why."""


@pytest.mark.parametrize("name", NAMES)
def test_a_report_on_meta_says_what_is_drawn_once_there_is_memory(name: str) -> None:
    maker, expected, report = reference(name)
    model = made(maker).to("meta")
    if name in REFUSED_ON_META:
        with pytest.raises(InitBenchError, match=REFUSED_ON_META[name]):
            run(name, model)
        return
    planned = run(name, model)
    assert all(value.is_meta for value in model.parameters())
    unknown = ["std_measured", "std_got"]
    unknown += ["std_nominal", "std_wanted"] * (name in MEASURED_STD)
    same = planned.table.columns.difference(unknown)
    pd.testing.assert_frame_equal(planned.table[same], report.table[same], rtol=1e-6)
    run(name, model.to_empty(device="cpu"))
    assert set(differing(values(model), expected)) <= set(report.left)


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", NAMES)
def test_a_lazy_model_is_refused_until_it_has_run(name: str) -> None:
    maker, expected, _ = reference(name)
    model = made(maker)
    where = next((i for i, layer in enumerate(model) if type(layer) is nn.Linear), None)
    if where is None:
        pytest.skip("no layer of this network has a lazy form")
    units: Any = model[where].out_features
    model[where] = nn.LazyLinear(units)
    with pytest.raises(InitBenchError, match=rf"'{where}\.weight' is lazy .* run one batch"):
        run(name, model)
    model(networks.batch()[0])
    model.load_state_dict(made(maker).state_dict())  # what the batch moved, and as_built's draws
    run(name, model)
    assert not differing(values(model), expected)


NOT_AS_UNTIED = {
    **dict.fromkeys(SEES_DATA, "measures a run of the model, which ties change"),
    "mimetic": "makes the matrices of one attention together, and leaves one that lacks some",
}
"""Whose other weights depend on what is tied, and why."""


REFUSES_TIES = {"admin": "used by more than one layer"}
"""Those that divide a branch by a number of its own, and what they say."""


@pytest.mark.parametrize("name", NAMES)
def test_a_tied_weight_is_drawn_once_and_stays_tied(name: str) -> None:
    maker, expected, _ = reference(name)
    model = made(maker)
    first, second = alike(model)
    if not second:
        pytest.skip("no two layers of this network are of one shape")
    model.get_submodule(second).weight = model.get_submodule(first).weight
    if name in REFUSES_TIES:
        with pytest.raises(InitBenchError, match=REFUSES_TIES[name]):
            run(name, model)
        return
    report = run(name, model)
    assert model.get_submodule(second).weight is model.get_submodule(first).weight
    row = next(row for row in report.rows if row.parameter == f"{first}.weight")
    assert f"tied to {second}.weight" in row.note
    if name not in NOT_AS_UNTIED:
        untied = {n: value for n, value in expected.items() if n != f"{second}.weight"}
        assert not differing(values(model), untied)


def alike(model: nn.Module) -> tuple[str, str]:
    """Return two layers in the same place of their blocks whose weights have one shape."""
    found: dict[Any, str] = {}
    for path, module in model.named_modules():
        weight = module._parameters.get("weight")
        if weight is not None and weight.dim() > 1:
            kind = re.sub(r"\b\d+\b", "#", path), weight.shape
            if kind in found:
                return found[kind], path
            found[kind] = path
    return "", ""


def test_a_wrapped_layer_in_two_places_is_one_layer() -> None:
    def twice(layer: nn.Module) -> nn.Module:
        return nn.Sequential(layer, nn.Tanh(), layer, nn.ReLU(), nn.Linear(4, 2))

    own, wrapped = twice(nn.Linear(4, 4)), twice(checkpoint_wrapper(nn.Linear(4, 4)))
    report, found = (initialize(model, "critical_normal", seed=0) for model in (own, wrapped))
    assert found.table.equals(report.table)
    assert not differing(values(wrapped), values(own))
