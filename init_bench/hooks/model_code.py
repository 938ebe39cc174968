"""Watch what a model's own code does inside and between its layers."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from init_bench.activations.recognition import NORMS, is_dyt
from init_bench.hooks.attention import AttentionCalls
from init_bench.hooks.gates import GATED, GateCalls
from init_bench.hooks.isolation import preserved_state
from init_bench.hooks.layer_call import (
    LayerCall,
    OwnProduct,
    UsedWeight,
    describe_signal,
)
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.module_names import has_children, is_torchs
from init_bench.hooks.used_weights import ConstantFactors, is_scale_free, used_weight
from init_bench.hooks.weight_uses import WeightUses

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments and keyword arguments."""


class ModelCode:
    """Gather how weights are used, which constants signals meet, and attentions.

    Attributes:
        uses: of the parameters and buffers.
        factors: constants by which signals are multiplied.
        attention: the attentions computed.
        gates: inside a GLU, LSTM, GRU or a cell of these.
        products: with weights, of modules that have child modules.
    """

    def __init__(self, view: ModelView) -> None:
        self.uses = WeightUses({**dict(view.model.named_buffers()), **view.parameters})
        self.factors, self.attention = ConstantFactors(), AttentionCalls()
        self.gates = GateCalls()
        self.scale_free: dict[nn.Module, bool] = {}
        self.view = view
        self.products: list[OwnProduct] = []

    def observe(
        self,
        layer: str,
        function: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        output: object,
        *,
        after: int,
    ) -> list[UsedWeight]:
        """Note a call of one of torch's functions; return the weights that it multiplied by.

        Args:
            layer: the module whose code called it.
            function, args, kwargs, output: the call.
            after: index of the last layer call before it, 0 where there is none.
        """
        found = self.uses.observe(function, args, kwargs, output)
        self.factors.observe(function, args, output)
        name = getattr(function, "__name__", "")
        self.attention.observe(layer, name, args, kwargs, output)
        self.gates.observe(name, args, kwargs, after=after)
        if found is None:
            return []
        contraction, gain = found
        used = used_weight(contraction, gain, learned=self.uses.is_learned(contraction.weight))
        if has_children(self.view.modules[layer]):
            self._note_product(layer, after, contraction.signal, used)
        return [used]

    def _note_product(self, layer: str, after: int, given: object, used: UsedWeight) -> None:
        signal = describe_signal(given, self.view.batch_dims[layer])
        spread = signal.get("sample_std", math.nan)
        product = OwnProduct(layer=layer, index=after, input_sample_std=spread, **vars(used))
        self.products.append(product)

    def end_call(self, call: LayerCall, module: nn.Module, arguments: Call, output: Tensor) -> None:
        """Note the end of a layer's call, and whether it normalizes."""
        self.factors.follow(output, call)
        if isinstance(module, nn.MultiheadAttention):
            with preserved_state(module):
                self.attention.note_module(call.layer, module, *arguments)
        if isinstance(module, GATED):
            with preserved_state(module):
                self.gates.note_module(call, module, *arguments)
        if module not in self.scale_free:
            self.scale_free[module] = self._normalizes(call, module, arguments, output)
        call.normalizes = self.scale_free[module]

    def _normalizes(
        self, call: LayerCall, module: nn.Module, arguments: Call, output: Tensor
    ) -> bool:
        """Return whether a module normalizes: by torch's class, or as a second call shows."""
        if isinstance(module, NORMS) or hasattr(module, "running_var") or is_dyt(module):
            return True
        args, kwargs = arguments
        simple = not has_children(module) and not kwargs and not call.used
        if not simple or is_torchs(module):
            return False
        with preserved_state(module):
            return is_scale_free(module, args, output)
