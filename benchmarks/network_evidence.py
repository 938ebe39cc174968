"""Collect the evidence at step 0 and the training outcome of a network."""

import math
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.networks import Net, build
from benchmarks.trainability import PATIENT, QUICK, Outcome, stored_outcome
from init_bench import datasets
from init_bench.diagnosis.evidence.collection import Evidence, collect_evidence
from init_bench.hooks.record import capture

SAMPLES = 512
NEAR_ZERO = 0.05
"""fastai's ActivationStats counts |z| below this."""
EXPLAINED = 0.99
"""delve's saturation: share of directions that hold this share of the variance."""


@dataclass(frozen=True, kw_only=True)
class NetworkEvidence:
    """A network, the evidence at step 0, and what came of it: within the quick budget, and within
    the patient one, which is asked only of what the quick one did not train."""

    net: Net
    evidence: Evidence
    near_zero: list[float]
    delve: list[float]
    quick: Outcome
    patient: Outcome

    @property
    def trains(self) -> bool:
        return self.patient.trains


def evidence_of(net: Net) -> NetworkEvidence:
    """Return a network's evidence and outcome; train it if its outcome is not stored."""
    made = partial(build, net)
    quick = stored_outcome(net, QUICK, made)
    patient = quick if quick.trains else stored_outcome(net, PATIENT, made)
    data = datasets.load("mnist")
    x, y = data.inputs[:SAMPLES], data.targets[:SAMPLES]
    evidence = collect_evidence(build(net), x, y, nn.functional.cross_entropy)
    near_zero, delve = _peers(build(net), x)
    return NetworkEvidence(
        net=net, evidence=evidence, near_zero=near_zero, delve=delve, quick=quick, patient=patient
    )


def _peers(model: nn.Module, x: Tensor) -> tuple[list[float], list[float]]:
    """Return by activation layer fastai's near-zero share and delve's saturation."""
    with torch.no_grad(), capture(model, keep=True) as record:
        model(x)
    frame = record.table()
    layers = frame[frame["kind"] == "activation"]["layer"]
    values = [record[name].flatten(1).double() for name in layers if "Flatten" not in name]
    near_zero = [(z.abs() < NEAR_ZERO).double().mean().item() for z in values]
    return near_zero, [_saturation(z[:, :512]) for z in values]


def _saturation(z: Tensor) -> float:
    """Return the share of directions that explain 99 % of the variance over samples."""
    if not z.isfinite().all():
        return math.nan
    variance = torch.linalg.eigvalsh(torch.cov(z.T)).clamp_min(0).flip(0)
    share = variance.cumsum(0) / variance.sum()
    return (1 + int((share < EXPLAINED).sum())) / len(variance) if variance.sum() else math.nan


def described(network: NetworkEvidence) -> dict[str, object]:
    """Return the columns of the CSV that describe the network and what came of it."""
    return {
        **asdict(network.net),
        "trains": network.trains,
        "trains_quickly": network.quick.trains,
        "best_loss": round(network.patient.best_loss, 4),
        "step": network.patient.step,
    }
