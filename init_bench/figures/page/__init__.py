"""Write one self-contained HTML page: an answer, figures to explore, tables, how to repeat it.

A page knows tables, no model and no stored run: whoever has a result passes its tables.
"""

from init_bench.figures.page.claims import claims_section
from init_bench.figures.page.document import Image, Page, Section, render
from init_bench.figures.page.histograms import histograms_section, training_histograms_section
from init_bench.figures.page.layers_down import layers_section
from init_bench.figures.page.runs import curves_section, heat_map_section
from init_bench.figures.page.signal import depth_section, spread_section
from init_bench.figures.page.table import Interval, list_section, table_section

__all__ = [
    "Image",
    "Interval",
    "Page",
    "Section",
    "claims_section",
    "curves_section",
    "depth_section",
    "heat_map_section",
    "histograms_section",
    "layers_section",
    "list_section",
    "render",
    "spread_section",
    "table_section",
    "training_histograms_section",
]
