"""Recheck He et al. 2015: a deep ReLU network learns from He's weights and stalls from Xavier's.

Read of the paper:
    nothing of its text: recalled from secondary accounts. The paper's networks are convolutional,
    on ImageNet; here they are MLPs on MNIST.

Setting:
    784-100-…-10 ReLU MLPs on MNIST, SGD, batch 128, rates 0.01, 0.03, 0.1 and 0.3.
    "Learns" means a training loss of at most 1.5 after 500 steps, about two thirds of chance
    (2.303), and "stalls" one of at least 2.25: limits of ours for runs this short.

Not rechecked:
    PReLU and its results on ImageNet.
"""

from collections.abc import Sequence

from init_bench.figures import Panel
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.network_training import best_rates, train
from init_bench.reproduction.papers.profiles import GRADIENT, STD, expected_start, start_profile
from init_bench.reproduction.papers.quantities import mean_ratio, over, value_of
from init_bench.training.grid import Grid

DEPTHS = (5, 22, 30)


RATES = (0.01, 0.03, 0.1, 0.3)


LOSS = "loss"


HE, XAVIER = "he_normal", "xavier_normal"


SERIES = {name: name for name in (HE, XAVIER)}


def measure(
    seeds: Sequence[int], *, width: int = 100, steps: int = 500, rates: Sequence[float] = RATES
) -> Tables:
    """Return losses at the best rate by depth, and signal and gradient of the deepest at start."""
    grid = Grid(
        init=[*SERIES],
        width=width,
        depth=list(DEPTHS),
        lr=list(rates),
        seed=list(seeds),
        steps=steps,
        capture_at=[0],
    )
    cells, layers = train([grid])
    measured: list[tuple[object, ...]] = [
        (LOSS, *row) for row in best_rates(cells, ["init", "depth"])
    ]
    deepest = layers[(layers["depth"] == max(DEPTHS)) & (layers["lr"] == rates[0])]
    measured += list(start_profile(deepest, SERIES))
    return tables(measured, expected_start(SERIES, [width] * (max(DEPTHS) - 1), "relu"))


_LOSS = "training loss of the last 50 of 500 steps at the best of four rates"


PICTURES = {
    "he": Picture(
        (
            Panel(LOSS, "layers with weights", "loss at the best rate"),
            Panel(STD, "hidden layer", "std of activations", log_y=True),
            Panel(GRADIENT, "hidden layer", "gradient, relative to the last layer", log_y=True),
        ),
        "Left: mean loss of the last 50 of 500 steps. Middle, right: 30 layers before "
        "training; dashed: mean field. Bands: lowest to highest seed.",
        claims=(
            Claim(
                "he-learns-30",
                "with 30 layers a network learns from He's weights",
                f"{_LOSS}, 30 layers",
                value_of(LOSS, HE, 30),
                high=1.5,
            ),
            Claim(
                "xavier-stalls-30",
                "and stalls from Xavier's",
                f"{_LOSS}, 30 layers (chance: 2.303)",
                value_of(LOSS, XAVIER, 30),
                low=2.25,
            ),
            Claim(
                "xavier-learns-22",
                "with 22 layers both learn: Xavier's too",
                f"{_LOSS}, 22 layers",
                value_of(LOSS, XAVIER, 22),
                high=1.5,
            ),
            Claim(
                "he-faster-22",
                "with 22 layers He's converges faster",
                f"{_LOSS}, 22 layers, He over Xavier",
                over(LOSS, HE, XAVIER, 22),
                high=0.95,
            ),
            Claim(
                "signal-level",
                "variance 2/n keeps the signal level through ReLU layers",
                "std of activations of 29 hidden layers, measured over expected, mean",
                mean_ratio(STD, HE),
                frame="ratio",
                low=0.5,
                high=2.0,
            ),
            Claim(
                "gradient-diminishes",
                "from Xavier's weights gradients diminish by √2 a layer",
                "gradient at the first hidden layer over that at the last, 30 layers "
                "(expected: 2^(-14) = 6.1e-5)",
                value_of(GRADIENT, XAVIER, 1),
                low=2e-5,
                high=2e-4,
            ),
        ),
    )
}


EXPERIMENT = Experiment(
    measure, PICTURES, seeds=4, quick={"width": 20, "steps": 10, "rates": (0.1,)}
)
