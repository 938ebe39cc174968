"""The book's statements as measured quantities, each with a threshold decided here, once."""

import numpy as np
import pandas as pd

from init_bench.book.verdicts import Claim, Values


def _of(frame: pd.DataFrame, init: str, activation: str) -> pd.DataFrame:
    return frame[(frame["init"] == init) & (frame["activation"] == activation)]


def _last(init: str, activation: str, column: str) -> Values:
    """Return ``column`` of the fifth layer, by seed."""

    def measure(look: pd.DataFrame) -> pd.Series:
        rows = _of(look, init, activation)
        last: pd.Series = rows[rows["layer"] == rows["layer"].max()].set_index("seed")[column]
        return last

    return measure


def _last_to_first(init: str, activation: str, column: str = "std") -> Values:
    """Return ``column`` of the fifth layer over that of the first, by seed."""

    def measure(look: pd.DataFrame) -> pd.Series:
        wide = _of(look, init, activation).pivot(index="seed", columns="layer", values=column)
        return wide[wide.columns.max()] / wide[wide.columns.min()]

    return measure


def _cell(init: str, activation: str, column: str) -> Values:
    return lambda cells: _of(cells, init, activation).set_index("seed")[column]


def _distinct(init: str) -> Values:
    """Return the most distinct units of any hidden layer at any captured step, by seed."""

    def measure(layers: pd.DataFrame) -> pd.Series:
        rows = _of(layers, init, "relu")
        hidden = rows[(rows["kind"] == "weight") & (rows["layer"] != "fc5")]
        return hidden.groupby("seed")["distinct"].max()

    return measure


def _gradient_ratio(init: str) -> Values:
    """Return the RMS gradient at the first hidden activation over that at the last, by seed."""

    def measure(layers: pd.DataFrame) -> pd.Series:
        rows = gradient_profile(_of(layers, init, "sigmoid"))
        wide = rows.pivot(index="seed", columns="depth_index", values="rms")
        return wide[wide.columns.min()] / wide[wide.columns.max()]

    return measure


def gradient_profile(layers: pd.DataFrame) -> pd.DataFrame:
    """Return ``init, activation, seed, depth_index, rms`` of the gradient at each activation."""
    at_start = layers[(layers["kind"] == "gradient") & (layers["step"] == 0)]
    hidden = at_start[at_start["layer"].str.startswith("act")]
    return hidden[["init", "activation", "seed"]].assign(
        depth_index=hidden["layer"].str.removeprefix("act").astype(int),
        rms=np.hypot(hidden["mean"], hidden["std"]),
    )


def _least_sigmoid_loss(cells: pd.DataFrame) -> pd.Series:
    """Return the least final loss of the book's three inits under sigmoid, by seed."""
    three = ("normal(std=0.01)", "lecun_normal", "he_normal")
    rows = cells[(cells["activation"] == "sigmoid") & cells["init"].isin(three)]
    wide = rows.pivot(index="seed", columns="init", values="final_loss")
    least: pd.Series = wide.apply(lambda row: row.min(skipna=False), axis=1)
    return least


def _he_ahead(curves: pd.DataFrame) -> pd.Series:
    """Return mean loss over all steps of lecun_normal less that of he_normal, paired by seed."""
    relu = curves[curves["activation"] == "relu"]
    finite = relu.assign(loss=relu["loss"].where(np.isfinite(relu["loss"])))
    area = finite.groupby(["init", "seed"])["loss"].agg(lambda loss: loss.mean(skipna=False))
    wide = area.unstack("init")
    return wide["lecun_normal"] - wide["he_normal"]


_STD5 = "std of the activations of layer 5"


_SAMPLE_STD5 = "sample_std of layer 5: √(mean over units of the variance over samples)"


_RATIO = "std of activations, layer 5 over layer 1"


_GRADIENT = "RMS of ∂loss/∂z at the start, first hidden layer over last (three layers back)"


_LOSS = "mean training loss of the last 50 steps"


_DISTINCT = "most distinct weight rows of any hidden layer at any captured step"


CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="neuron-a",
        figure="neuron",
        statement="x = (0.1, 0.2, 0.3), w = (0.4, 0.5, 0.6) give the pre-activation a = 0.32",
        quantity="a = w · x",
        frame="neuron",
        measure=lambda neuron: neuron["a"],
        low=0.315,
        high=0.325,
    ),
    Claim(
        name="neuron-z",
        figure="neuron",
        statement="and the activation z = tanh(a) = 0.31",
        quantity="z = tanh(w · x)",
        frame="neuron",
        measure=lambda neuron: neuron["z"],
        low=0.305,
        high=0.315,
    ),
    *(
        claim
        for init, words, note in (
            ("zeros", "zero weights", ""),
            (
                "constant(value=0.01)",
                "equal weights",
                "not quite at chance: it learns what a network of one unit per layer can",
            ),
        )
        for claim in (
            Claim(
                name=f"symmetry-{init}",
                figure="symmetry",
                statement=f"{words} never break symmetry",
                quantity=_DISTINCT,
                frame="layers",
                measure=_distinct(init),
                high=1.0,
            ),
            Claim(
                name=f"no-learning-{init}",
                figure="symmetry",
                statement=f"{words} cannot learn",
                quantity="test accuracy at the end (chance is about 0.1)",
                frame="cells",
                measure=_cell(init, "relu", "test_accuracy"),
                high=0.3,
                note=note,
            ),
        )
    ),
    Claim(
        name="random-breaks-symmetry",
        figure="symmetry",
        statement="random weights (he_normal) do break symmetry",
        quantity=_DISTINCT,
        frame="layers",
        measure=_distinct("he_normal"),
        low=100.0,
    ),
    Claim(
        name="std-1-sigmoid-piles-up",
        figure="6-10",
        statement="N(0, 1) weights and sigmoid pile activations up at 0 and 1",
        quantity="share of layer 5's activations below 0.05 or above 0.95",
        frame="look",
        measure=_last("normal(std=1)", "sigmoid", "saturated"),
        low=0.5,
    ),
    Claim(
        name="std-1-sigmoid-gradients-vanish",
        figure="gradients",
        statement="N(0, 1) weights and sigmoid make gradients vanish on their way back",
        quantity=_GRADIENT,
        frame="layers",
        measure=_gradient_ratio("normal(std=1)"),
        high=0.1,
        note="φ' is near 0 for most units, but the large weights multiply the gradient back up: "
        "per layer it changes by √(n std² E[φ'²]), which is near 1 here",
    ),
    Claim(
        name="lecun-sigmoid-gradients-vanish",
        figure="gradients",
        statement="1/√n and sigmoid, though well spread, make gradients vanish (not in the book)",
        quantity=_GRADIENT,
        frame="layers",
        measure=_gradient_ratio("lecun_normal"),
        high=0.1,
        note="φ' is at most 1/4, and weights of std 1/√n do not make up for it",
    ),
    *(
        Claim(
            name=f"std-0.01-{activation}-says-the-same",
            figure="expressiveness",
            statement=f"N(0, 0.01²) and {activation}: all units say nearly the same",
            quantity=_SAMPLE_STD5,
            frame="look",
            measure=_last("normal(std=0.01)", activation, "sample_std"),
            high=0.01,
        )
        for activation in ("sigmoid", "relu", "tanh")
    ),
    *(
        Claim(
            name=f"lecun-{activation}-spreads",
            figure=figure,
            statement=f'1/√n (book: "Xavier") spreads {activation} activations',
            quantity=_STD5,
            frame="look",
            measure=_last("lecun_normal", activation, "std"),
            low=0.1,
        )
        for activation, figure in (("sigmoid", "6-13"), ("tanh", "6-14-tanh"))
    ),
    Claim(
        name="lecun-sigmoid-spread-is-empty",
        figure="6-13",
        statement="but with sigmoid that spread hardly depends on the input (not in the book)",
        quantity=_SAMPLE_STD5,
        frame="look",
        measure=_last("lecun_normal", "sigmoid", "sample_std"),
        high=0.01,
        note="std² = sample_std² + unit_std²: a histogram shows std alone",
    ),
    Claim(
        name="lecun-relu-shrinks",
        figure="6-14",
        statement='1/√n (book: "Xavier") lets ReLU\'s activations shrink layer by layer',
        quantity=_RATIO,
        frame="look",
        measure=_last_to_first("lecun_normal", "relu"),
        high=0.5,
    ),
    Claim(
        name="he-relu-level",
        figure="6-14",
        statement="He keeps the spread of ReLU's activations level",
        quantity=_RATIO,
        frame="look",
        measure=_last_to_first("he_normal", "relu"),
        low=0.5,
        high=2.0,
    ),
    Claim(
        name="std-0.01-learns-nothing",
        figure="6-15",
        statement="on MNIST, N(0, 0.01²) and ReLU learn nothing",
        quantity=_LOSS,
        frame="cells",
        measure=_cell("normal(std=0.01)", "relu", "final_loss"),
        low=2.29,
    ),
    *(
        Claim(
            name=f"{init}-learns",
            figure="6-15",
            statement=f"on MNIST, {words} and ReLU learn",
            quantity=_LOSS,
            frame="cells",
            measure=_cell(init, "relu", "final_loss"),
            high=0.5,
        )
        for init, words in (("lecun_normal", '1/√n (book: "Xavier")'), ("he_normal", "He"))
    ),
    Claim(
        name="he-faster",
        figure="6-15",
        statement="and He learns faster than 1/√n",
        quantity="mean loss over all steps, lecun_normal less he_normal, paired by seed",
        frame="curves",
        measure=_he_ahead,
        low=0.05,
    ),
    Claim(
        name="sigmoid-none-learns",
        figure="6-15",
        statement="with sigmoid none of the three learns in this time (not in the book)",
        quantity=f"least over the three inits of the {_LOSS}",
        frame="cells",
        measure=_least_sigmoid_loss,
        low=2.29,
        note="1/√n looks well spread in figure 6-13, and still does not train at lr 0.01: "
        "its spread does not depend on the input",
    ),
)
