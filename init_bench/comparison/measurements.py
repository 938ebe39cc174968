"""Define the measured quantities of a comparison and the row that holds one of them."""

import math
from dataclasses import dataclass

from init_bench.comparison.pairs_from_names import Pair
from init_bench.training.tables import LAST_STEPS

DRAWS = 20
"""Weights drawn from each initializer and shape; tests of weights as units have this n."""


NETWORK_DRAWS = 8
"""Networks filled by each initializer, where one of the two cannot fill a single tensor."""


DRAW_ALPHA = 1e-3
"""Chance of any false "differs" in all tests of draws; small, because draws are cheap."""


TRAIN_ALPHA = 0.05
"""Chance of any false "differs" in all tests of training, where each seed costs two runs."""


LOSSES = ("final loss", "mean loss")


TURNS, FILLS, NETWORK_FILLS = 9, 5, 3
"""Timing: rounds in which both sides are timed, and the fills of each in a round."""


TIME_MARGIN = 0.1
"""One side is faster where the whole interval of the time ratio lies beyond this margin."""


_PAIRED = (
    "a - b, mean over the seeds that diverged on neither side; Student's 95 % interval and "
    "sign-flip p over seeds, paired"
)


_AGAINST = (
    f"all entries of {DRAWS} draws; p and {1 - DRAW_ALPHA:.1%} interval exact for normal draws, "
    "by Bernstein's inequality for bounded ones"
)


_WELCH = (
    f"a / b, geometric means of {DRAWS} draws ({NETWORK_DRAWS} of whole networks); p and "
    f"{1 - DRAW_ALPHA:.1%} interval: Welch's t"
)


DEFINITIONS = {
    "same bits": "share of pairs of draws from one generator state that agree in every bit",
    "KS distance": "largest vertical gap between the cumulative distributions of the entries, "
    f"{DRAWS} draws a side, from different seeds; p: two-sample Kolmogorov-Smirnov; "
    f"{1 - DRAW_ALPHA:.1%} interval: Massart's bound",
    "std ratio": f"root mean square of the entries, {_WELCH}",
    "spectrum ratio": "largest singular value over the root mean square of all, which is 1 for an "
    f"orthogonal matrix and about 2 for independent entries, {_WELCH}",
    "kurtosis ratio": "mean fourth power of the entries over their squared mean square, which is 3 "
    f"for a normal distribution and 1.8 for a uniform one, {_WELCH}",
    "mean of a": f"(mean - stated mean) / stated std, {_AGAINST}",
    "variance of a": f"variance about the stated mean / the stated, {_AGAINST}",
    "same start": "share of seeds whose networks start from the same bits in every parameter",
    "final loss": f"mean loss of the last {LAST_STEPS} steps, of all if there are fewer; {_PAIRED}",
    "mean loss": f"area under the loss curve / steps, {_PAIRED}",
    "diverged": "share of seeds that diverged, a - b; p: exact McNemar test over seeds",
    "time": f"median time of a fill, a / b, median over {TURNS} rounds of {FILLS} fills of each "
    f"({NETWORK_FILLS} of a whole network); 96 % interval of the median: second lowest to second "
    "highest round",
}


DEFINITIONS |= {f"{name} of b": DEFINITIONS[f"{name} of a"] for name in ("mean", "variance")}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured number of a pair.

    Attributes:
        pair: the two initializers.
        question: ``distribution``, ``training`` or ``speed``.
        setting: the shape or the network that it was measured on.
        quantity: a key of ``DEFINITIONS``.
        value, low, high: the number and its interval, nan where there is none.
        p: p-value before Holm's adjustment, nan where nothing is tested.
        n: draws, entries or seeds behind the number.
        note: why there is no number, or what to mind.
    """

    pair: Pair
    question: str
    setting: str
    quantity: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: int = 0
    note: str = ""
