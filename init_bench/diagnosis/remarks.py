"""What to know of a look beside its verdicts, in words: what was not judged, or comes not of the
weights."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.hooks.layer_call import describe_signal
from init_bench.hooks.model_call import arguments_of, first_argument, number_of_samples
from init_bench.hooks.nested_tensors import dense_tensors

AFTER_TRAINING = "thresholds were calibrated at step 0: read what crosses them later with care"


LOSS_ROSE = 0.5
"""By this share of its size at step 0 a loss has risen when it is told: the rate is too large for
these weights."""


MOST_NAMED = 4
"""Parameters that a note names; all are in ``.weights``."""


NEVER_ZERO = ("Embedding", "EmbeddingBag", "LSTM", "GRU", "RNN")
"""Layers whose weights nobody starts at 0 on purpose."""


USUAL_RMS = (0.01, 10.0)
"""Inputs that are normalised, pixels in [0, 1] and one-hot codes of 10 000 lie inside."""


def notes_on_inputs(inputs: Any) -> Iterator[str]:
    """Say what makes sound weights look faulty: equal samples, an odd scale of the first argument.

    Example:
        >>> import torch
        >>> list(notes_on_inputs(torch.ones(4, 3)))
        ['all samples of the inputs are equal: no layer can tell them apart']
    """
    first = first_argument(inputs)
    if _all_samples_equal(inputs):
        yield "all samples of the inputs are equal: no layer can tell them apart"
        return
    dense = isinstance(first, Tensor) and next(dense_tensors(first), None) is first
    if dense and first.is_floating_point() and first.numel():
        rms = describe_signal(first)["rms"]
        if not USUAL_RMS[0] <= rms <= USUAL_RMS[1]:
            yield (
                f"the inputs have RMS {rms:.3g}, and initialisers expect about 1: normalise the "
                "inputs before you change a weight"
            )


def _all_samples_equal(inputs: Any) -> bool:
    """Return whether no argument that holds something of each sample tells two samples apart."""
    samples = number_of_samples(inputs)
    of_each = [x for x in arguments_of(inputs) if samples and _length(x) == samples]
    return bool(of_each) and all(map(_members_equal, of_each))


def _members_equal(argument: Any) -> bool:
    parts = list(dense_tensors(argument))
    if isinstance(argument, list):
        return bool(parts) and all(torch.equal(x, parts[0]) for x in parts)
    return bool(parts) and bool((argument == argument[:1]).all())


def _length(argument: Any) -> int:
    sized = isinstance(argument, list) or (isinstance(argument, Tensor) and argument.dim() > 0)
    return len(argument) if sized else 0


def notes_on_looks(
    found: Mapping[int, Evidence],
    verdicts: Mapping[int, pd.DataFrame],
    last: int,
    *,
    with_loss: bool,
) -> Iterator[str]:
    """Say what was not judged, where parameters are plainly wrong, and what came of the training,
    ``last`` being its last step."""
    end, first = max(found), found[0].loss
    worst = max(found, key=lambda step: found[step].loss)
    if not with_loss:
        yield "no loss was given: gradients are not judged"
    yield from _faults(found[0].weights)
    if found[worst].loss - first > LOSS_ROSE * abs(first):
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
    """Name the parameters that the audit finds plainly wrong: tied ones may be meant, and so may
    zeros in a layer that multiplies, which the verdicts judge by what they do."""
    zeros = (weights["fault"] == "all equal: 0") & ~weights["module"].isin(NEVER_ZERO)
    meant = weights["fault"].str.startswith("tied") | zeros
    wrong = weights[(weights["fault"] != "") & ~meant]
    named = [f"{name} ({fault})" for name, fault in wrong[["parameter", "fault"]].to_numpy()]
    if named:
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        yield f"plainly wrong at any scale: {', '.join(named[:MOST_NAMED])}{more}; see .weights"
