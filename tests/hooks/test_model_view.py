"""A model is read once per pass: its modules by name, batch dimensions, parameters."""

from unittest import mock

import torch
from torch import nn

from init_bench.diagnosis.evidence.collection import collect_evidence
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.module_names import own_modules
from tests.kinds_of_network import built


def test_a_pass_lists_the_modules_once_and_once_by_every_name() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with mock.patch("init_bench.hooks.model_view.own_modules", wraps=own_modules) as listed:
        collect_evidence(model, torch.eye(3))
    assert [call.kwargs for call in listed.call_args_list] in (
        [{}, {"every_name": True}],
        [{"every_name": True}, {}],
    )


def test_a_shared_module_has_one_name_or_each() -> None:
    layer = nn.Linear(2, 2)
    view = ModelView(nn.DataParallel(nn.ModuleDict({"a": layer, "b": layer})))
    assert list(view.modules) == ["", "a"]
    assert list(view.modules_by_every_name) == ["", "a", "b"]
    assert list(view.parameters) == ["a.weight", "a.bias"]


def test_every_module_has_a_batch_dimension() -> None:
    view = ModelView(built("encoder, sequence first"))
    assert set(view.batch_dims) == set(view.modules)
    assert set(view.batch_dims.values()) == {1}
