"""init-bench report: a page for every folder, a clear message for what is none."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import init_bench as ib
from tests.cli.in_process import init_bench as cli

RESULTS = Path(__file__).parents[2] / "results"
BOOK = RESULTS / "book"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "run"
    grid = ib.Grid(seed=range(2), width=8, depth=3, batch_size=16, steps=5)
    ib.run(grid, folder, device="cpu", progress=False)
    return folder


@pytest.fixture
def copied(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "run"))


def test_a_folder_of_runs_gets_its_page(copied: Path, tmp_path: Path) -> None:
    done = cli("report", "run", cwd=tmp_path)
    assert done.returncode == 0 and "wrote run/report.html" in done.stderr
    assert "Training from he_normal" in (copied / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not BOOK.is_dir(), reason="the book's results are not here")
def test_the_page_of_the_book_holds_its_claims_and_histograms(tmp_path: Path) -> None:
    done = cli("report", str(BOOK), "--out", "book.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "book.html").read_text()
    assert "claims hold" in page and "Activation histograms" in page
    assert len(page) < 8_000_000


@pytest.mark.slow
def test_the_page_of_a_comparison_holds_its_verdict(tmp_path: Path) -> None:
    shape = ("--width", "8", "--depth", "3", "--steps", "3", "--seeds", "2")
    first = cli("compare", "he_normal", "lecun_normal", "--out", "run", *shape, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    written = (tmp_path / "run" / "report.html").read_text()
    assert "he_normal vs lecun_normal" in written and "All numbers" in written
    assert cli("report", "run", cwd=tmp_path).returncode == 0
    again = (tmp_path / "run" / "report.html").read_text()
    answer = written.partition('class="answer">')[2].partition("</p>")[0]
    assert answer and answer in again


@pytest.mark.slow
def test_the_page_of_a_comparison_leaves_out_other_runs_of_the_folder(tmp_path: Path) -> None:
    pair = ("he_normal", "lecun_normal")
    options: dict[str, Any] = {"out": tmp_path, "seeds": 2, "width": 8, "depth": 3}
    for steps in (3, 6):
        ib.compare(*pair, **options, steps=steps, device="cpu", progress=False)
    assert len(ib.load(tmp_path).cells) == 8
    assert cli("report", str(tmp_path), cwd=tmp_path).returncode == 0
    page = (tmp_path / "report.html").read_text()
    assert "steps 6" in page and "<dd>4, of which 0 diverged</dd>" in page


@pytest.mark.skipif(not (RESULTS / "bench").is_dir(), reason="the benchmark's results are not here")
def test_the_page_of_the_benchmark_says_what_to_use_and_holds_each_task(tmp_path: Path) -> None:
    done = cli("report", str(RESULTS / "bench"), "--out", "bench.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "bench.html").read_text()
    summary = pd.read_parquet(RESULTS / "bench" / "summary.parquet")
    answer = page.partition('class="answer">')[2].partition("</p>")[0]
    for row in summary.to_dict("records"):
        assert f'<section id="{row["task"]}"' in page
        assert (f"use {row['use']}" in answer) == (row["verdict"] == "best alone")
    assert "init-bench bench --device cpu" in page and len(page) < 8_000_000


@pytest.mark.skipif(not (RESULTS / "papers").is_dir(), reason="the papers' results are not here")
def test_the_page_of_a_paper_holds_its_claims_and_figures(tmp_path: Path) -> None:
    folder = tmp_path / "of_mine"
    shutil.copytree(RESULTS / "papers" / "he2015", folder)
    assert cli("report", "of_mine", cwd=tmp_path).returncode == 0
    page = (folder / "report.html").read_text()
    claims = pd.read_parquet(folder / "claims.parquet")
    assert page.count('class="verdict"') == len(claims)
    assert "Delving deep into rectifiers" in page and "data:image/png" in page
    (folder / "README.md").unlink()
    done = cli("report", "of_mine", cwd=tmp_path)
    assert done.returncode == 2 and "not which: its README.md is gone" in done.stderr


@pytest.mark.skipif(not (RESULTS / "papers").is_dir(), reason="the papers' results are not here")
def test_a_folder_of_papers_gets_one_page_with_the_claims_of_all(tmp_path: Path) -> None:
    names = ("lu2019", "he2015")
    for name in names:
        shutil.copytree(RESULTS / "papers" / name, tmp_path / "papers" / name)
    assert cli("report", "papers", cwd=tmp_path).returncode == 0
    page = (tmp_path / "papers" / "report.html").read_text()
    claims = pd.concat(pd.read_parquet(tmp_path / "papers" / n / "claims.parquet") for n in names)
    held = int((claims["verdict"] == "holds").sum())
    answer = page.partition('class="answer">')[2].partition("</p>")[0]
    assert answer.startswith(f"{held} of {len(claims)} claims hold")
    table = page.partition('id="claims"')[2].partition("</table>")[0]
    assert table.count("<tr>") == 1 + len(claims)
    assert table.index("does not hold</td>") < table.index("holds</td>")
    assert page.index('<section id="he2015"') < page.index('<section id="lu2019"')
    pictures = len(list(tmp_path.glob("papers/*/figures/*.png")))
    assert page.count('src="data:image/png') == pictures > 1
    assert page.count("init-bench paper") == 2 and len(page) < 8_000_000


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        done = cli("report", folder, cwd=tmp_path)
        said = {"empty": "empty holds no run", "missing": "there is no folder missing"}[folder]
        assert done.returncode == 2 and said in done.stderr


def test_a_file_that_is_cut_off_is_named(copied: Path, tmp_path: Path) -> None:
    path = min((copied / "curves").iterdir())
    path.write_bytes(path.read_bytes()[:50])
    done = cli("report", "run", cwd=tmp_path)
    assert done.returncode == 2 and f"curves/{path.name}" in done.stderr


def test_a_chunk_that_is_not_written_to_the_end_is_left_out(copied: Path, tmp_path: Path) -> None:
    for path in (copied / "checksums").glob("*.json"):
        path.unlink()
    done = cli("report", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert "0 of 2 cells are done" in (copied / "report.html").read_text()


def test_tables_of_a_newer_version_are_refused(copied: Path, tmp_path: Path) -> None:
    (path,) = (copied / "claims.parquet",)
    pq.write_table(pa.table({"a_column_of_the_future": [1]}), path)
    done = cli("report", "run", cwd=tmp_path)
    assert done.returncode == 2 and "newer version" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_place_that_cannot_be_written_is_named(copied: Path, tmp_path: Path) -> None:
    done = cli("report", "run", "--out", "no/such/place.html", cwd=tmp_path)
    assert done.returncode == 2 and "no/such/place.html" in done.stderr
