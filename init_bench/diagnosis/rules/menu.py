"""List the verdict rules of ``diagnose``: quantity, limit, what it means and what helps.

A rule is one record. ``register_rule`` adds another one: the tables, the printed report, the JSON
and the figure then show it. Thresholds are decisions; what each rests on stands beside it.
"Calibration" is ``python -m benchmarks.verdicts`` (``benchmarks/results/verdicts.csv``), its
training part; "placing" is ``python -m benchmarks.fault_localization``.
"""

from init_bench.diagnosis.rules.gradient_states import (
    FIRST_LOSS_RULES,
    GRADIENT_STATE_RULES,
    WRONG_INPUT_RULES,
)
from init_bench.diagnosis.rules.gradients import GRADIENT_RULES
from init_bench.diagnosis.rules.nonfinite import NONFINITE_RULES
from init_bench.diagnosis.rules.rule import MARKS, Rule
from init_bench.diagnosis.rules.signal import (
    DEPTH_SIGNAL_RULES,
    LAYER_SIGNAL_RULES,
    SHRINKING_SIGNAL_RULES,
)
from init_bench.diagnosis.rules.units import UNIT_RULES
from init_bench.diagnosis.rules.weight_scale import UNDONE_SCALE_RULES, WEIGHT_SCALE_RULES
from init_bench.errors import InitBenchError

RULES: list[Rule] = [
    *NONFINITE_RULES,
    *WEIGHT_SCALE_RULES,
    *LAYER_SIGNAL_RULES,
    *UNIT_RULES,
    *DEPTH_SIGNAL_RULES,
    *GRADIENT_RULES,
    *SHRINKING_SIGNAL_RULES,
    *GRADIENT_STATE_RULES,
    *UNDONE_SCALE_RULES,
    *FIRST_LOSS_RULES,
    *WRONG_INPUT_RULES,
]
"""In order of precedence: of two rules for one layer, verdict and severity the first counts."""


def register_rule(rule: Rule) -> None:
    """Add a verdict rule to those that ``diagnose`` applies.

    A verdict of the package keeps its color and marker, whatever the rule's ``mark``.

    Raises:
        InitBenchError: a rule of the same verdict and severity measures the same quantity.
    """
    names = [(known.verdict, known.severity, known.quantity) for known in RULES]
    if (rule.verdict, rule.severity, rule.quantity) in names:
        raise InitBenchError(
            f"a rule {rule.verdict!r} of {rule.quantity!r} is registered already; give this one "
            f"another quantity, or remove the other from RULES"
        )
    RULES.append(rule)


def verdict_names() -> tuple[str, ...]:
    """Return the names of all verdicts, ``healthy`` apart."""
    return tuple(dict.fromkeys(rule.verdict for rule in RULES))


def verdict_marks() -> dict[str, tuple[str, str]]:
    """Return color and marker of each verdict: those of ``MARKS``, or of its first rule."""
    return {rule.verdict: MARKS.get(rule.verdict, rule.mark) for rule in reversed(RULES)}
