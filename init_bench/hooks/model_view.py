"""Read the names, modules, batch dimensions and parameters of a model once per pass."""

from dataclasses import dataclass
from functools import cached_property

from torch import nn

from init_bench.hooks.batch_axis import batch_dims
from init_bench.hooks.module_names import own_modules, own_parameters


@dataclass(frozen=True)
class ModelView:
    """Hold what a pass needs to know of a model, each thing computed when it is first read.

    Attributes:
        model: as it was given, wrappers included.

    Example:
        >>> view = ModelView(nn.DataParallel(nn.Sequential(nn.Linear(2, 1))))
        >>> list(view.modules), list(view.parameters), view.batch_dims
        (['', '0'], ['0.weight', '0.bias'], {'': 0, '0': 0})
    """

    model: nn.Module

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """The modules by the names the user gave them, each once."""
        return own_modules(self.model)

    @cached_property
    def modules_by_every_name(self) -> dict[str, nn.Module]:
        """The modules by the names the user gave them, a shared one under each of its names."""
        return own_modules(self.model, every_name=True)

    @cached_property
    def batch_dims(self) -> dict[str, int]:
        """The batch dimension of each module's tensors, by the module's name."""
        return batch_dims(self.modules)

    @cached_property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters by the names the user gave them, each once."""
        return own_parameters(self.model)
