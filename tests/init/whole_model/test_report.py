"""A report's printed faces."""

from torch import nn

from init_bench.init import initialize
from init_bench.init.whole_model.report import RENAMED


def test_printed_faces_show_the_new_names_of_columns_alone() -> None:
    report = initialize(nn.Linear(4, 3), "he_normal", seed=0)
    assert set(RENAMED) <= set(report.table.columns)
    faces = (str(report), repr(report), report._repr_html_(), report.to_json())
    assert not [old for old in RENAMED for face in faces if old in face]
