"""Time ways to train the book's MLP. Each returns microseconds per model-step."""

import functools
import importlib
import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from init_bench import datasets
from init_bench.datasets.bundled_mnist import unpacked_mnist
from init_bench.models import lenet, mlp
from init_bench.training.cell import Cell
from init_bench.training.chunks import CHUNK_CELLS, chunks
from init_bench.training.engine.device_steps import DeviceSteps
from init_bench.training.engine.host_steps import HostSteps
from init_bench.training.engine.trainer import engine_of
from init_bench.training.grid import Grid
from init_bench.training.intra_op import one_thread as _one_thread
from init_bench.training.networks import network_of

BATCH, LR, READ, WARM = 128, 0.01, 50, 10
SIZES = (784, 100, 100, 100, 100, 10)
FLOP = 2 * BATCH * (2 * 784 * 100 + 3 * (3 * 100 * 100 + 100 * 10))
"""Of the dense products of a model-step: forward, and back but for the first layer's input."""


@functools.cache
def mnist(device: str) -> datasets.Dataset:
    return datasets.load("mnist").to(torch.device(device))


def cells(seeds: int, per_seed: int, model: str = "mlp", precision: str = "float32") -> list[Cell]:
    """Return ``seeds`` × ``per_seed`` cells of a model, of different learning rates."""
    rates = [LR * (1 + i / 1000) for i in range(per_seed)]
    return Grid(model=model, precision=precision, lr=rates, seed=range(seeds)).cells


def book_mlp() -> nn.Sequential:
    return mlp(784, 10, width=100, depth=5, activation="relu")


def image_lenet() -> nn.Sequential:
    return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), lenet((1, 28, 28), 10, "relu"))


def small_resnet(image: tuple[int, ...], classes: int) -> nn.Module:
    """Return a ResNet of 8 convolutions and 16 channels, with batch normalization."""
    return nn.Sequential(
        nn.Conv2d(image[0], 16, 3, padding=1, bias=False),
        *(_Block(16, stride) for stride in (2, 2, 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


class _Block(nn.Module):
    """Two normalized convolutions beside a shortcut."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.shortcut = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.shortcut(x) + self.branch(x))


def image_resnet() -> nn.Sequential:
    return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), small_resnet((1, 28, 28), 10))


def choose(device: str) -> None:
    """Make ``device`` the current one: streams are made on it, and waits are for it."""
    if (index := torch.device(device).index) is not None:
        torch.accelerator.set_device_index(index)


def wait(device: str) -> None:
    """Wait until an accelerator has done all its work, before the clock is read."""
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize()


def ours(chosen: Sequence[Cell], steps: int, device: str = "cpu", workers: int = 2) -> float:
    """Step the stacks of all chunks on worker threads with one intra-op thread each."""
    return prepared(chosen, device, workers)(steps)


def prepared(
    chosen: Sequence[Cell], device: str = "cpu", workers: int = 2, most: int = CHUNK_CELLS
) -> Callable[[int], float]:
    """Return a measurement of some steps of the engine, which is made and warm already."""
    data = mnist(device)

    def warm(chunk: list[Cell]) -> HostSteps | DeviceSteps:
        networks = [network_of(cell, data).to(device) for cell in chunk]
        engine = engine_of(chunk, networks, data)
        engine.steps(READ).cpu()  # on CUDA the graph is recorded in it
        check_recorded(engine, device)
        return engine

    with _one_thread():
        engines = [warm(chunk) for chunk in chunks(chosen, workers, most)]

    def measure(steps: int) -> float:
        def train(engine: HostSteps | DeviceSteps) -> None:
            torch.set_num_threads(1)
            for start in range(0, steps, READ):
                engine.steps(min(READ, steps - start)).cpu()

        with _one_thread(), ThreadPoolExecutor(workers) as pool:
            started = time.perf_counter()
            list(pool.map(train, engines))
            wait(device)
            seconds = time.perf_counter() - started
        return seconds / steps / len(chosen) * 1e6

    return measure


def check_recorded(engine: HostSteps | DeviceSteps, device: str) -> None:
    """Refuse to time single launches on CUDA, where a recorded graph is what is to be measured."""
    if torch.device(device).type != "cuda":
        return
    if not isinstance(engine, DeviceSteps) or engine.graph.graph is None:
        raise RuntimeError("no CUDA graph was recorded, the warning above says why: not measured")


def lenets(count: int) -> list[Cell]:
    """Return LeNets of one seed and different learning rates."""
    return Grid(model="lenet", lr=[LR * (1 + i / 1000) for i in range(count)]).cells


def dataloader_idiom(steps: int, device: str = "cpu") -> float:
    """Time training item by item through ``DataLoader`` and ``ToTensor``, as most people do."""
    from torchvision import transforms
    from torchvision.datasets import MNIST

    part = MNIST(str(unpacked_mnist()), transform=transforms.ToTensor())
    loader = torch.utils.data.DataLoader(part, batch_size=BATCH, shuffle=True)
    model = nn.Sequential(nn.Flatten(), book_mlp()).to(device)
    return _loop(model, ((x.to(device), y.to(device)) for x, y in loader), steps, device)


def preloaded_loop(
    steps: int,
    threads: int,
    device: str = "cpu",
    make: Callable[[], nn.Module] = book_mlp,
) -> float:
    """Time the same model, trained from one tensor that holds all data."""
    data, before = mnist(device), torch.get_num_threads()
    torch.set_num_threads(threads)

    def batches() -> Any:
        while True:
            chosen = torch.randint(len(data.targets), (BATCH,)).to(device)
            yield data.inputs[chosen], data.targets[chosen]

    took = _loop(make().to(device), batches(), steps, device)
    torch.set_num_threads(before)
    return took


def graphed_loop(steps: int, device: str) -> float:
    """The preloaded loop with its step recorded as a CUDA graph, as PyTorch's pages have it."""
    data, model = mnist(device), book_mlp().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    chosen = torch.zeros(BATCH, dtype=torch.long, device=device)

    def step() -> Tensor:
        loss = nn.functional.cross_entropy(model(data.inputs[chosen]), data.targets[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss

    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        for _ in range(WARM):
            step()
    wait(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        loss = step()
    started = time.perf_counter()
    for _ in range(steps):
        chosen.copy_(torch.randint(len(data.targets), (BATCH,)))
        graph.replay()
        loss.item()
    wait(device)
    return (time.perf_counter() - started) / steps * 1e6


def _loop(model: nn.Module, batches: Any, steps: int, device: str) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    started = 0.0
    for step, (x, y) in zip(range(steps + WARM), batches, strict=False):
        if step == WARM:
            wait(device)
            started = time.perf_counter()
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()
    wait(device)
    return (time.perf_counter() - started) / steps * 1e6


def _in_process(steps: int, barrier: Any, answers: Any) -> None:
    torch.set_num_threads(1)
    preloaded_loop(20, threads=1)
    barrier.wait()
    answers.put(preloaded_loop(steps, threads=1))


def two_processes(steps: int) -> float:
    """Time two preloaded loops side by side, one thread each."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    both = [context.Process(target=_in_process, args=(steps, barrier, answers)) for _ in range(2)]
    for process in both:
        process.start()
    times = [answers.get() for _ in both]
    for process in both:
        process.join()
    return float(sum(times)) / 4


def torch_func(
    count: int,
    steps: int,
    device: str = "cpu",
    make: Callable[[], nn.Module] = book_mlp,
) -> float:
    """Time ``stack_module_state`` and ``vmap(grad)``, as in PyTorch's tutorial on ensembles."""
    from torch.func import functional_call, grad, stack_module_state, vmap

    data, before = mnist(device), torch.get_num_threads()
    torch.set_num_threads(2)
    models = [make().to(device) for _ in range(count)]
    params, buffers = stack_module_state(models)
    base = models[0]

    def loss(p: Any, b: Any, x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(base, (p, b), (x,)), y)

    gradient = vmap(grad(loss), in_dims=(0, 0, None, None))
    started = 0.0
    for step in range(steps + WARM):
        if step == WARM:
            wait(device)
            started = time.perf_counter()
        chosen = torch.randint(len(data.targets), (BATCH,)).to(device)
        found = gradient(params, buffers, data.inputs[chosen], data.targets[chosen])
        with torch.no_grad():
            for name, p in params.items():
                p.sub_(found[name], alpha=LR)
    wait(device)
    torch.set_num_threads(before)
    return (time.perf_counter() - started) / steps / count * 1e6


def numpy_book(steps: int) -> float:
    """Time the arithmetic of the book's script in NumPy: float32 images, float64 weights.

    A step computes the gradients with the loss that they need, the update, and the loss once more,
    each loss with its (zero) decay term.
    """
    data, draw = mnist("cpu"), np.random.default_rng(0)
    x_train, y_train, decay = data.inputs.numpy(), data.targets.numpy(), 0.0
    weights = [draw.normal(0, (2 / i) ** 0.5, (i, o)) for i, o in itertools.pairwise(SIZES)]
    biases = [np.zeros(o) for o in SIZES[1:]]

    def forward(x: Any) -> list[Any]:
        z = [x]
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            a = z[-1] @ w + b
            z.append(np.maximum(a, 0) if i < len(weights) - 1 else a)
        return z

    def softmax(a: Any) -> Any:
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def loss(p: Any, y: Any) -> Any:
        penalty = sum(0.5 * decay * np.sum(w**2) for w in weights)
        return -np.log(p[np.arange(BATCH), y] + 1e-7).mean() + penalty

    started = time.perf_counter()
    for _ in range(steps):
        chosen = draw.integers(0, len(x_train), BATCH)
        x, y = x_train[chosen], y_train[chosen]
        z = forward(x)
        delta = softmax(z[-1])
        loss(delta, y)
        delta[np.arange(BATCH), y] -= 1
        delta /= BATCH
        gradients = []
        for i in range(len(weights) - 1, -1, -1):
            gradients.append((z[i].T @ delta + decay * weights[i], delta.sum(axis=0)))
            delta = delta @ weights[i].T
            if i:
                delta[z[i] <= 0] = 0
        for i, (dw, db) in enumerate(reversed(gradients)):
            weights[i] -= LR * dw
            biases[i] -= LR * db
        loss(softmax(forward(x)[-1]), y)
    return (time.perf_counter() - started) / steps * 1e6


def jax_scan(
    seeds: int, per_seed: int, steps: int, precision: str | None = None
) -> Callable[[], float]:
    """Return a function that times ``vmap`` + ``jit`` + ``scan``, compiled beforehand.

    On a GPU ``precision="highest"`` is float32; JAX's default rounds to TF32.
    """
    jax: Any = importlib.import_module("jax")
    jnp: Any = jax.numpy

    data = mnist("cpu")
    x_train, y_train = jnp.asarray(data.inputs.numpy()), jnp.asarray(data.targets.numpy())
    draw = np.random.default_rng(0)
    params = [
        (
            jnp.asarray(draw.normal(0, (2 / i) ** 0.5, (seeds, per_seed, i, o)), jnp.float32),
            jnp.zeros((seeds, per_seed, o), jnp.float32),
        )
        for i, o in itertools.pairwise(SIZES)
    ]

    def loss(p: Any, x: Any, y: Any) -> Any:
        for w, b in p[:-1]:
            x = jax.nn.relu(x @ w + b)
        logits = x @ p[-1][0] + p[-1][1]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()

    one = jax.value_and_grad(loss)
    every = jax.vmap(jax.vmap(one, in_axes=(0, None, None)), in_axes=(0, 0, 0))

    def update(p: Any, chosen: Any) -> Any:
        losses, found = every(p, x_train[chosen], y_train[chosen])
        return jax.tree.map(lambda w, g: w - LR * g, p, found), losses

    def run_all(p: Any, indices: Any) -> Any:
        with jax.default_matmul_precision(precision or "default"):
            return jax.lax.scan(update, p, indices)

    run = jax.jit(run_all)
    indices = jnp.asarray(draw.integers(0, len(y_train), (steps, seeds, BATCH)))
    jax.block_until_ready(run(params, indices))

    def measure() -> float:
        started = time.perf_counter()
        jax.block_until_ready(run(params, indices))
        return (time.perf_counter() - started) / steps / (seeds * per_seed) * 1e6

    return measure


def products_at_peak(device: str = "cpu", workers: int = 2) -> float:
    """Return the time of a model-step's dense products at the best rate of ``bmm`` or ``mm``."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    shapes = [(30, 100, 100, 128), (8, 256, 256, 256), (1, 1024, 1024, 1024), (1, 3000, 784, 128)]
    best = max(_rate(*shape, device, workers) for shape in shapes)
    torch.set_num_threads(before)
    return FLOP / best * 1e6


def _rate(count: int, m: int, k: int, n: int, device: str, workers: int) -> float:
    """Return FLOP per second of ``workers`` threads that multiply side by side."""
    barrier, times = threading.Barrier(workers), []
    rounds = max(1, int(4e9 / (2 * count * m * k * n)))

    def work() -> None:
        torch.set_num_threads(1)
        a, b = torch.rand((count, m, k)).to(device), torch.rand((count, k, n)).to(device)
        out = torch.bmm(a, b)
        barrier.wait()
        wait(device)
        started = time.perf_counter()
        for _ in range(rounds):
            torch.bmm(a, b, out=out)
        wait(device)
        times.append(time.perf_counter() - started)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return workers * rounds * 2 * count * m * k * n / max(times)


def products_of_a_step(count: int, per_seed: int, device: torch.device) -> float:
    """The time of a model-step's products alone, all of ``count`` models in ``bmm``, in its shapes.

    The cells of a seed share the product of the first layer, as in the engine.
    """
    seeds = count // per_seed
    shapes = [
        (seeds, 784, 100 * per_seed),
        *[(count, i, o) for i, o in itertools.pairwise(SIZES[1:])],
    ]
    total, rounds = 0.0, 20
    for k, (batches, fan_in, units) in enumerate(shapes):
        x = torch.rand(batches, BATCH, fan_in).to(device)
        w = torch.rand(batches, fan_in, units).to(device)
        y = torch.rand(batches, BATCH, units).to(device)
        products = [(x, w, y), (x.mT, y, w)] + ([(y, w.mT, x)] if k else [])
        for left, right, out in products:
            target = torch.empty_like(out)
            torch.bmm(left, right, out=target)
            wait(str(device))
            started = time.perf_counter()
            for _ in range(rounds):
                torch.bmm(left, right, out=target)
            wait(str(device))
            total += (time.perf_counter() - started) / rounds
    return total / count * 1e6
