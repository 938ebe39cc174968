"""List the models that a grid can name: those of the menu, and a user's ``module:factory``.

To add one, write its factory in the file of its family and put it into ``MODELS``.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from init_bench.errors import InitBenchError, lookup
from init_bench.models.convolutional import lenet
from init_bench.models.coordinate_networks import siren
from init_bench.models.perceptron import mlp
from init_bench.models.recurrent import lstm_rows
from init_bench.models.residual import resnet18, resnet_small
from init_bench.models.transformer import vit_small
from init_bench.models.user_factory import check_module, find_factory

Factory = Callable[..., nn.Module]


SHAPING = ("width", "depth", "bias", "norm", "activation")
"""Axes of a grid that a factory may take by name; those it does not take make no cells."""


OFFERED = ("image", "features", "classes", *SHAPING)
"""All that a factory may take by name."""


MODELS: dict[str, Factory] = {
    "mlp": mlp,
    "lenet": lenet,
    "resnet18": resnet18,
    "resnet_small": resnet_small,
    "vit_small": vit_small,
    "lstm_rows": lstm_rows,
    "siren": siren,
}


OWN = "module:factory"


def factory_of(name: str) -> Factory:
    """Return the factory that ``name`` names: one of the menu, or ``package.module:function``.

    A user's factory is called with those of ``image`` (channels, height, width), ``features``,
    ``classes``, ``width``, ``depth``, ``bias``, ``norm`` and ``activation`` that its signature
    names, and returns an ``nn.Module`` from images ``(B, *image)`` to logits ``(B, classes)``.
    The current folder is searched first.

    Raises:
        InitBenchError: the menu has no such name, or it cannot be imported.

    Example:
        >>> factory_of("lenet") is lenet, factory_of("torch.nn:Flatten") is nn.Flatten
        (True, True)
    """
    return find_factory(name) if ":" in name else lookup({**MODELS, OWN: mlp}, name, kind="model")


def takes(factory: Factory) -> frozenset[str]:
    """Return the names that ``factory`` takes as keywords.

    Example:
        >>> sorted(takes(resnet18))
        ['classes', 'image']
    """
    parameters = inspect.signature(factory).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return frozenset((*parameters, *OFFERED))
    return frozenset(parameters)


def make(name: str, offered: Mapping[str, Any]) -> nn.Module:
    """Return the network ``name``, its factory called with what it takes of ``offered``.

    Raises:
        InitBenchError: the factory fails, or returns no module.

    Example:
        >>> make("siren", {"features": 2, "classes": 1, "width": 8, "depth": 2, "norm": "none"})[2]
        Linear(in_features=8, out_features=1, bias=True)
    """
    factory = factory_of(name)
    taken = takes(factory)
    try:
        found = factory(**{key: value for key, value in offered.items() if key in taken})
    except InitBenchError:
        raise
    except Exception as cause:
        raise InitBenchError(
            f"model {name!r} could not be built: {type(cause).__name__}: {cause}. "
            f"Its factory may take: {', '.join(offered)}."
        ) from cause
    return check_module(found, f"model {name!r}")
