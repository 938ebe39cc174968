"""Leave a model as its factory built it: the architecture's own default."""

from init_bench.init.whole_model.network_editor import Network


def as_built_(network: Network) -> None:
    """Leave every parameter as the model's own constructor filled it.

    Formula:
        as the model's constructor

    Shapes:
        network: any. In a grid the constructor draws from a stream of the seed.

    Raises:
        InitBenchError: no value is refused.

    Source:
        The model's class, such as torchvision's ``resnet.py``.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Linear(4, 3)
        >>> before = model.weight.clone()
        >>> initialize(model, "as_built").table["initializer"].unique().tolist()
        ['unchanged']
        >>> bool((model.weight == before).all())
        True
    """
    network.keep_all("as the model was built")
