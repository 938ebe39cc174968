"""What to know of a look beside its verdicts, in words: what was not judged, or comes not of the
weights."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from init_bench.arrivals import described
from init_bench.examining import Evidence
from init_bench.inputs import dense_tensors, first_argument

AFTER_TRAINING = "thresholds were calibrated at step 0: read what crosses them later with care"

LOSS_ROSE = 1.5
"""By this factor above that of step 0 a loss is told: the rate is too large for these weights."""

MOST_NAMED = 4
"""Parameters that a note names; all are in ``.weights``."""

USUAL_RMS = (0.01, 10.0)
"""Inputs that are normalised, pixels in [0, 1] and one-hot codes of 10 000 lie inside."""


def notes_on_inputs(inputs: Any) -> Iterator[str]:
    """Say what makes sound weights look faulty: equal samples, an odd scale of the first argument.

    Example:
        >>> import torch
        >>> list(notes_on_inputs(torch.ones(4, 3)))
        ['all samples of the inputs are equal: no layer can tell them apart']
    """
    batches = [x for x in dense_tensors(inputs) if x.dim() > 1 and x.numel()]
    if batches and all(bool((x == x[:1]).all()) for x in batches):
        yield "all samples of the inputs are equal: no layer can tell them apart"
        return
    first = first_argument(inputs)
    if any(first is x for x in batches) and first.is_floating_point():
        rms = described(first, second=False)["rms"]
        if not USUAL_RMS[0] <= rms <= USUAL_RMS[1]:
            yield (
                f"the inputs have RMS {rms:.3g}, and initialisers expect about 1: normalise the "
                "inputs before you change a weight"
            )


def notes_on_looks(
    found: Mapping[int, Evidence],
    verdicts: Mapping[int, pd.DataFrame],
    last: int,
    *,
    judged: bool,
) -> Iterator[str]:
    """Say what was not judged, where parameters are plainly wrong, and what came of the training,
    ``last`` being its last step; ``judged``: whether there was a loss."""
    end, first = max(found), found[0].loss
    worst = max(found, key=lambda step: found[step].loss)
    if not judged:
        yield "no loss was given: gradients are not judged"
    yield from _faults(found[0].weights)
    if found[worst].loss - first > (LOSS_ROSE - 1) * abs(first):
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


def _faults(weights: pd.DataFrame) -> Iterator[str]:
    """Name the parameters that the audit finds plainly wrong; a tied one may be meant."""
    wrong = weights[(weights["fault"] != "") & ~weights["fault"].str.startswith("tied")]
    named = [f"{name} ({fault})" for name, fault in wrong[["parameter", "fault"]].to_numpy()]
    if named:
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        yield f"plainly wrong at any scale: {', '.join(named[:MOST_NAMED])}{more}; see .weights"
