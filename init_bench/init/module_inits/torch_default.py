"""Fill every module as torch does when it builds it."""

from init_bench.init.whole_model.network_editor import Network


def torch_default_(network: Network) -> None:
    """Fill every parameter as its module's ``reset_parameters`` does.

    Formula:
        as the module's reset_parameters

    Shapes:
        network: any; what is in a module without ``reset_parameters`` stays unchanged.

    Raises:
        InitBenchError: nothing of its own; what ``initialize`` refuses, such as lazy parameters.

    Source:
        ``reset_parameters`` of the module's class, which a few of torch's call
        ``_reset_parameters``.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Linear(4, 3)
        >>> report = initialize(model, "torch.default")
        >>> model.weight.abs().max().item() <= 0.5
        True
    """
    network.reset()
