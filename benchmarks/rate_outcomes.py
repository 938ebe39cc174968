"""Find out at which of nine rates a network trains; store it in ``results/rate_outcomes.csv``.

``trains`` means what it means in ``benchmarks.trainability``: within 1000 SGD steps on MNIST the
mean loss of 20 steps fell below 1.5. A network that trains at none of the patient budget's rates is
not trained again.

The stored outcomes come from an H100 (float32, torch 2.11), where nine rates train at once. What is
missing is trained here, on the CPU.
"""

import csv
from functools import cache

from benchmarks.interleaved_timing import RESULTS
from benchmarks.networks import Net, build
from benchmarks.trainability import PATIENT, QUICK, has_trained, stored_outcome, train
from init_bench import datasets

RATE_OUTCOMES = RESULTS / "rate_outcomes.csv"
COLUMNS = ("name", "lr", "trains", "steps")
RATES = tuple(10 ** (i / 2 - 3.5) for i in range(9))
STEPS = PATIENT.steps


def rates_that_train(net: Net) -> list[float]:
    """Return the rates at which a network trains; train it if that is not stored."""
    if net.name not in _known():
        if not _trains_at_all(net):
            return []
        _train(net)
    return [lr for lr, trains in _known()[net.name].items() if trains]


def is_known(net: Net) -> bool:
    """Return whether the outcomes of a network are stored, or it is known to train at no rate."""
    return net.name in _known() or not _trains_at_all(net)


def _trains_at_all(net: Net) -> bool:
    budgets = (QUICK, PATIENT)
    return any(stored_outcome(net, budget, lambda: build(net)).trains for budget in budgets)


def _train(net: Net) -> None:
    """Train a network at every rate and store what came of it."""
    data = datasets.load("mnist")
    if not RATE_OUTCOMES.exists():
        RATE_OUTCOMES.write_text(",".join(COLUMNS) + "\n")
    rows = []
    for lr in RATES:
        losses = train(build(net), data, net, lr, STEPS)
        row = {
            "name": net.name,
            "lr": f"{lr:.6g}",
            "trains": has_trained(losses),
            "steps": len(losses),
        }
        rows.append(row)
    with RATE_OUTCOMES.open("a", newline="") as file:
        csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(rows)
    _known()[net.name] = {lr: row["trains"] is True for lr, row in zip(RATES, rows, strict=True)}


@cache
def _known() -> dict[str, dict[float, bool]]:
    found: dict[str, dict[float, bool]] = {}
    if RATE_OUTCOMES.exists():
        with RATE_OUTCOMES.open(newline="") as file:
            for row in csv.DictReader(file):
                lr = min(RATES, key=lambda rate: abs(rate - float(row["lr"])))
                found.setdefault(row["name"], {})[lr] = row["trains"] == "True"
    return found
