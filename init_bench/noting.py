"""What to know of a look beside its verdicts, in words: what was not judged, or comes not of the
weights."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from torch import Tensor

from init_bench.arrivals import described
from init_bench.examining import Evidence
from init_bench.inputs import first_argument

AFTER_TRAINING = "thresholds were calibrated at step 0: read what crosses them later with care"

LOSS_ROSE = 1.5
"""By this factor above that of step 0 a loss is told: the rate is too large for these weights."""

USUAL_RMS = (0.01, 10.0)
"""Inputs that are normalised, pixels in [0, 1] and one-hot codes of 10 000 lie inside."""


def notes_on_inputs(inputs: Any) -> Iterator[str]:
    """Say of the first argument what makes sound weights look faulty.

    Example:
        >>> import torch
        >>> list(notes_on_inputs(torch.ones(4, 3)))
        ['all samples of the inputs are equal: no layer can tell them apart']
    """
    first = first_argument(inputs)
    if not isinstance(first, Tensor) or first.is_nested or first.dim() < 2 or not first.numel():
        return
    if bool((first == first[:1]).all()):
        yield "all samples of the inputs are equal: no layer can tell them apart"
        return
    if first.is_floating_point():
        rms = described(first, second=False)["rms"]
        if not USUAL_RMS[0] <= rms <= USUAL_RMS[1]:
            yield (
                f"the inputs have RMS {rms:.3g}, and initialisers expect about 1: normalise the "
                "inputs before you change a weight"
            )


def notes_on_looks(
    found: Mapping[int, Evidence], verdicts: Mapping[int, pd.DataFrame], last: int
) -> Iterator[str]:
    """Say what was not judged, and what came of the training, ``last`` being its last step."""
    end, first = max(found), found[0].loss
    worst = max(found, key=lambda step: found[step].loss)
    if math.isnan(first):
        yield "no loss was given: gradients are not judged"
    if found[worst].loss > LOSS_ROSE * first:
        yield f"the loss rose from {first:#.3g} to {found[worst].loss:#.3g} at step {worst}"
    if end < last:
        yield f"the loss is not finite at step {end}: training ended there"
    ill = [step for step, table in verdicts.items() if (table["severity"] == "bad").any()]
    if ill and 0 not in ill:
        yield (
            f"healthy at step 0: what is wrong at step {min(ill)} came with the training; try a "
            "smaller learning rate before other weights"
        )
    if end > 0:
        yield AFTER_TRAINING
