"""Find the parameters that a residual branch is multiplied by."""

from init_bench.errors import InitBenchError
from init_bench.init.graph.branch import Branch
from init_bench.init.graph.structure import is_any_norm
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.report import KEPT


def factors_of(network: Network, branch: Branch) -> list[NamedParameter]:
    """Return the factors of a branch, one number or one per channel; kept ones are none.

    Raises:
        InitBenchError: the branch is not traced, and has parameters that may multiply it.
    """
    return _decided(network, branch, _candidates(network, branch))


def scalars_of(network: Network, branch: Branch) -> list[NamedParameter]:
    """Return the factors of one element.

    Raises:
        InitBenchError: as ``factors_of``, of parameters of one element.
    """
    found = [p for p in _candidates(network, branch) if p.values.numel() == 1]
    return _decided(network, branch, found)


def _candidates(network: Network, branch: Branch) -> list[NamedParameter]:
    """Return what multiplies the branch, or may where it is not traced; no norm's scale does."""
    known = network.parameters
    return [
        p
        for p in (known[name] for name in branch.factors if name in known)
        if p.role in ("left", "reset")
        and not is_any_norm(p.module)
        and not p.is_torchs
        and "bias" not in p.attribute
        and p.values.numel() == max(p.values.shape, default=1)
        and network.kept.get(p.name) != KEPT
    ]


def _decided(network: Network, branch: Branch, found: list[NamedParameter]) -> list[NamedParameter]:
    unclear = [p.name for p in found if p.name not in network.overrides]
    if unclear and not branch.traced:
        raise InitBenchError(
            f"whether {' and '.join(map(repr, unclear))} multiply their branch is not known, as "
            f"its forward function was not traced: keep what does not, keep={unclear}, and give "
            f"what does its value, overrides={{{unclear[0]!r}: 'zeros'}}"
        )
    return found
