"""The comparison as a whole: verdicts, files, resuming, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

import init_bench as ib
from init_bench.comparison.page import report as page_of
from init_bench.comparison.pair_verdicts import COLUMNS
from init_bench.errors import InitBenchError

SMALL: dict[str, Any] = {"width": 16, "depth": 3, "batch_size": 16, "steps": 60}
QUIET: dict[str, Any] = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare") / "run"


@pytest.fixture(scope="module")
def differing(folder: Path) -> ib.Comparison:
    """A pair that differs in draws and training, its run kept in ``folder``."""
    return ib.compare("he_normal", "normal(std=0.01)", out=folder, **SMALL, **QUIET)


@pytest.mark.slow
def test_he_and_torchs_kaiming_are_the_same_bits() -> None:
    found = ib.compare("he_normal", **SMALL, **QUIET, seeds=2)
    assert found.verdicts == {"he_normal vs torch.kaiming_normal": "the same bits"}
    assert found.folder is None and found.failures == ()


@pytest.mark.slow
def test_a_pair_that_differs_says_in_what(differing: ib.Comparison) -> None:
    (verdict,) = differing.verdicts.values()
    assert verdict.startswith("differs: he_normal trains better: final loss lower by ")
    assert "mean loss lower by" in verdict
    assert "weights of he_normal have " in verdict


def test_every_question_is_answered_with_numbers(differing: ib.Comparison) -> None:
    table = differing.table
    assert tuple(table.columns) == COLUMNS
    assert set(table["question"]) == {"distribution", "training", "speed"}
    assert (table["p_holm"].dropna() >= table["p"].dropna()).all()
    inside = table.dropna(subset=["value", "ci_low", "ci_high"])
    assert (inside["ci_low"] <= inside["value"]).all()
    assert (inside["value"] <= inside["ci_high"]).all()


def test_the_folder_holds_runs_table_and_figure(folder: Path, differing: ib.Comparison) -> None:
    assert differing.folder == folder
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "comparison.parquet"), differing.table)
    assert (folder / "figures" / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "figures" / "compare.svg").read_text()
    assert len(ib.load(folder).cells) == 20


@pytest.mark.slow
def test_a_second_call_trains_nothing_and_finds_the_same(
    folder: Path, differing: ib.Comparison
) -> None:
    stored = {p: p.stat().st_mtime_ns for p in (folder / "cells").iterdir()}
    again = ib.compare("he_normal", "normal(std=0.01)", out=folder, **SMALL, **QUIET)
    assert stored == {p: p.stat().st_mtime_ns for p in (folder / "cells").iterdir()}
    found, before = (f[f["question"] != "speed"] for f in (again.table, differing.table))
    pd.testing.assert_frame_equal(found, before)


@pytest.mark.slow
def test_more_names_go_on_in_the_same_folder(folder: Path, differing: ib.Comparison) -> None:
    more = ib.compare("he_normal", "normal(std=0.01)", "zeros", out=folder, **SMALL, **QUIET)
    assert len(more.verdicts) == 3
    assert len(ib.load(folder).cells) == 30


@pytest.mark.slow
def test_every_initializer_of_ours_draws_as_torchs_counterpart() -> None:
    found = ib.compare(**{**SMALL, "steps": 5}, **QUIET, seeds=2)
    assert set(found.verdicts.values()) == {"the same bits"}
    assert "variance_scaling" in found.left_out
    assert "Without a counterpart in torch.nn.init: " in str(found)
    assert isinstance(found.figure(), Figure)


@pytest.mark.slow
def test_the_global_stream_does_not_move() -> None:
    before = torch.get_rng_state()
    ib.compare(
        "torch.default", "torch.sparse(sparsity=0.5)", **{**SMALL, "steps": 5}, **QUIET, seeds=1
    )
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_it_reads_in_a_terminal_and_in_a_notebook(differing: ib.Comparison) -> None:
    text, html = str(differing), differing._repr_html_()
    assert text.startswith(
        "he_normal vs normal(std=0.01): he_normal trains better: final loss lower"
    )
    for words in ("mnist mlp", "60 steps", "seeds 0 to 9", "KS distance:", "p_holm:", "95 %"):
        assert words in text
    assert all(f"  {line}" in text for line in ("draws ", "training  final loss", "speed "))
    assert html.startswith("<table") and "<svg" in html and "<script" not in html


@pytest.mark.slow
def test_a_name_is_no_markup_in_a_notebook(differing: ib.Comparison) -> None:
    spec = "variance_scaling(distribution='normal')"
    found = ib.compare(spec, "he_normal", **SMALL, **QUIET, seeds=1)
    assert spec.replace("'", "&#x27;") in found._repr_html_()


def test_the_summary_says_who_is_better_and_nothing_else(differing: ib.Comparison) -> None:
    assert str(differing).replace("\n    ", " ").startswith(differing.summary + "\n")
    assert "trains better" in differing.summary and "\n" not in differing.summary


@pytest.mark.slow
def test_a_saved_comparison_is_table_figure_page_and_json(
    tmp_path: Path, differing: ib.Comparison
) -> None:
    paths = differing.save(tmp_path / "new" / "folder")
    images, page = ["compare.png", "compare.svg", "comparison.png"], "comparison.html"
    names = [
        "comparison.parquet",
        "comparison_runs.parquet",
        *images,
        page,
        "comparison.json",
        "report.html",
    ]
    assert [path.name for path in paths] == names
    assert next(iter(differing.verdicts.values())) in paths[5].read_text("utf-8")
    assert paths[6].read_text("utf-8") == differing.to_json()
    pd.testing.assert_frame_equal(pd.read_parquet(paths[0]), differing.table)


def test_each_part_of_the_page_explains_the_words_that_it_shows(differing: ib.Comparison) -> None:
    page = page_of(differing.table, differing.verdicts, pd.DataFrame(), pd.DataFrame(), {})
    verdicts, numbers = page.split('id="all-numbers"')
    assert "[low, high]: interval" in verdicts and "ci_low, ci_high: ends" not in verdicts
    assert "ci_low, ci_high: ends" in numbers and "[low, high]: interval" not in numbers
    assert '<th scope="col" class="number">ci_low</th>' in numbers
    assert "\ntraining: final loss a: " in verdicts


def test_a_difference_is_not_marked_as_a_failure(differing: ib.Comparison) -> None:
    page = page_of(differing.table, differing.verdicts, pd.DataFrame(), pd.DataFrame(), {})
    assert '<li class="differs">' in page


def test_seeds_may_be_named_one_by_one() -> None:
    found = ib.compare("he_normal", "zeros", **SMALL, **QUIET, seeds=[3, 8])
    assert set(found.outcomes["seed"]) == {3, 8}
    assert "seeds 3, 8" in str(found)


def test_json_holds_every_row_and_no_nan(differing: ib.Comparison) -> None:
    rows = json.loads(differing.to_json(), parse_constant=pytest.fail)
    assert len(rows) == len(differing.table)
    assert tuple(rows[0]) == COLUMNS


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (("he_norml",), {}, "did you mean 'he_normal'"),
        (("constant",), {}, "needs value"),
        (("he_normal",), {"seeds": 0}, "seeds must be a count, .* at least 1; got 0"),
        (("he_normal",), {"seeds": 2.5}, "got 2.5"),
        (("he_normal",), {"lr": -1}, "greater than or equal to 0"),
        (("he_normal",), {"activation": "relo"}, "did you mean 'relu'"),
        (("he_normal",), {"device": "gpu"}, "device 'gpu'"),
        (("he_normal",), {"widht": 3}, "did you mean 'width'"),
    ],
)
def test_bad_input_is_told_before_anything_is_written(
    tmp_path: Path, names: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InitBenchError, match=message):
        ib.compare(*names, out=tmp_path / "out", **{**QUIET, **options})
    assert not (tmp_path / "out").exists()


def test_a_folder_of_someone_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InitBenchError, match="holds other files"):
        ib.compare("he_normal", out=tmp_path, **QUIET)
