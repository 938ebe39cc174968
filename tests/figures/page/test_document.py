"""Pages as text: nothing leaves or enters them, names are no markup, large data is thinned."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from init_bench.errors import InitBenchError
from init_bench.figures.page import (
    Image,
    Page,
    Section,
    claims_section,
    curves_section,
    heat_map_section,
    histograms_section,
    list_section,
    render,
    table_section,
    training_histograms_section,
)
from init_bench.figures.page import histograms as page_histograms
from init_bench.figures.page.runs import FEWEST, POINTS, drawn_steps
from init_bench.figures.style import line_of
from init_bench.statistics.histogram import BINS, REACH

RUNS = pd.DataFrame(
    {
        "init": ["he_normal", "zeros"],
        "activation": "relu",
        "cells": 2,
        "diverged": [0, 1],
        "final_loss": [0.5, 2.3],
        "test_accuracy": [0.9, 0.1],
    }
)


def curves_of(cells: list[int]) -> pd.DataFrame:
    """Return a curve per initializer; ``cells`` are the runs behind each step of the second."""
    steps = len(cells)
    frames = [
        pd.DataFrame({"init": "he_normal", "step": range(steps), "cells": 2}),
        pd.DataFrame({"init": "zeros", "step": range(steps), "cells": cells}),
    ]
    return pd.concat(frames).assign(activation="relu", loss=2.3, loss_sd=0.1)


def test_a_page_forbids_requests_and_holds_no_address_to_load_from() -> None:
    page = render(Page(title="A run", answer="It learns.", sections=[list_section([], title="L")]))
    policy = re.search(r'Security-Policy" content="([^"]+)"', page)
    assert policy and policy[1].startswith("default-src 'none'")
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|url\(|@import", page)


def test_names_are_text_and_not_markup() -> None:
    name = "</script><script>alert(1)</script>"
    table = table_section(pd.DataFrame({"init": [name]}), title="Every run")
    runs = RUNS.assign(init=["he_normal", name])
    page = render(Page(title=name, answer=name, sections=[table, heat_map_section(runs, ["init"])]))
    assert "<script>alert" not in page and page.count("&lt;script&gt;alert") >= 3


def test_plotly_is_embedded_once_and_only_where_something_is_drawn() -> None:
    drawn = heat_map_section(RUNS, ["init", "activation"])
    with_figures = render(Page(title="", answer="", sections=[drawn, drawn]))
    without = render(Page(title="", answer=""))
    assert len(without) < 100_000 < len(with_figures) < 2_000_000
    assert with_figures.count("Plotly, Inc.") == 1


def test_a_curve_ends_where_the_first_of_its_runs_diverged() -> None:
    section = curves_section(curves_of([2, 2, 2, 1, 1]), RUNS, ["init"], classes=10)
    assert section.data is not None
    lengths = {line["label"]: len(line["loss"]) for line in section.data["lines"]}
    assert lengths == {"he_normal": 5, "zeros": 3}
    assert "<svg" in section.content["svg"]


def test_few_curves_are_whole_and_many_are_thinned_and_say_so() -> None:
    assert drawn_steps(2000, 20) == list(range(2000))
    many = drawn_steps(2000, 1000)
    assert FEWEST <= len(many) <= POINTS // 1000 + 2 and many[-1] == 1999
    frame = curves_of([2] * 100)
    thinned = curves_section(frame[frame["step"] % 10 == 0], RUNS, ["init"])
    assert "every 10th step" in thinned.lead
    assert "Thinned" not in curves_section(frame, RUNS, ["init"]).lead


def test_the_heat_map_keeps_what_diverged() -> None:
    runs = RUNS.assign(final_loss=[0.5, np.nan], diverged=[0, 2])
    section = heat_map_section(runs, ["init", "activation"])
    assert section.data is not None
    rows = [(row["final_loss"], row["diverged"]) for row in section.data["rows"]]
    assert rows == [(0.5, 0), (None, 2)]
    json.dumps(section.data, allow_nan=False)


def test_claims_are_listed_with_their_numbers_and_counted() -> None:
    claim: dict[str, object] = {
        "figure": "6-15",
        "statement": "He learns",
        "quantity": "loss",
        "note": "",
    }
    claim |= {"value": 0.2, "ci_low": 0.1, "ci_high": 0.3, "seeds": 5, "threshold": "<= 0.5"}
    claims = pd.DataFrame([claim | {"verdict": "holds"}, claim | {"verdict": "does not hold"}])
    page = render(Page(title="", answer="", sections=[claims_section(claims)]))
    assert (
        "all 2" in page and "1 that hold" in page and "0.2 [0.1, 0.3]" in page and "≤ 0.5" in page
    )


def test_histograms_of_several_steps_have_a_slider() -> None:
    bins = pd.DataFrame({"init": "zeros", "layer": 1, "centre": [0.25, 0.75], "width": 0.5})
    both = pd.concat([bins.assign(step=step, share=0.5) for step in (0, 10)])
    section = histograms_section(both, ["init"], lead="")
    assert section.data is not None and section.data["steps"] == [0, 10]
    assert section.data["panels"][0]["layers"][0]["low"] == 0.0


def counted(seeds: int, steps: int, inits: int = 1) -> pd.DataFrame:
    """Return the histograms of two layers of each network, those of seed 1 first."""
    rows = [
        {"init": f"init{i}", "seed": seed, "step": step, "layer": f"act{n}", "index": 2 * n}
        for seed in reversed(range(seeds))
        for i in range(inits)
        for step in range(steps)
        for n in (1, 2)
    ]
    frame = pd.DataFrame(rows).assign(kind="activation", rms=0.5)
    filled = [[30 + seed, *[0] * (BINS - 2), 70] for seed in frame["seed"]]
    return frame.assign(counts=pd.Series([np.array(each) for each in filled], dtype=object))


def drawn(rows: pd.DataFrame) -> Section:
    layers = rows.drop(columns="counts").assign(std=0.4, sample_std=0.3)
    runs = rows[["init"]].drop_duplicates().assign(cells=1, final_loss=0.5)
    return training_histograms_section(rows, layers, runs, ["init"])


def test_histograms_during_training_are_those_of_the_first_seed() -> None:
    data = drawn(counted(seeds=2, steps=3)).data
    assert data is not None and data["steps"] == [0, 1, 2] and len(data["panels"]) == 3
    layer = data["panels"][0]["layers"][1]
    assert (layer["name"], layer["std"], layer["low"]) == ("act2", 0.4, -REACH / 2)
    assert [share * data["unit"] for share in layer["share"]][::40] == pytest.approx([0.3, 0.7])
    assert data["axes"]["values"][-1] == ["activations"]


def test_a_page_holds_the_best_histograms_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = counted(seeds=1, steps=2, inits=5)
    assert "The best" not in drawn(rows).lead
    monkeypatch.setattr(page_histograms, "MOST_HISTOGRAMS", 11)
    thinned = drawn(rows)
    assert "The best 2 of 5 combinations" in thinned.lead
    assert thinned.data is not None and len(thinned.data["panels"]) == 2 * 2


def test_a_layer_without_a_finite_value_is_said_to_have_none() -> None:
    rows = counted(seeds=1, steps=1)
    data = drawn(rows.assign(rms=0.0, counts=rows["counts"] * 0)).data
    assert data is not None and sum(data["panels"][0]["layers"][0]["share"]) == 0


def test_a_table_keeps_full_values_for_sorting_and_says_what_it_leaves_out() -> None:
    table = pd.DataFrame({"loss": [0.123456789], "note": [None]})
    page = render(Page(title="", answer="", sections=[table_section(table, title="T")]))
    assert 'data-value="0.123456789">0.1235<' in page
    long = table_section(pd.DataFrame({"x": range(4000)}), title="T")
    assert "3000 of 4000" in long.lead and len(long.content["rows"]) == 3000


@pytest.mark.parametrize("missing", ["loss", "cells"])
def test_a_missing_column_is_named(missing: str) -> None:
    with pytest.raises(InitBenchError, match=missing):
        curves_section(curves_of([2, 2]).drop(columns=missing), RUNS, ["init"])


def test_an_initializer_has_the_color_of_the_figures() -> None:
    section = curves_section(curves_of([2, 2]), RUNS, ["init"])
    page = render(Page(title="", answer="", sections=[section]))
    assert section.data is not None
    for init, name in zip(["he_normal", "zeros"], section.data["axes"]["colors"], strict=True):
        assert f"--{name}: light-dark({line_of(init)['color']}, " in page


def test_a_caption_that_is_in_the_picture_is_read_and_not_repeated() -> None:
    image = Image(
        words="Figure a",
        data=b"\x89PNG" + bytes(12) + (750).to_bytes(4),
        kind="image/png",
        caption="It falls.",
    )
    section = Section(kind="images", title="Figures", images=[image])
    page = render(Page(title="", answer="", sections=[section]))
    assert page.count("It falls.") == 1 and 'alt="It falls." width="480"' in page
