"""Draw and save the figures of the book's section."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.reproduction.book.quantities import gradient_profile, rows_of
from init_bench.training.tables import averaged_steps

Frames = dict[str, pd.DataFrame]
"""Tables by name; see ``pipeline``."""


THREE = ("normal(std=0.01)", "lecun_normal", "he_normal")


EQUAL = ("zeros", "constant(value=0.01)")


@dataclass(frozen=True)
class BookFigure:
    """Describe a figure of the section: how it is drawn, if at all, and the tables it needs."""

    draw: Callable[[Frames], Figure] | None
    needs: tuple[str, ...] = ()


def _histograms(activation: str, inits: Collection[str], caption: str) -> BookFigure:
    def draw(frames: Frames) -> Figure:
        rows = frames["histograms"]
        chosen = rows[(rows["activation"] == activation) & rows["init"].isin(inits)]
        return figures.activation_histograms(chosen, caption=caption)

    return BookFigure(draw, ("histograms", "initial_layers"))


def _draw_losses(frames: Frames) -> Figure:
    rows = frames["curves"]
    chosen = rows[(rows["activation"] == "relu") & rows["init"].isin(THREE)]
    steps = chosen["step"].max() + 1
    return figures.loss_curves(
        _in_order(chosen, THREE),
        caption="Figure 6-15. Training loss on MNIST of a 784-100-100-100-100-10 MLP with ReLU, "
        f"SGD, lr 0.01, batch 128, {steps} steps, zero biases. The book: std 0.01 learns "
        'nothing, "Xavier" (1/√n, our lecun_normal) and He learn, He faster. The book notes the '
        f"loss after the update of a step, we before it. {_after_update(frames)}",
    )


def _after_update(frames: Frames) -> str:
    """Return a sentence with the mean losses of the last steps before and after their update."""
    parts = []
    for init in ("lecun_normal", "he_normal"):
        rows = rows_of(frames["loss_after"], init, "relu")
        before, after = rows["before"].mean(), rows["after"].mean()
        parts.append(f"{init} has {before:.3f} before and {after:.3f} after")
    steps = averaged_steps([frames["curves"]["step"].max() + 1])
    return f"Over the last {steps} steps {', '.join(parts)}."


def _draw_symmetry(frames: Frames) -> Figure:
    inits = (*EQUAL, "he_normal")
    layers, curves = (
        _in_order(f[(f["activation"] == "relu") & f["init"].isin(inits)], inits)
        for f in (frames["layers"], frames["curves"])
    )
    hidden = layers[(layers["kind"] == "weight") & (layers["layer"] != "fc5")]
    return figures.symmetry(
        hidden,
        curves,
        caption="Zero and equal weights against random ones, the network of figure 6-15. Left: "
        "different rows of a hidden layer's weights (equal to 1e-5 counts as the same). The book: "
        "every unit of a layer gets the same update, so the units stay copies of one another. "
        "Measured: with equal weights the loss falls a little, as far as one unit per layer can.",
    )


def _draw_gradients(frames: Frames) -> Figure:
    profile = gradient_profile(frames["layers"])
    # With zero weights the gradient is 0, which a log axis cannot show.
    chosen = profile[~profile["init"].isin(EQUAL)]
    return figures.gradients(
        _in_order(chosen, ("normal(std=1)", *THREE)),
        caption="RMS over 512 MNIST samples and units of the gradient of the mean loss with "
        "respect to each hidden activation, before training. The book: N(0, 1) weights saturate "
        "sigmoid, so gradients vanish. Measured: for std 1 the gradient stays level from layer to "
        "layer, as large weights make up for small φ'; it does vanish for std 0.01 and 1/√n.",
    )


def _draw_expressiveness(frames: Frames) -> Figure:
    layers = frames["initial_layers"]
    return figures.expressiveness(
        _in_order(layers[layers["init"].isin(THREE)], THREE),
        caption="Spread of the activations that depends on the input (sample_std), five layers "
        "of 100 units, N(0, 1) input. The book: with N(0, 0.01²) all units say nearly the same. "
        "Sigmoid's sample_std falls for 1/√n (the book's \"Xavier\") too, though its std does not.",
    )


def _in_order(frame: pd.DataFrame, inits: Collection[str]) -> pd.DataFrame:
    """Return the rows with the initializers in the order of the section."""
    order = {init: position for position, init in enumerate(inits)}
    return frame.sort_values("init", key=lambda names: names.map(order), kind="stable")


_SETTING = "Activations of five layers of 100 units, 1000 samples of N(0, 1) input."


_RANGES = "Left: the book's range, which leaves out what lies outside (0, 1); right: all of it."


_XAVIER = '"Xavier" in the book is 1/√n: lecun_normal.'


FIGURES: dict[str, BookFigure] = {
    "6-10": _histograms(
        "sigmoid",
        ("normal(std=1)",),
        f"Figure 6-10. {_SETTING} Sigmoid, weights N(0, 1). The book: they pile up at 0 and 1.",
    ),
    "6-11": _histograms(
        "sigmoid",
        ("normal(std=0.01)",),
        f"Figure 6-11. {_SETTING} Sigmoid, weights N(0, 0.01²). The book: all near 0.5, so all "
        "units say nearly the same.",
    ),
    "6-13": _histograms(
        "sigmoid",
        ("lecun_normal",),
        f"Figure 6-13. {_SETTING} Sigmoid, weights of std 1/√n. {_XAVIER} The book: well spread. "
        "Mind sample_std, the part of the spread that depends on the input.",
    ),
    "6-14": _histograms(
        "relu",
        THREE,
        f"Figure 6-14. {_SETTING} ReLU. {_RANGES} {_XAVIER} The book: std 0.01 "
        "hardly passes anything on, 1/√n shrinks layer by layer, He stays level.",
    ),
    "6-14-tanh": _histograms(
        "tanh",
        THREE,
        f"The book's exercise to figure 6-14: tanh. {_SETTING} {_RANGES} {_XAVIER} "
        "1/√n keeps tanh spread, He saturates it a little, std 0.01 dies out.",
    ),
    "6-15": BookFigure(_draw_losses, ("cells", "curves", "loss_after")),
    "symmetry": BookFigure(_draw_symmetry, ("cells", "curves", "layers")),
    "gradients": BookFigure(_draw_gradients, ("cells", "layers")),
    "expressiveness": BookFigure(_draw_expressiveness, ("initial_layers",)),
    "neuron": BookFigure(draw=None),
}
