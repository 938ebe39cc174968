"""Papers: a quick run of each, what is written, bad input; and the stored results."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.reproduction.claim_verdicts import judge
from init_bench.reproduction.papers.experiment import (
    EXPECTED,
    MEASURED,
    Tables,
    experiment_of,
    frames_of,
)
from init_bench.reproduction.papers.fixup2019 import Block, model_at_start, response
from init_bench.reproduction.papers.menu import PAPERS
from init_bench.reproduction.papers.readme import claim_table
from tests.cli.in_process import init_bench
from tests.cli.test_menu_listing import agrees

TREE = Path(__file__).parents[3]
STORED = TREE / "results" / "papers"
PAGE = TREE / "docs" / "papers.md"
KEPT = [name for name in PAPERS if (STORED / name).is_dir()]
"""Papers whose results are committed."""


SMALL = 200_000
"""Bytes of a picture that is committed."""


def test_a_run_writes_tables_figures_and_a_page(tmp_path: Path) -> None:
    found = ib.paper("lu2019", tmp_path / "lu", seeds=[3, 1], quick=True)
    assert [path.name for path in found.figures] == ["dead.png"]
    measured = pd.read_parquet(tmp_path / "lu" / "measured.parquet")
    pd.testing.assert_frame_equal(measured, pd.read_csv(tmp_path / "lu" / "measured.csv"))
    assert set(measured["seed"]) == {1, 3} and set(found.claims["seeds"]) == {2}
    page = (tmp_path / "lu" / "README.md").read_text()
    for words in ("`init-bench paper lu2019 --quick`", "2: 3, 1", found.summary, found.read):
        assert words in page
    assert found.read in str(found) and json.loads(found.to_json())["summary"] == found.summary
    assert {path.name for path in found.save(tmp_path)} >= {"lu2019.png", "lu2019.html"}


def test_a_quick_run_says_on_every_face_that_it_does_not_judge_the_paper(tmp_path: Path) -> None:
    found = ib.paper("lu2019", tmp_path, seeds=[0, 1], quick=True)
    words = "Quick run, no verdict on the paper: "
    assert found.summary.startswith(words) and words in str(found)
    for file in ("README.md", "report.html"):
        assert words in (tmp_path / file).read_text()


def test_the_same_seeds_give_the_same_numbers() -> None:
    experiment = experiment_of("lu2019")
    first, again = (experiment.measure([0, 5], **experiment.quick).measured for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)


QUICK = ["hanin2018", "lu2019", "sitzmann2020", "kedia2024", "saxe2014", "fixup2019"]
"""Those whose quick run is over in about a second; the others' claims are judged as stored."""


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_run_measures_what_each_picture_shows(name: str) -> None:
    experiment = experiment_of(name)
    found = experiment.measure([0, 1], **experiment.quick)
    assert tuple(found.measured.columns) == MEASURED and tuple(found.expected.columns) == EXPECTED
    drawn = {panel.quantity for picture in experiment.pictures.values() for panel in picture.panels}
    assert drawn <= set(found.measured["quantity"])
    assert set(found.measured["seed"]) == {0, 1}


@pytest.mark.parametrize("name", KEPT)
def test_the_stored_verdicts_follow_from_the_stored_tables(name: str) -> None:
    experiment, folder = experiment_of(name), STORED / name
    stored = Tables(*(pd.read_parquet(folder / f"{part}.parquet") for part in Tables._fields))
    judged = judge(experiment.claims, frames_of(stored))
    claims = pd.read_parquet(folder / "claims.parquet")
    pd.testing.assert_frame_equal(judged.drop(columns="steps"), claims)
    assert claim_table(claims) in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", KEPT)
def test_a_paper_says_what_was_read_and_its_pictures_are_small(name: str) -> None:
    experiment = experiment_of(name)
    assert experiment.read and experiment.setting
    assert {claim.figure for claim in experiment.claims} <= set(experiment.pictures)
    assert len({claim.name for claim in experiment.claims}) == len(experiment.claims)
    found = {path.name: path.stat().st_size for path in (STORED / name / "figures").iterdir()}
    assert set(found) == {f"{picture}.png" for picture in experiment.pictures}
    assert max(found.values()) < SMALL


def documented() -> str:
    """Return the page of the docs that lists the claims of all papers with their verdicts."""
    parts = [
        "# Papers, rechecked",
        "`init-bench paper NAME` measures the claims of a paper again, on smaller networks; "
        "`init-bench paper --list` names the papers, `--quick` is a first look that judges "
        "nothing. A claim holds if its whole 95 % interval over seeds lies within the threshold, "
        "does not hold if all of it lies outside, and is undecided otherwise. `init-bench report "
        "results/papers` writes one page of all of them: the claims in a table to filter, and each "
        "paper's figures. The numbers below are those of `results/papers`; this page is written "
        "from them by `pytest tests/reproduction/papers/test_pipeline.py --rewrite-golden`.",
        "All of them, from nothing, took 8 min 40 s on one core of an Intel Xeon (28 November "
        "2026, torch 2.14.1), and every measured number came out as stored, to the last bit.",
    ]
    for name, title in PAPERS.items():
        if name not in KEPT:
            parts += [f"## {name}", f"{title}. No results are stored: `init-bench paper {name}`."]
            continue
        claims, experiment = pd.read_parquet(STORED / name / "claims.parquet"), experiment_of(name)
        left_out = experiment.not_checked and f"Not rechecked: {experiment.not_checked}"
        parts += [f"## {name}", f"{title}. {experiment.setting}"]
        parts += [f"Read of the paper: {experiment.read}", left_out, claim_table(claims)]
        parts += [
            f"Figures and tables: [results/papers/{name}](../results/papers/{name}/README.md)"
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def test_the_page_of_the_docs_is_that_of_the_stored_claims(request: pytest.FixtureRequest) -> None:
    rewrite = request.config.getoption("--rewrite-golden")
    assert agrees(PAGE, documented(), rewrite), "if it should differ: pytest --rewrite-golden"


def test_an_unknown_paper_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match="unknown paper 'he2051': did you mean 'he2015'"):
        ib.paper("he2051", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("he2051",), "did you mean 'he2015'"),
        ((), "name a paper: glorot2010"),
        (("lu2019", "--seeds", "0"), "--seeds must be an integer of at least 1, got 0"),
    ],
)
def test_bad_words_end_with_exit_code_2(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = init_bench("paper", *words, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_list_names_every_paper(tmp_path: Path) -> None:
    done = init_bench("paper", "--list", cwd=tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["name", *PAPERS]


def test_the_command_prints_verdicts(tmp_path: Path) -> None:
    done = init_bench("paper", "lu2019", "--quick", "--seeds", "2", "--json", cwd=tmp_path)
    assert {row["claim"] for row in json.loads(done.stdout)} >= {"exact", "width-helps"}
    assert (tmp_path / "results" / "papers" / "lu2019" / "claims.csv").is_file()


def test_fixups_rules_written_out_are_those_of_the_initializer() -> None:
    ours = model_at_start("fixup", 4, (64, 64, 10), seed=0)
    theirs = nn.Sequential(nn.Linear(64, 64), *(Block(64) for _ in range(4)), nn.Linear(64, 10))
    ib.initialize(theirs, "fixup", seed=0)
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        expected = other.std(correction=0).item()
        assert one.std(correction=0).item() == pytest.approx(expected, rel=0.1), name


def test_the_response_is_that_of_a_small_step() -> None:
    model = model_at_start("he_normal", 2, (6, 8, 3), seed=1).double()
    x, y = torch.randn(5, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), parameters)
    with torch.no_grad():
        before, step = model(x), 1e-6
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.add_(step * gradient)
        moved = float((model(x) - before).square().mean().sqrt()) / step
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.sub_(step * gradient)
    assert response(model, x, y) == pytest.approx(moved, rel=1e-3)
