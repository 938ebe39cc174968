"""Compare verdicts with fixed limits on held-out networks. ``python -m benchmarks.fixed_limits``

Each limit is one that tools and tutorials use, whatever the network: a network is flagged if any
of its layers crosses it at the start. The outcomes and our verdicts are those of
``results/verdicts.csv``; nothing is trained. The table goes into ``docs/how-we-compare.md``.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from torch import Tensor, nn

from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.network_evidence import SAMPLES
from benchmarks.networks import PLAIN, build, held_out_nets
from init_bench import datasets
from init_bench.activations.recognition import is_nonlinearity

PAGE = Path(__file__).parents[1] / "docs" / "how-we-compare.md"
START, END = "<!-- table: python -m benchmarks.fixed_limits -->\n", "<!-- end of table -->\n"
NEAR_ONE = 0.95
"""An activation beyond this, either way, counts as saturated, whatever its nonlinearity."""

LIMITS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "a gradient norm below 1e-6": lambda found: found["least gradient"] < 1e-6,
    "a gradient norm below 1e-7": lambda found: found["least gradient"] < 1e-7,
    "a gradient norm above 100": lambda found: ~(found["largest gradient"] <= 1e2),
    "a gradient norm above 1e3": lambda found: ~(found["largest gradient"] <= 1e3),
    "a gradient norm above 1e4": lambda found: ~(found["largest gradient"] <= 1e4),
    "below 1e-7 or above 1e3": lambda found: (
        (found["least gradient"] < 1e-7) | ~(found["largest gradient"] <= 1e3)
    ),
    "more than half of a layer's \\|a\\| > 0.95": lambda found: found["near one"] > 0.5,
    "more than 90 % of a layer's units dead": lambda found: found["dead"] > 0.9,
    "a gradient that is exactly 0": lambda found: found["least gradient"] == 0,
    "a layer of exact zeros": lambda found: found["zero"] == 1,
}
"""What a network is flagged by, as functions of the table of ``measured``."""


def measured() -> pd.DataFrame:
    """Return for each held-out network what the limits are about, and what came of it."""
    data = datasets.load("mnist")
    batch = data.inputs[:SAMPLES], data.targets[:SAMPLES]
    known = pd.read_csv(RESULTS / "verdicts.csv").set_index("number")
    rows = []
    for net in held_out_nets():
        trains, bad = known.loc[net.number, ["trains", "verdicts"]]
        came = {"trains": bool(trains), "verdict": isinstance(bad, str)}
        rows.append({"number": net.number, "kind": net.kind, **came, **numbers(build(net), *batch)})
    return pd.DataFrame(rows)


def numbers(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """Return the extreme gradient norms of a model's weights, and shares of its activations."""
    outputs: list[Tensor] = []
    for module in filter(is_nonlinearity, model.modules()):
        module.register_forward_hook(lambda _module, _inputs, out: outputs.append(out.detach()))
    nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
    weights = [p for p in model.parameters() if p.dim() > 1]
    norms = [float(p.grad.norm()) for p in weights if p.grad is not None]
    finite = bool(np.isfinite(norms).all())
    return {
        "least gradient": float(np.nanmin(norms)) if np.isfinite(norms).any() else np.nan,
        "largest gradient": max(norms) if finite else np.nan,
        **_activations(outputs),
    }


def _activations(outputs: list[Tensor]) -> dict[str, float]:
    """Return the largest share over layers of values near ±1, of dead units and of zeros."""
    flat = [output.flatten(1) for output in outputs]
    return {
        "near one": max(float((z.abs() > NEAR_ONE).float().mean()) for z in flat),
        "dead": max(float((z == 0).all(dim=0).float().mean()) for z in flat),
        "zero": max(float((z == 0).float().mean()) for z in flat),
    }


def rates(found: pd.DataFrame) -> pd.DataFrame:
    """Return for our verdicts and each limit how many networks it flags, by group and outcome."""
    flags = {"`diagnose`: a bad verdict": found["verdict"]}
    flags |= {name: crossed(found) for name, crossed in LIMITS.items()}
    groups = {"plain": found["kind"] == PLAIN, "misleading": found["kind"] != PLAIN}
    rows = []
    for name, flagged in flags.items():
        row = {"flagged by": name, "hits": _share(flagged[~found["trains"]])}
        for group, chosen in groups.items():
            row[f"false alarms, {group}"] = _share(flagged[found["trains"] & chosen])
        right = float((flagged != found["trains"]).mean())
        rows.append({**row, "right": f"{right:.0%}"})
    return pd.DataFrame(rows)


def _share(flagged: pd.Series) -> str:
    """Return how many are flagged, as a count and a share with its 95 % interval (Wilson)."""
    part, number = int(flagged.sum()), len(flagged)
    interval = stats.binomtest(part, number).proportion_ci(method="wilson")
    return f"{part} of {number}: {part / number:.0%} ({interval.low:.0%} to {interval.high:.0%})"


def page_table(found: pd.DataFrame) -> str:
    """Return the table of rates in Markdown."""
    table = rates(found)
    rows: list[list[str]] = table.astype(str).to_numpy().tolist()
    lines = [[*map(str, table)], ["---"] * len(table.columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_table(page: str, found: pd.DataFrame) -> str:
    """Return the page with the table in its place."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{page_table(found)}{END}{rest.partition(END)[2]}"


def main() -> None:
    found = measured()
    print(rates(found).to_string(index=False))
    print(save(found, "fixed_limits"))
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), found), "utf-8")


if __name__ == "__main__":
    main()
