"""Turn stored histograms into a row per bin."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from init_bench.statistics.histogram import BINS, REACH, divisor
from init_bench.training.tables import TABLES

_KEPT = [name for name in TABLES["histograms"].names if name not in ("rms", "counts")]


BINS_SCHEMA = pa.schema(
    [
        *(TABLES["histograms"].field(name) for name in _KEPT),
        *((name, pa.float64()) for name in ("low", "high")),
        ("count", pa.int64()),
        ("share", pa.float64()),
    ]
)
"""Columns of a table with a row per bin."""


def bins_of(rows: pa.Table) -> pa.Table:
    """Return a row per bin of stored histograms.

    ``low`` and ``high`` are its ends, in the layer's own units, ``share`` is of the values that
    are finite. What lies beyond the outermost bins counts in these.

    Example:
        >>> bins_of(TABLES["histograms"].empty_table()).column_names[-4:]
        ['low', 'high', 'count', 'share']
    """
    counts = np.asarray(pc.list_flatten(rows["counts"]), dtype=np.int64)
    counts = counts.reshape(len(rows), BINS)
    rms = np.array([divisor(size) for size in rows["rms"].to_pylist()])
    ends = np.outer(rms, np.linspace(-REACH, REACH, BINS + 1))
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    own = (ends[:, :-1], ends[:, 1:], counts, counts / total)
    repeated = rows.select(_KEPT).take(np.repeat(np.arange(len(rows)), BINS))
    columns = [*repeated.columns, *(pa.array(values.ravel()) for values in own)]
    return pa.table(columns, schema=BINS_SCHEMA)
