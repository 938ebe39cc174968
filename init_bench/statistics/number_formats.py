"""Name the narrow number formats whose losses are measured, and where they begin."""

import math

FORMATS = {
    "float16": (2.0**-25, 65520.0),
    "bfloat16": (2.0**-134, 2.0**128 - 2.0**119),
    "float8_e4m3": (2.0**-10, math.nextafter(464.0, math.inf)),
    "float8_e5m2": (2.0**-17, 61440.0),
}
"""Of each format, the greatest magnitude that rounds to 0 (half its least number), and the least
that rounds beyond its greatest number (half a step above that). Ties go to the even neighbor."""


UNDERFLOWS = tuple(f"{name}_underflow" for name in FORMATS)
OVERFLOWS = tuple(f"{name}_overflow" for name in FORMATS)
FORMAT_STATISTICS = ("rms", "kurtosis", *UNDERFLOWS, *OVERFLOWS)
"""Further columns of the layer table, which a run does not store."""


SMALL = tuple(small for small, _ in FORMATS.values())
LARGE = tuple(large for _, large in FORMATS.values())
