"""Recheck He et al. 2015: a deep ReLU network learns from He's weights and stalls from Xavier's."""

from collections.abc import Iterator, Sequence

from init_bench import datasets
from init_bench.figures import Panel
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import (
    Experiment,
    Picture,
    Tables,
    mean_ratio,
    over,
    tables,
    value_of,
)
from init_bench.reproduction.papers.network_training import (
    GRADIENT,
    STD,
    best_rates,
    start_profile,
    train,
)
from init_bench.theory import expected_profile
from init_bench.training.grid import Grid

DEPTHS = (5, 22, 30)


RATES = (0.01, 0.03, 0.1, 0.3)


LOSS = "loss"


HE, XAVIER = "he_normal", "xavier_normal"


def measure(
    seeds: Sequence[int], *, width: int = 100, steps: int = 500, rates: Sequence[float] = RATES
) -> Tables:
    """Return losses at the best rate by depth, and signal and gradient of the deepest at start."""
    grid = Grid(
        init=[HE, XAVIER],
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
    measured += list(start_profile(deepest))
    return tables(measured, _expected(width))


def _expected(width: int) -> Iterator[tuple[object, ...]]:
    images = datasets.load("mnist").inputs[:2000]
    depth = max(DEPTHS)
    widths = [images.shape[1], *[width] * (depth - 1), 10]
    for init in (HE, XAVIER):
        table = expected_profile(widths, init, "relu", inputs=images)
        hidden = table[table["layer"].str.startswith("act")]
        at = hidden["layer"].str.removeprefix("act").astype(int)
        for kind, quantity in (("activation", STD), ("gradient", GRADIENT)):
            rows = hidden[hidden["kind"] == kind].set_index(at[hidden["kind"] == kind])["std"]
            scale = rows.iloc[-1] if kind == "gradient" else 1.0
            for layer, value in rows.items():
                yield quantity, init, layer, value / scale


_LOSS = "training loss of the last 50 of 500 steps at the best of four rates"


EXPERIMENT = Experiment(
    measure=measure,
    read="nothing of its text: recalled from secondary accounts. The paper's networks are "
    "convolutional, on ImageNet; here they are MLPs on MNIST.",
    setting="784-100-…-10 ReLU MLPs on MNIST, SGD, batch 128, rates 0.01, 0.03, 0.1 and 0.3.",
    seeds=4,
    quick={"width": 20, "steps": 10, "rates": (0.1,)},
    not_checked="PReLU and its results on ImageNet.",
    claims=(
        Claim(
            name="he-learns-30",
            figure="he",
            statement="with 30 layers a network learns from He's weights",
            quantity=f"{_LOSS}, 30 layers",
            frame="measured",
            measure=value_of(LOSS, HE, 30),
            high=1.5,
        ),
        Claim(
            name="xavier-stalls-30",
            figure="he",
            statement="and stalls from Xavier's",
            quantity=f"{_LOSS}, 30 layers (chance: 2.303)",
            frame="measured",
            measure=value_of(LOSS, XAVIER, 30),
            low=2.25,
        ),
        Claim(
            name="xavier-learns-22",
            figure="he",
            statement="with 22 layers both learn: Xavier's too",
            quantity=f"{_LOSS}, 22 layers",
            frame="measured",
            measure=value_of(LOSS, XAVIER, 22),
            high=1.5,
        ),
        Claim(
            name="he-faster-22",
            figure="he",
            statement="with 22 layers He's converges faster",
            quantity=f"{_LOSS}, 22 layers, He over Xavier",
            frame="measured",
            measure=over(LOSS, HE, XAVIER, 22),
            high=0.95,
        ),
        Claim(
            name="signal-level",
            figure="he",
            statement="variance 2/n keeps the signal level through ReLU layers",
            quantity="std of activations of 29 hidden layers, measured over expected, mean",
            frame="ratio",
            measure=mean_ratio(STD, HE),
            low=0.5,
            high=2.0,
        ),
        Claim(
            name="gradient-diminishes",
            figure="he",
            statement="from Xavier's weights gradients diminish by √2 a layer",
            quantity="gradient at the first hidden layer over that at the last, 30 layers "
            "(expected: 2^(-14) = 6.1e-5)",
            frame="measured",
            measure=value_of(GRADIENT, XAVIER, 1),
            low=2e-5,
            high=2e-4,
        ),
    ),
    pictures={
        "he": Picture(
            (
                Panel(quantity=LOSS, x="layers with weights", y="loss at the best rate"),
                Panel(quantity=STD, x="hidden layer", y="std of activations", log_y=True),
                Panel(
                    quantity=GRADIENT,
                    x="hidden layer",
                    y="gradient, relative to the last layer",
                    log_y=True,
                ),
            ),
            "Left: mean loss of the last 50 of 500 steps. Middle, right: 30 layers before "
            "training; dashed: mean field. Bands: lowest to highest seed.",
        )
    },
)
