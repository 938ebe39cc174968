"""Fill without data so that every layer's output has mean 0 and variance 1, by mean field."""

import math
from typing import Any

from torch import fx, nn

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.graph.node_inputs import SUMMING
from init_bench.init.graph.signals import Signal, after_function, after_module
from init_bench.init.graph.tracer import Tracer
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter


def moments_(network: Network, *, start: str = "orthogonal", variance: float = 1.0) -> None:
    """Scale each layer until its output has mean 0 and variance 1, from the graph alone.

    What LSUV reads off a batch is computed: mean and variance of the signal are carried through
    the traced graph, nonlinearities by Gaussian integrals, sums and products as of independent
    signals. A weight of mean 0 gives outputs of mean 0.

    Formula:
        W ← W / √(n w² (v + m²)), n = fan_in, w² the mean square of W, m and v mean and variance
        of what comes in; v = ``variance`` and m = 0 at the model's inputs. Biases 0.

    Shapes:
        network: any that torch.fx traces. A layer that is used twice is scaled where it runs
        first. Modules that tracing does not enter (recurrent, torch's transformer layers) stay as
        ``start`` filled them, their outputs count as mean 0, variance 1: the report says so, as
        wherever else something had to be assumed.

    Raises:
        InitBenchError: the forward function cannot be traced, or ``variance`` is not a finite
            number above 0.

    Source:
        own; the mean field is that of ``init_bench.theory`` (Poole et al., 2016), the aim that of
        Mishkin & Matas, All you need is a good init, 2016.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Sequential(nn.Linear(100, 300), nn.ReLU(), nn.Linear(300, 10))
        >>> stds = initialize(model, "moments").table["std_nominal"]
        >>> round(float(stds[2]) / (2 / 300) ** 0.5, 4)  # he_normal's
        1.0
    """
    if check_finite(variance, "variance", minimum=0) == 0:
        raise InitBenchError("variance is that of the inputs and must be above 0, got 0")
    try:
        graph = Tracer().trace(network.model)
    except Exception as cause:  # whatever the user's forward function does with a proxy
        raise InitBenchError(
            f"moments needs a forward function that torch.fx traces, and this one fails "
            f"({type(cause).__name__}: {str(cause).splitlines()[0] if str(cause) else ''}); use "
            f"lsuv with a batch, which runs it"
        ) from cause
    network.start(start)
    walk = _Walk(network, variance)
    for node in graph.nodes:
        walk.visit(node)
    for parameter in network.weights:
        if parameter.name not in walk.scaled:
            network.note(parameter, "not scaled: no layer that tracing enters uses it")


class _Walk:
    """Carry signals from node to node and scale each weight where it is met first."""

    def __init__(self, network: Network, variance: float) -> None:
        self.network, self.variance = network, variance
        self.signals: dict[fx.Node, Signal] = {}
        self.weights: dict[fx.Node, NamedParameter] = {}
        self.scaled: set[str] = set()

    def visit(self, node: fx.Node) -> None:
        """Note the signal behind ``node``."""
        inputs = [self.signals[s] for s in node.all_input_nodes if s in self.signals]
        if node.op == "placeholder":
            self.signals[node] = Signal(variance=self.variance).assuming(
                f"inputs of mean 0, variance {self.variance:g}"
            )
        elif node.op == "get_attr":
            self._read(node)
        elif node.op == "call_module":
            self.signals[node] = self._module(str(node.target), inputs)
        elif node.op in ("call_function", "call_method"):
            self.signals[node] = self._function(node, inputs)

    def _read(self, node: fx.Node) -> None:
        parameter = self.network.parameters.get(str(node.target))
        if parameter is not None and parameter.role == "weight":
            self.weights[node] = parameter
        elif parameter is not None and not parameter.values.is_meta:
            values = parameter.values.float()
            spread = values.var(correction=0).item() if values.numel() else 0.0
            self.signals[node] = Signal(mean=values.mean().item(), variance=spread)

    def _module(self, path: str, inputs: list[Signal]) -> Signal:
        module = self.network.model.get_submodule(path)
        own = {p.attribute: p for p in self.network.within(path)}
        before = inputs[0] if inputs else Signal()
        if isinstance(module, nn.MultiheadAttention):
            return self._attention(path, before)
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            return self._table(own["weight"])
        if "weight" in own and own["weight"].role == "weight" and _is_affine(module):
            return self._layer(own["weight"], before)
        return after_module(module, before)

    def _function(self, node: fx.Node, inputs: list[Signal]) -> Signal:
        used = [self.weights[s] for s in node.all_input_nodes if s in self.weights]
        name: Any = getattr(node.target, "__name__", node.target)
        if not used:
            return after_function(node, inputs)
        if name == "embedding":
            return self._table(used[0])
        if str(name).rstrip("_") in SUMMING:
            return self._layer(used[0], inputs[0] if inputs else Signal())
        self.signals[node] = Signal()
        source = next(s for s in node.all_input_nodes if s in self.weights)
        self.weights[node] = self.weights[source]  # a transposed or reshaped weight
        return Signal()

    def _attention(self, path: str, before: Signal) -> Signal:
        inside = [p for p in self.network.within(path) if p.role == "weight"]
        for parameter in inside:
            if "out_proj" not in parameter.name:
                self._layer(parameter, before)
        passed = Signal(assumed=before.assumed).assuming("attention passes its values on")
        last = [p for p in inside if "out_proj" in p.name]
        return self._layer(last[0], passed) if last else passed

    def _table(self, parameter: NamedParameter) -> Signal:
        return self._layer(parameter, Signal(), fan_in=1)

    def _layer(
        self, parameter: NamedParameter, before: Signal, fan_in: int | None = None
    ) -> Signal:
        """Scale the weight unless that is done, or it has an override; return its output."""
        fan_in = fan_in or self.network.fan_in(parameter)
        square = fan_in * self._square(parameter) * before.square
        fixed = parameter.name in self.scaled or self.network.has_override(parameter)
        self.scaled.add(parameter.name)
        if fixed or not 0 < square < math.inf:
            return Signal(variance=square if math.isfinite(square) else 1.0, assumed=before.assumed)
        factor = square**-0.5
        words = f"; assumed: {', '.join(sorted(before.assumed))}" if before.assumed else ""
        self.network.scale(parameter, factor, f"times {factor:.4g} to output variance 1{words}")
        return Signal(assumed=before.assumed)

    def _square(self, parameter: NamedParameter) -> float:
        values = parameter.values
        if values.is_meta:
            return (self.network.filled[parameter.name].nominal.std or 0.0) ** 2
        return values.double().square().mean().item()


def _is_affine(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.modules.conv._ConvNd) or not type(
        module
    ).__module__.startswith("torch.nn")
