"""Make optimizers in which each parameter of a model learns at a rate of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from init_bench.errors import InitBenchError
from init_bench.hooks.module_names import own_name, own_parameters, unwrapped
from init_bench.init.whole_model.rate_factors import (
    Factors,
    FactorsByKind,
    OptimizerName,
    default_eps,
    factors_for,
    groups_of,
    name_of_optimizer,
    scale_groups,
)


@dataclass(frozen=True, kw_only=True)
class ParameterRates:
    """Hold a model and the factors of its parameters.

    Attributes:
        model: the model that was initialized.
        rate_factors: of each parameter with a rate of its own, its factors by kind of optimizer.
    """

    model: nn.Module | None = field(default=None, repr=False, compare=False)
    rate_factors: Mapping[str, FactorsByKind] = field(default_factory=dict, repr=False)

    def param_groups(
        self,
        *,
        lr: float,
        optimizer: OptimizerName = "adamw",
        weight_decay: float = 0.0,
        eps: float | None = None,
        model: nn.Module | None = None,
    ) -> list[dict[str, Any]]:
        """Return groups for an optimizer of ``torch.optim``: each parameter at its own rate.

        Every trainable parameter is in exactly one group, a tied one once. Muon takes hidden
        matrices alone: with ``optimizer="muon"`` each group has ``use_muon``; those without it,
        with AdamW's factors, go to AdamW, whose ``lr`` is another one.

        Args:
            lr, weight_decay: those of the base model, which the factors multiply.
            optimizer: a name such as ``sgd``, ``adamw`` or ``muon``, or a class of ``torch.optim``.
            eps: Adam's ε of the base model. Default: torch's.
            model: another copy of the model, such as one that is distributed. Default: the model
                that was initialized.

        Raises:
            InitBenchError: a number is negative or not finite, there are factors and none are
                known for this optimizer, or ``model`` has other parameters.

        Example:
            >>> from init_bench import initialize
            >>> net = nn.Sequential(nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 2))
            >>> report = initialize(net, "mup(base_width=64)")
            >>> groups = report.param_groups(lr=0.1, optimizer="sgd")
            >>> [(group["lr"], len(group["params"])) for group in groups]
            [(0.4, 2), (0.025, 1), (0.1, 1)]
            >>> update = torch.optim.SGD(groups)
        """
        own = {n: p for n, p in self._parameters_of(model).items() if p.requires_grad}
        eps = default_eps(optimizer) if eps is None else eps
        factors = self._own_factors(optimizer)
        muon = self._muons(own) if name_of_optimizer(optimizer) == "muon" else None
        return groups_of(own, factors, lr=lr, weight_decay=weight_decay, eps=eps, muon=muon)

    def scale_rates(
        self, optimizer: torch.optim.Optimizer, model: nn.Module | None = None
    ) -> torch.optim.Optimizer:
        """Apply the factors to an optimizer that was built without them; return it.

        Its groups are split; call it once, before a scheduler is built.

        Args:
            optimizer: one of the model's parameters.
            model: as in ``param_groups``.

        Raises:
            InitBenchError: as ``param_groups``.

        Example:
            >>> from init_bench import initialize
            >>> net = nn.Sequential(nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 2))
            >>> report = initialize(net, "mup(base_width=64)")
            >>> update = report.scale_rates(torch.optim.AdamW(net.parameters(), lr=0.01))
            >>> sorted({group["lr"] for group in update.param_groups})
            [0.0025, 0.01]
        """
        if self.rate_factors:
            factors = self._own_factors(optimizer)
            scale_groups(optimizer, self._parameters_of(model), factors)
        return optimizer

    def _muons(self, own: Mapping[str, nn.Parameter]) -> frozenset[str]:
        """Return the parameters that Muon moves: hidden matrices; all matrices if no role is known.

        Embeddings and the last layer are told apart by initializers that set rates.
        """
        if not self.rate_factors:
            return frozenset(name for name, value in own.items() if value.dim() == 2)
        hidden = {name for name, kinds in self._kinds().items() if "muon" in kinds}
        return frozenset(name for name in hidden if name in own and own[name].dim() == 2)

    def _parameters_of(self, model: nn.Module | None) -> dict[str, nn.Parameter]:
        """Return the parameters by the user's own names, of the model or of a copy of it."""
        if self.model is None:
            raise InitBenchError("this report knows no model: initialize returns one that does")
        mine = own_parameters(self.model)
        if model is None:
            return mine
        other = own_parameters(model)
        if other.keys() != mine.keys():
            name = next(iter(other.keys() ^ mine.keys()))
            raise InitBenchError(
                f"model has other parameters than the one that was initialized: only one of the "
                f"two has {name!r}; pass the same model, a copy or a wrapped one"
            )
        return other

    def _own_factors(self, optimizer: OptimizerName) -> dict[str, Factors]:
        """Return the factors by the user's own names."""
        return {name: factors_for(optimizer, kinds) for name, kinds in self._kinds().items()}

    def _kinds(self) -> dict[str, FactorsByKind]:
        """Return the factors of all kinds by own names; parts of a computed weight share its."""
        assert self.model is not None  # _parameters_of refuses
        named = dict(unwrapped(self.model).named_parameters(remove_duplicate=False))
        by_id = {
            id(value): self.rate_factors.get(_computed_name(own_name(name)), {})
            for name, value in reversed(named.items())
        }
        return {name: by_id[id(value)] for name, value in own_parameters(self.model).items()}


def _computed_name(name: str) -> str:
    """Return the name of the weight that a parameter of ``parametrize`` is part of."""
    before, inside, after = f".{name}".partition(".parametrizations.")
    weight = after.partition(".")[0]
    return f"{before}.{weight}".lstrip(".") if inside else name
