"""Keep the names without an underscore that ``torch.nn.init`` keeps for old code."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec

from torch import Tensor

from init_bench.init.tensor_inits.constant import constant_, normal_, uniform_
from init_bench.init.tensor_inits.identity import dirac_, eye_
from init_bench.init.tensor_inits.orthogonal import orthogonal_
from init_bench.init.tensor_inits.sparse import sparse_
from init_bench.init.tensor_inits.variance_scaling import (
    kaiming_normal_,
    kaiming_uniform_,
    xavier_normal_,
    xavier_uniform_,
)

P = ParamSpec("P")


def _without_underscore(name: str, fill: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Return ``fill`` under its old ``name``, with torch's warning."""

    @functools.wraps(fill)
    def renamed(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        warnings.warn(
            f"init.{name} is deprecated, in torch too; call init.{name}_",
            FutureWarning,
            stacklevel=2,
        )
        return fill(*args, **kwargs)

    renamed.__name__ = renamed.__qualname__ = name
    renamed.__doc__ = f"Deprecated name of ``{name}_``."
    return renamed


uniform = _without_underscore("uniform", uniform_)


normal = _without_underscore("normal", normal_)


constant = _without_underscore("constant", constant_)


eye = _without_underscore("eye", eye_)


dirac = _without_underscore("dirac", dirac_)


xavier_uniform = _without_underscore("xavier_uniform", xavier_uniform_)


xavier_normal = _without_underscore("xavier_normal", xavier_normal_)


kaiming_uniform = _without_underscore("kaiming_uniform", kaiming_uniform_)


kaiming_normal = _without_underscore("kaiming_normal", kaiming_normal_)


orthogonal = _without_underscore("orthogonal", orthogonal_)


sparse = _without_underscore("sparse", sparse_)
