"""List the statements of the book, each with its quantity and a threshold decided here, once."""

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
from init_bench.reproduction.claim_verdicts import Claim, Second

RATES = (0.01, 0.1, 1.0)
"""Learning rates of the claims about sigmoid; the first is the book's."""

_STD5 = "std of the activations of layer 5"


_SAMPLE_STD5 = "sample_std of layer 5: √(mean over units of the variance over samples)"


_RATIO = "std of activations, layer 5 over layer 1"


_GRADIENT = "RMS of ∂loss/∂z at the start, first hidden layer over last (three layers back)"


_LOSS = "mean training loss of the last 50 steps, before the update of each"


_AFTER = "the same after the update of each step, as the book notes it"


_TUNED = f"the same at the best of the learning rates {', '.join(f'{lr:g}' for lr in RATES)}"


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
        exact=True,
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
        exact=True,
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
                measure=most_distinct_rows(init),
                high=1.0,
            ),
            Claim(
                name=f"no-learning-{init}",
                figure="symmetry",
                statement=f"{words} cannot learn",
                quantity="test accuracy at the end (chance is about 0.1)",
                frame="cells",
                measure=cell_value(init, "relu", "test_accuracy"),
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
        measure=most_distinct_rows("he_normal"),
        low=100.0,
    ),
    Claim(
        name="std-1-sigmoid-piles-up",
        figure="6-10",
        statement="N(0, 1) weights and sigmoid pile activations up at 0 and 1",
        quantity="share of layer 5's activations below 0.05 or above 0.95",
        frame="initial_layers",
        measure=last_layer("normal(std=1)", "sigmoid", "saturated"),
        low=0.5,
    ),
    Claim(
        name="std-1-sigmoid-gradients-vanish",
        figure="gradients",
        statement="N(0, 1) weights and sigmoid make gradients vanish on their way back",
        quantity=_GRADIENT,
        frame="layers",
        measure=gradient_ratio("normal(std=1)"),
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
        measure=gradient_ratio("lecun_normal"),
        high=0.1,
        note="φ' is at most 1/4, and weights of std 1/√n do not make up for it",
    ),
    *(
        Claim(
            name=f"std-0.01-{activation}-says-the-same",
            figure="expressiveness",
            statement=f"N(0, 0.01²) and {activation}: all units say nearly the same",
            quantity=_SAMPLE_STD5,
            frame="initial_layers",
            measure=last_layer("normal(std=0.01)", activation, "sample_std"),
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
            frame="initial_layers",
            measure=last_layer("lecun_normal", activation, "std"),
            low=0.1,
        )
        for activation, figure in (("sigmoid", "6-13"), ("tanh", "6-14-tanh"))
    ),
    Claim(
        name="lecun-sigmoid-spread-is-empty",
        figure="6-13",
        statement="but with sigmoid that spread hardly depends on the input (not in the book)",
        quantity=_SAMPLE_STD5,
        frame="initial_layers",
        measure=last_layer("lecun_normal", "sigmoid", "sample_std"),
        high=0.01,
        note="std² = sample_std² + unit_std²: a histogram shows std alone",
    ),
    Claim(
        name="lecun-relu-shrinks",
        figure="6-14",
        statement='1/√n (book: "Xavier") lets ReLU\'s activations shrink layer by layer',
        quantity=_RATIO,
        frame="initial_layers",
        measure=last_to_first_layer("lecun_normal", "relu"),
        high=0.5,
    ),
    Claim(
        name="he-relu-level",
        figure="6-14",
        statement="He keeps the spread of ReLU's activations level",
        quantity=_RATIO,
        frame="initial_layers",
        measure=last_to_first_layer("he_normal", "relu"),
        low=0.5,
        high=2.0,
    ),
    Claim(
        name="std-0.01-learns-nothing",
        figure="6-15",
        statement="on MNIST, N(0, 0.01²) and ReLU learn nothing",
        quantity=_LOSS,
        frame="cells",
        measure=cell_value("normal(std=0.01)", "relu", "final_loss"),
        low=2.29,
    ),
    *(
        Claim(
            name=f"{init}-learns",
            figure="6-15",
            statement=f"on MNIST, {words} and ReLU learn",
            quantity=_LOSS,
            frame="cells",
            measure=cell_value(init, "relu", "final_loss"),
            high=0.5,
            second=Second(_AFTER, "loss_after", cell_value(init, "relu", "after")),
        )
        for init, words in (("lecun_normal", '1/√n (book: "Xavier")'), ("he_normal", "He"))
    ),
    Claim(
        name="he-faster",
        figure="6-15",
        statement="and He learns faster than 1/√n",
        quantity="mean loss over all steps, lecun_normal minus he_normal, paired by seed",
        frame="curves",
        measure=he_ahead,
        low=0.05,
    ),
    Claim(
        name="std-1-sigmoid-does-not-learn",
        figure="6-15",
        statement="with N(0, 1) and sigmoid learning does not progress",
        quantity=_LOSS,
        frame="cells",
        measure=cell_value("normal(std=1)", "sigmoid", "final_loss"),
        low=2.29,
        second=Second(_TUNED, "rates", loss_at_best_rate("normal(std=1)")),
        note="in 2000 steps the weights that saturate sigmoid train, at each of these rates better "
        "than 1/√n",
    ),
    Claim(
        name="lecun-sigmoid-learns",
        figure="6-15",
        statement='1/√n (book: "Xavier") lets sigmoid learn efficiently',
        quantity=_LOSS,
        frame="cells",
        measure=cell_value("lecun_normal", "sigmoid", "final_loss"),
        high=0.5,
        second=Second(_TUNED, "rates", loss_at_best_rate("lecun_normal")),
        note="in 2000 steps it learns only at a learning rate a hundred times the book's",
    ),
    Claim(
        name="sigmoid-none-learns",
        figure="6-15",
        statement="with sigmoid none of the three learns in this time (not in the book)",
        quantity=f"least over the three initializers: {_LOSS}",
        frame="cells",
        measure=least_sigmoid_loss,
        low=2.29,
        note="1/√n looks well spread in figure 6-13, and still does not train at lr 0.01: "
        "its spread does not depend on the input",
    ),
)
