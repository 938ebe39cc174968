"""Fill by μP and its kin: weights, and rates that suit every width and depth."""

from init_bench.errors import InitBenchError, check_finite, check_int, lookup
from init_bench.init.graph.branch import Branch
from init_bench.init.module_inits.width_filling import Base, WidthFilling
from init_bench.init.whole_model.network_editor import Network

LAWS = ("mup", "u_mup")
"""What ``law`` may be."""


def mup_(
    network: Network,
    *,
    base_width: int | None = None,
    base: Base = None,
    start: str = "he_normal",
    law: str = "mup",
    zero_readout: bool = False,
) -> None:
    """Fill a model so that rates found on a narrow base model suit it (μP); give the rates.

    The base model is filled by ``start``; a model n times as wide, by its role, so:

    ==================  =======  ==========  ==========  ===========  ==========  =========
    parameter           std      SGD's rate  Adam's      weight       ε           source
                                             rate        decay (W)
    ==================  =======  ==========  ==========  ===========  ==========  =========
    embedding, input    1        n           1           1            1/n         TP V, 3
    bias, norm          (0, 1)   n           1           1            1/n         TP V, 3
    hidden, attention   1/√n     1           1/n         n            1/n         TP V, 3
    readout             1/n      1/n         1/n         n            1           TP V, 3
    ... · 1/n in model  1        n           1           1            1/n         TP V, 8
    ==================  =======  ==========  ==========  ===========  ==========  =========

    TP V, 3 and 8: tables 3 and 8, which are the same law. ``W``: AdamW's; SGD's is the
    inverse of its rate. ε: as the gradient's entries. Muon's rate of hidden weights:
    √(fan_out/fan_in), which torch's Muon counts itself, so 1 where both grow alike. Of a
    parameter with other growths n is that of its own fan_in (Adam) or fan_out (ε).
    ``law="u_mup"``: Adam's rate of embeddings and input weights is 1/√n too.

    Two things belong to the forward function. They are looked for; the report says what it lacks:
    logits of a tied readout multiplied by 1/n, and attention divided by d, not √d, where the
    size d of a head grows with the width.

    Formula:
        std = std of ``start`` in the base model, times 1/√n in hidden weights and 1/n in the
        readout; Adam's rate times 1/n in both, SGD's times n in input weights and biases and 1/n
        in the readout; n = width / base width of the weight's inputs (SGD: outputs).

    Args:
        network: the model.
        base_width: units of a hidden layer of the base model, where all are equally wide:
            first and last layers are told by tracing, and their own ends do not grow.
        base: a function that builds the base model, or its name ``module:function``; every
            shape is compared with the base's.
        start: an initializer of one tensor that states a std.
        law: ``mup`` or ``u_mup``.
        zero_readout: start the readout at 0, as Tensor Programs V, D.2 advises: the outputs of
            the start, which are larger the narrower the model, are gone.

    Shapes:
        network: any; with ``base`` of the same layers, or blocks, as the base.

    Raises:
        InitBenchError: neither base is given or both are; no width differs from ``base``; it is
            unclear what grows, with the parameter's name; or ``start`` states no std.

    Source:
        Yang & Hu et al., Tensor Programs V: Tuning Large Neural Networks via Zero-Shot
        Hyperparameter Transfer, 2022, tables 3 and 8; ε and weight decay as in Dey et al., 2025,
        table 1; Muon: Yang, Simon & Bernstein, A Spectral Condition for Feature Learning, 2023;
        u_mup: Blake et al., The Unit-Scaled Maximal Update Parametrization, 2024.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Sequential(
        ...     nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))
        >>> table = initialize(model, "mup(base_width=64)").table.set_index("parameter")
        >>> table["lr_factor"].to_dict()
        {'0.weight': 1.0, '0.bias': 1.0, '2.weight': 0.25, '2.bias': 1.0, '4.weight': 0.25, '4.bias': 1.0}
        >>> float(table.loc["4.weight", "std_nominal"]) == (2 / 64) ** 0.5 / 4
        True
    """  # noqa: E501 - a dictionary in one line
    lookup(dict.fromkeys(LAWS), law, kind="law")
    filling = WidthFilling(network, base_width, base)
    filling.fill(start, law=law)
    if zero_readout:
        filling.zero_readout()


def completep_(
    network: Network,
    *,
    base_width: int | None = None,
    base_depth: int | None = None,
    base: Base = None,
    start: str = "he_normal",
    alpha: float = 1.0,
    zero_readout: bool = False,
) -> None:
    """Fill a residual model so that rates found on a narrow, shallow one suit it (CompleteP).

    Widths as ``mup``. For a model of L times as many blocks, parameters inside branches:

    ==========================  ============  ===========  ============  ======  =========
    parameter of a branch       std           SGD's rate   Adam's rate   ε       source
    ==========================  ============  ===========  ============  ======  =========
    weight, bias, norm          1             L^(2α−1)     L^(α−1)       L^−α    CP, 1
    its last weight and bias    L^−α          1/L          1/L           1       CP, 1, *
    ==========================  ============  ===========  ============  ======  =========

    CP, 1: table 1; SGD's rate is ours, so that a step moves as far as Adam's. Everything is
    multiplied with the factors of ``mup``. *: the law multiplies the branch, x + L^−α f(x). If
    the forward function does so, the last weight is like the others; if not, it takes over the
    multiplier, which computes and learns the same. If the branch ends in a normalization, nothing
    can, and the report says that the model lacks it.

    Formula:
        as ``mup``; in residual branches Adam's rate times L^(α−1) and ε times L^−α, L = blocks /
        base blocks, and x + L^−α f(x), put into the last weight and bias of f where the model
        does not multiply itself: std and Adam's rate times L^−α, ε times L^α.

    Args:
        network: the model.
        base_width, base, start, zero_readout: as for ``mup``.
        base_depth: blocks of the base model: modules whose forward function adds branches;
            where the model's own does, each branch counts. Left out with ``base``.
        alpha: exponent of the multiplier: 1 is CompleteP, 0.5 the older depth-μP.

    Shapes:
        network: any with residual sums x + f(x) that tracing finds.

    Raises:
        InitBenchError: as ``mup``; no residual branch is found, or no base depth is given.

    Source:
        Dey et al., Don't be lazy: CompleteP enables compute-efficient deep transformers, 2025,
        table 1; α = 0.5: Yang et al., Tensor Programs VI, 2023.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> layer = nn.TransformerEncoderLayer(64, 4, 256, norm_first=True)
        >>> model = nn.Sequential(
        ...     nn.Linear(8, 64), nn.TransformerEncoder(layer, 4, enable_nested_tensor=False),
        ...     nn.Linear(64, 2))
        >>> report = initialize(model, "completep(base_width=32, base_depth=2)")
        >>> table = report.table.set_index("parameter")["lr_factor"]
        >>> table["1.layers.3.linear1.weight"], table["1.layers.3.linear2.weight"]
        (np.float64(0.5), np.float64(0.25))
    """
    alpha = check_finite(alpha, "alpha", minimum=0)
    filling = WidthFilling(network, base_width, base)
    found = filling.view.graph.branches(
        instead="completep scales branches, which it finds by tracing alone; mup does without"
    )
    depth = _blocks(found) / _base_blocks(filling, base_depth)
    filling.fill(start, depth=depth, alpha=alpha)
    if zero_readout:
        filling.zero_readout()


def _blocks(branches: list[Branch]) -> int:
    """Return the number of modules that add branches; branches of the model itself each count."""
    named = {branch.block for branch in branches if branch.block}
    return len(named) + sum(not branch.block for branch in branches)


def _base_blocks(filling: "WidthFilling", base_depth: int | None) -> int:
    if base_depth is not None:
        return check_int(base_depth, "base_depth", minimum=1)
    if filling.base is not None:
        return _blocks(filling.base.graph.branches())
    raise InitBenchError(
        "completep needs the number of blocks that the rates were found with: pass base_depth=, "
        "or base= instead of base_width="
    )
