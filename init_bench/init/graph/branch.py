"""Describe a residual branch of a network."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A residual branch f of x + f(x): what runs in it, in order of execution.

    Attributes:
        modules: qualified names of modules, torch's own as they are, and of weights that no layer
            of torch's runs.
        parameters: qualified names of parameters used as they are, such as a scalar factor.
        ends: qualified names of the layers that give f(x): the last one, or of a sum several.
        factors: those of ``parameters`` that multiply what all the ends give; where ``traced`` is
            false, those that may.
        block: qualified name of the module whose forward function adds x and f(x).
        scale: product of the numbers that f(x) is multiplied by before it is added.
        traced: whether it was followed through the forward function, not listed as it was built.
    """

    modules: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    block: str = ""
    scale: float = 1.0
    traced: bool = True
