"""Networks that a grid can name: those of the menu, and a user's own ``module:factory``."""

import importlib
import inspect
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from torch import nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError, lookup, nearest

NAMED = (
    "must be MODULE:FACTORY, the module as Python imports it from here (dots, no path, no .py), "
    "such as torchvision.models:resnet18, or mine:net for the function net in mine.py"
)
"""How a model is named, for a message."""


def find_factory(text: str) -> Callable[..., nn.Module]:
    """Return the function or class that ``MODULE:FACTORY`` names; the working folder counts.

    Raises:
        InitBenchError: ``text`` is a path or has no colon, the module cannot be imported, or it
            holds nothing of that name that can be called, or a model instead of what builds one.

    Example:
        >>> find_factory("torch.nn:Identity")()
        Identity()
    """
    module_name, colon, name = text.partition(":")
    if not (colon and name and all(module_name.split("."))) or set("/\\") & set(module_name):
        raise InitBenchError(f"model {text!r} {NAMED}")
    module = _imported(module_name, text)
    found = getattr(module, name, None)
    if found is None:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise InitBenchError(
            f"model {text!r}: {module_name} has no {name!r}{nearest(name, public)}"
        )
    if isinstance(found, nn.Module):
        raise InitBenchError(
            f"model {text!r}: {name} is a model itself, a {type(found).__name__}, and each run "
            f"needs a fresh one; name a function that builds and returns it"
        )
    if not callable(found):
        raise InitBenchError(f"model {text!r}: {name} is {found!r}, which cannot be called")
    factory: Callable[..., nn.Module] = found
    return factory


def _imported(module_name: str, text: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as cause:  # a script without a main guard may leave
        lost = isinstance(cause, ModuleNotFoundError) and f"{module_name}.".startswith(
            f"{cause.name}."
        )
        raise InitBenchError(
            f"model {text!r}: module {module_name!r} cannot be imported: "
            f"{type(cause).__name__}: {cause}" + f"; the model {NAMED}" * lost
        ) from cause


Factory = Callable[..., nn.Module]


Norm = Literal["none", "batch"]


SHAPING = ("width", "depth", "bias", "norm", "activation")
"""Axes of a grid that a factory may take by name; those it does not take make no cells."""


OFFERED = ("image", "features", "classes", *SHAPING)
"""All that a factory may take by name."""


def mlp(
    features: int,
    classes: int,
    width: int,
    depth: int,
    activation: str,
    *,
    bias: bool = True,
    norm: Norm = "none",
) -> nn.Sequential:
    """Return a multilayer perceptron: fc1, act1, fc2, …, fc<depth>, the last without φ.

    Formula:
        a_l = W_l z_(l−1) + b_l, z_l = φ(a_l), z_0 = x, logits = a_depth.

    Args:
        features: inputs of fc1.
        classes: outputs of the last layer.
        width: units of each hidden layer.
        depth: number of weight layers.
        activation: a name on the menu of activations.
        bias: whether the layers have biases b_l.
        norm: ``batch`` puts norm<l>, a batch normalisation, between a_l and φ.

    Raises:
        InitBenchError: ``activation`` is unknown.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2: 784-100-100-100-100-10.

    Example:
        >>> [name for name, _ in mlp(4, 2, 3, depth=2, activation="relu").named_children()]
        ['fc1', 'act1', 'fc2']
    """
    phi = lookup(ACTIVATIONS, activation, kind="activation")
    sizes = [features, *[width] * (depth - 1), classes]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(1, depth + 1):
        layers[f"fc{index}"] = nn.Linear(sizes[index - 1], sizes[index], bias=bias)
        if index < depth:
            if norm == "batch":
                layers[f"norm{index}"] = nn.BatchNorm1d(sizes[index])
            layers[f"act{index}"] = phi.module()
    return nn.Sequential(layers)


def lenet(image: tuple[int, int, int], classes: int, activation: str) -> nn.Sequential:
    """Return a LeNet-5: two convolutions with pooling, three linear layers.

    Formula:
        conv 6@5×5 (padding 2), φ, max-pool 2, conv 16@5×5, φ, max-pool 2, linear 120, φ, 84, φ,
        classes.

    Args:
        image: channels, height, width of an image; height and width at least 12.
        classes: outputs of the last layer.
        activation: a name on the menu of activations.

    Raises:
        InitBenchError: the images are too small, or ``activation`` is unknown.

    Source:
        LeCun et al., Gradient-based learning applied to document recognition, 1998, fig. 2, with
        max-pooling and full connections.

    Example:
        >>> import torch
        >>> lenet((1, 28, 28), 10, "relu")(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    phi = lookup(ACTIVATIONS, activation, kind="activation")
    channels, *sides = image
    height, width = ((side // 2 - 4) // 2 for side in sides)
    if min(height, width) < 1:
        raise InitBenchError(f"lenet needs images of at least 12 x 12 pixels, got {sides}")
    layers = OrderedDict(
        conv1=nn.Conv2d(channels, 6, 5, padding=2),
        act1=phi.module(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        act2=phi.module(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(16 * height * width, 120),
        act3=phi.module(),
        fc2=nn.Linear(120, 84),
        act4=phi.module(),
        fc3=nn.Linear(84, classes),
    )
    return nn.Sequential(layers)


def resnet18(image: tuple[int, int, int], classes: int) -> nn.Module:
    """Return torchvision's ResNet-18 with a first convolution for the images' channels.

    Formula:
        as torchvision.models.resnet18, conv1 taking image[0] channels.

    Args:
        image: channels, height, width of an image.
        classes: outputs of the last layer.

    Source:
        He et al., Deep residual learning for image recognition, 2016, table 1.

    Example:
        >>> resnet18((1, 28, 28), 10).conv1.weight.shape
        torch.Size([64, 1, 7, 7])
    """
    from torchvision import models

    network: nn.Module = models.resnet18(num_classes=classes)
    network.conv1 = nn.Conv2d(image[0], 64, 7, stride=2, padding=3, bias=False)
    return network


MODELS: dict[str, Factory] = {"mlp": mlp, "lenet": lenet, "resnet18": resnet18}


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


def check_module(built: object, source: str) -> nn.Module:
    """Return what a factory built, if it is a module.

    Raises:
        InitBenchError: it is none; ``source`` names the factory.
    """
    if not isinstance(built, nn.Module):
        raise InitBenchError(f"{source} must return a torch.nn.Module, got {type(built).__name__}")
    return built
