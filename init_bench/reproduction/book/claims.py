"""List the statements of the book, each with its quantity and a threshold decided here, once."""

from functools import partial
from typing import Any

from init_bench.reproduction.book.quantities import (
    cell_value,
    gradient_ratio,
    he_ahead,
    last_layer,
    last_to_first_layer,
    least_sigmoid_loss,
    loss_at_best_rate,
    most_distinct_rows,
)
from init_bench.reproduction.book.result import STEPS
from init_bench.reproduction.claim_verdicts import NOT_IN_BOOK, SHARES, SIGNED, Claim, Second

RATES = (0.01, 0.1, 1.0)
"""Learning rates of the claims about sigmoid; the first is the book's."""


RATE_SEEDS = 3
"""Seeds of the runs at several learning rates, at most."""


_STD5 = "std of the activations of layer 5"


_SAMPLE_STD5 = "sample_std of layer 5: √(mean over units of the variance over samples)"


_RATIO = "std of activations, layer 5 over layer 1"


_GRADIENT = "RMS of ∂loss/∂z at the start, first hidden layer over last (three layers back)"


_LOSS = "mean training loss of the last 50 steps, before the update of each"


_AFTER = "the same after the update of each step, as the book notes it"


_TUNED = (
    f"the same at the best of the learning rates {', '.join(f'{lr:g}' for lr in RATES)} (at most "
    f"{RATE_SEEDS} seeds)"
)


_DISTINCT = "most distinct weight rows of any hidden layer at any captured step"


_at_start = partial(Claim, frame="initial_layers")


_neuron = partial(Claim, figure="neuron", frame="neuron", exact=True)


_symmetry = partial(Claim, figure="symmetry", frame="layers")


_gradients = partial(Claim, figure="gradients", frame="layers", high=0.1)


def _final_loss(name: str, statement: str, init: str, activation: str, **options: Any) -> Claim:
    """Return a claim on the loss at the end of training."""
    measure = cell_value(init, activation, "final_loss")
    return Claim(name, statement, _LOSS, measure, figure="6-15", frame="cells", **options)


def _sigmoid_loss(name: str, statement: str, init: str, **options: Any) -> Claim:
    """Return a claim on the loss with sigmoid; beside it stands that at the best rate."""
    second = Second(_TUNED, "rates", loss_at_best_rate(init))
    return _final_loss(name, statement, init, "sigmoid", second=second, **options)


CLAIMS: tuple[Claim, ...] = (
    _neuron(
        "neuron-a",
        "x = (0.1, 0.2, 0.3), w = (0.4, 0.5, 0.6) give the pre-activation a = 0.32",
        "a = w · x",
        lambda neuron: neuron["a"],
        low=0.315,
        high=0.325,
    ),
    _neuron(
        "neuron-z",
        "and the activation z = tanh(a) = 0.31",
        "z = tanh(w · x)",
        lambda neuron: neuron["z"],
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
            _symmetry(
                f"symmetry-{init}",
                f"{words} never break symmetry",
                _DISTINCT,
                most_distinct_rows(init),
                high=1.0,
            ),
            Claim(
                f"no-learning-{init}",
                f"{words} cannot learn",
                "test accuracy at the end (chance is about 0.1)",
                cell_value(init, "relu", "test_accuracy"),
                figure="symmetry",
                frame="cells",
                high=0.3,
                within=SHARES,
                note=note,
            ),
        )
    ),
    _symmetry(
        "random-breaks-symmetry",
        "random weights (he_normal) do break symmetry",
        _DISTINCT,
        most_distinct_rows("he_normal"),
        low=100.0,
    ),
    _at_start(
        "std-1-sigmoid-piles-up",
        "N(0, 1) weights and sigmoid pile activations up at 0 and 1",
        "share of layer 5's activations below 0.05 or above 0.95",
        last_layer("normal(std=1)", "sigmoid", "saturated"),
        figure="6-10",
        low=0.5,
        within=SHARES,
    ),
    _gradients(
        "std-1-sigmoid-gradients-vanish",
        "N(0, 1) weights and sigmoid make gradients vanish on their way back",
        _GRADIENT,
        gradient_ratio("normal(std=1)"),
        note="φ' is near 0 for most units, but the large weights multiply the gradient back up: "
        "per layer it changes by √(n std² E[φ'²]), which is near 1 here",
    ),
    _gradients(
        "lecun-sigmoid-gradients-vanish",
        f"1/√n and sigmoid, though well spread, make gradients vanish {NOT_IN_BOOK}",
        _GRADIENT,
        gradient_ratio("lecun_normal"),
        note="φ' is at most 1/4, and weights of std 1/√n do not make up for it",
    ),
    *(
        _at_start(
            f"std-0.01-{activation}-says-the-same",
            f"N(0, 0.01²) and {activation}: all units say nearly the same",
            _SAMPLE_STD5,
            last_layer("normal(std=0.01)", activation, "sample_std"),
            figure="expressiveness",
            high=0.01,
        )
        for activation in ("sigmoid", "relu", "tanh")
    ),
    *(
        _at_start(
            f"lecun-{activation}-spreads",
            f'1/√n (book: "Xavier") spreads {activation} activations',
            _STD5,
            last_layer("lecun_normal", activation, "std"),
            figure=figure,
            low=0.1,
        )
        for activation, figure in (("sigmoid", "6-13"), ("tanh", "6-14-tanh"))
    ),
    _at_start(
        "lecun-sigmoid-spread-is-empty",
        f"but with sigmoid that spread hardly depends on the input {NOT_IN_BOOK}",
        _SAMPLE_STD5,
        last_layer("lecun_normal", "sigmoid", "sample_std"),
        figure="6-13",
        high=0.01,
        note="std² = sample_std² + unit_std²: a histogram shows std alone",
    ),
    _at_start(
        "lecun-relu-shrinks",
        '1/√n (book: "Xavier") lets ReLU\'s activations shrink layer by layer',
        _RATIO,
        last_to_first_layer("lecun_normal", "relu"),
        figure="6-14",
        high=0.5,
    ),
    _at_start(
        "he-relu-level",
        "He keeps the spread of ReLU's activations level",
        _RATIO,
        last_to_first_layer("he_normal", "relu"),
        figure="6-14",
        low=0.5,
        high=2.0,
    ),
    _final_loss(
        "std-0.01-learns-nothing",
        "on MNIST, N(0, 0.01²) and ReLU learn nothing",
        "normal(std=0.01)",
        "relu",
        low=2.29,
    ),
    *(
        _final_loss(
            f"{init}-learns",
            f"on MNIST, {words} and ReLU learn",
            init,
            "relu",
            high=0.5,
            second=Second(_AFTER, "loss_after", cell_value(init, "relu", "after")),
        )
        for init, words in (("lecun_normal", '1/√n (book: "Xavier")'), ("he_normal", "He"))
    ),
    Claim(
        "he-faster",
        "and He learns faster than 1/√n",
        "mean loss over all steps, lecun_normal minus he_normal, paired by seed",
        he_ahead,
        figure="6-15",
        frame="curves",
        low=0.05,
        within=SIGNED,
    ),
    _sigmoid_loss(
        "std-1-sigmoid-does-not-learn",
        "with N(0, 1) and sigmoid learning does not progress",
        "normal(std=1)",
        low=2.29,
        note=f"in {STEPS} steps the weights that saturate sigmoid train, at 0.01 and 0.1 better "
        f"than 1/√n; at 1 the interval of the difference, of {RATE_SEEDS} seeds, contains 0",
        note_steps=STEPS,
    ),
    _sigmoid_loss(
        "lecun-sigmoid-learns",
        '1/√n (book: "Xavier") lets sigmoid learn efficiently',
        "lecun_normal",
        high=0.5,
        note=f"in {STEPS} steps it learns only at a learning rate a hundred times the book's",
        note_steps=STEPS,
    ),
    Claim(
        "sigmoid-none-learns",
        f"with sigmoid none of the three learns in this time {NOT_IN_BOOK}",
        f"least over the three initializers: {_LOSS}",
        least_sigmoid_loss,
        figure="6-15",
        frame="cells",
        low=2.29,
        note="1/√n looks well spread in figure 6-13, and still does not train at lr 0.01: "
        "its spread does not depend on the input",
    ),
)
