"""Trace forward functions by torch.fx, safely beside threads that run other models."""

import threading
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from init_bench.activations.recognition import is_dyt, name_of
from init_bench.hooks.python_state import preserved_attributes

_TRACING = threading.Lock()
"""Torch's tracer swaps two methods of ``nn.Module`` for all threads while it traces."""


class Tracer(fx.Tracer):  # type: ignore[misc, unused-ignore]
    """Torch's tracer; buffers and parameters stay proxies, so that scalar factors are seen.

    Modules that other threads run meanwhile do what they would do without it. What the forward
    function keeps of a proxy, as an attribute or a buffer, is gone when the trace ends.
    """

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        self.thread = threading.get_ident()
        with _TRACING, preserved_attributes(root):
            return super().trace(root, concrete_args)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not isinstance(m, nn.Sequential) and (
            type(m).__module__.startswith("torch.nn")
            or hasattr(m, "parametrizations")
            or name_of(m) is not None
            or is_dyt(m)
        )
