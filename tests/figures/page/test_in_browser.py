"""Pages in a real browser: no error, no request, no sideways scrolling; the controls work."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import init_bench as ib
from init_bench.cli.report_verb import write_report
from init_bench.figures.page import Page, histograms_section, render
from init_bench.theory import expected_of_runs

WIDTHS, HEIGHT = (360, 900, 1600), 800

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium"
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def run_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of which some cells diverged."""
    folder = tmp_path_factory.mktemp("run")
    grid = ib.Grid(
        init=["he_normal", "zeros"],
        activation=["relu", "tanh"],
        lr=[0.01, 1e38],
        seed=range(2),
        width=8,
        depth=3,
        batch_size=16,
        steps=20,
    )
    results = ib.run(grid, folder / "run", device="cpu", progress=False)
    results.save(folder, expected=expected_of_runs(results.layers, results.axes))
    return folder / "report.html"


@pytest.fixture(scope="module")
def diagnosis_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = ib.models.mlp(8, 4, 8, 20, "relu")
    ib.initialize(model, "normal(std=0.01)", seed=0)
    targets = torch.arange(16) % 4
    found = ib.diagnose(
        model,
        torch.randn(16, 8),
        targets,
        capture_at=(0, 2),
        optimizer=lambda chosen: torch.optim.SGD(chosen.parameters(), lr=0.1),
    )
    path = tmp_path_factory.mktemp("diagnosis") / "page.html"
    path.write_text(found.report())
    return path


RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def bench(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> "Opened":
    return Opened(browser, _stored_page(RESULTS / "bench", tmp_path_factory))


@pytest.fixture(scope="module")
def paper(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> "Opened":
    return Opened(browser, _stored_page(RESULTS / "papers" / "he2015", tmp_path_factory))


@pytest.fixture(scope="module")
def papers(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> "Opened":
    return Opened(browser, _stored_page(RESULTS / "papers", tmp_path_factory))


def _stored_page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of committed results."""
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    return write_report(folder, tmp_path_factory.mktemp("stored") / "report.html")


class Opened:
    """A page in the browser, with what went wrong."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.wrong: list[str] = []
        self.page = browser.new_page(viewport={"width": WIDTHS[1], "height": HEIGHT})
        self.page.on("console", lambda said: self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda sent: self.wrong.append(sent.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn]", state="attached", timeout=120_000)
        self.wrong.remove(path.as_uri())

    def words(self, section: str) -> str:
        """Return what a screen reader says of a figure."""
        found: str = self.page.get_attribute(f"#{section} .plot", "aria-label")
        return found


@pytest.fixture(scope="module")
def run(browser: Any, run_page: Path) -> Opened:
    """The run's page, opened once: each test looks at a section of its own."""
    return Opened(browser, run_page)


@pytest.fixture(scope="module")
def diagnosis(browser: Any, diagnosis_page: Path) -> Opened:
    return Opened(browser, diagnosis_page)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["run", "diagnosis", "bench", "paper", "papers"])
def test_no_width_scrolls_sideways_and_nothing_goes_wrong(
    kind: str, request: pytest.FixtureRequest
) -> None:
    found: Opened = request.getfixturevalue(kind)
    for width in (*WIDTHS[::2], WIDTHS[1]):
        found.page.set_viewport_size({"width": width, "height": HEIGHT})
        widths = "[document.documentElement.scrollWidth, innerWidth]"
        for _ in range(50):  # figures are drawn anew a little later
            found.page.wait_for_timeout(100)
            scrolled, visible = found.page.evaluate(widths)
            if scrolled <= visible:
                break
        assert scrolled <= visible == width
    assert found.wrong == []


def test_a_page_without_script_scrolls_its_table_and_not_itself(
    browser: Any, tmp_path: Path
) -> None:
    model = torch.nn.Sequential(torch.nn.TransformerEncoderLayer(8, 2, 8))
    paths = ib.audit(model).save(tmp_path)
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": HEIGHT})
    page.goto(next(path for path in paths if path.suffix == ".html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[0]
    assert page.evaluate("[...document.images, ...document.querySelectorAll('svg')].length") == 1
    page.close()


@pytest.mark.slow
def test_choices_change_what_is_drawn(run: Opened) -> None:
    found = run
    before = found.words("loss-curves")
    assert "2 lines" in before and "he_normal" in before
    found.page.uncheck("#loss-curves fieldset input >> nth=1")
    assert "1 lines" in found.words("loss-curves")
    for label in ("log loss", "log steps", "band"):
        found.page.locator("#loss-curves").get_by_label(label).click()
    found.page.locator("#loss-curves").get_by_label("activation", exact=True).select_option(
        label="all"
    )
    assert "2 lines" in found.words("loss-curves")
    step = found.page.locator("#signal-and-gradient-over-depth input[type=range]")
    step.focus()
    step.press("End")
    assert "Step 20" in found.words("signal-and-gradient-over-depth")
    assert found.wrong == []


def test_runs_that_diverged_do_not_press_the_others_to_the_ground(run: Opened) -> None:
    section = run.page.locator("#loss-curves")
    section.get_by_label("log loss").uncheck()
    section.get_by_label("lr", exact=True).select_option(label="all")
    top = "(plot) => plot._fullLayout.yaxis.range[1]"
    assert section.locator(".plot").evaluate(top) < 10
    assert "The axis leaves out" in section.locator(".remark").inner_text()
    section.get_by_label("lr", exact=True).select_option(label="0.01")
    assert "The axis" not in section.locator(".remark").inner_text()


def test_histograms_are_followed_over_captured_steps(run: Opened) -> None:
    section = run.page.locator("#histograms-during-training")
    assert "at step 0" in run.words("histograms-during-training")
    before = run.words("histograms-during-training")
    section.locator("input[type=range]").focus()
    section.locator("input[type=range]").press("ArrowRight")
    after = run.words("histograms-during-training")
    assert "at step 20" in after and after != before.replace("step 0", "step 20")
    bars = "(plot) => plot.data.map((trace) => trace.y.reduce((a, b) => a + b))"
    assert section.locator(".plot").evaluate(bars) == pytest.approx([1.0, 1.0], abs=0.01)
    section.get_by_label("values").select_option(label="pre-activations")
    assert "fc3" in run.words("histograms-during-training")
    section.get_by_label("same x axis").uncheck()
    assert "sample_std" in section.inner_text() and "signal" not in section.inner_text()
    assert run.wrong == []


def test_what_diverged_is_marked_on_the_heat_map(run: Opened) -> None:
    found = run
    heat_map = found.page.locator("#heat-map")
    heat_map.get_by_label("lr", exact=True).select_option(label="1e+38")
    assert "with diverged runs" in found.words("heat-map")
    assert "✕" in heat_map.locator(".plot").inner_text()
    heat_map.get_by_label("show", exact=True).select_option(label="test accuracy")
    assert "test accuracy" in found.words("heat-map")


def test_the_benchmark_compares_tasks_by_their_lowest_loss(bench: Opened) -> None:
    assert "loss over the lowest of the task" in bench.words("heat-map")
    bench.page.locator("#heat-map").get_by_label("show").select_option(label="test accuracy")
    assert "test accuracy" in bench.words("heat-map")
    drawn = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
    assert bench.page.evaluate(drawn) and bench.page.locator(".image img").count() > 1


def test_a_narrow_heat_map_has_its_color_bar_below(bench: Opened) -> None:
    orientation = "(plot) => plot.data[0].colorbar.orientation"
    plot = bench.page.locator("#heat-map .plot")
    assert plot.evaluate(orientation) != "h"
    bench.page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    bench.page.wait_for_selector("#heat-map .plot[data-size=narrow]")
    assert plot.evaluate(orientation) == "h"
    bench.page.set_viewport_size({"width": WIDTHS[1], "height": HEIGHT})


def test_intervals_are_sorted_by_their_value(bench: Opened) -> None:
    table = bench.page.locator("#siren")
    table.get_by_role("button", name="loss at the end").click()
    texts = table.locator("tbody td:nth-child(3)").all_inner_texts()
    values = [float(text.partition(" [")[0]) for text in texts]
    assert values == sorted(values) and all("]" in text for text in texts)


def test_claims_that_hold_can_be_hidden(paper: Opened) -> None:
    listed = paper.page.locator("#claims li:not([hidden])")
    every = listed.count()
    paper.page.get_by_label("that do not").check()
    assert 0 < listed.count() < every
    assert paper.page.locator("#claims li.holds:not([hidden])").count() == 0


@pytest.mark.slow
def test_the_claims_of_all_papers_are_filtered(papers: Opened) -> None:
    table = papers.page.locator("#claims")
    rows = table.locator("tbody tr:not([hidden])")
    every = rows.count()
    table.get_by_label("Filter").fill("he2015")
    assert 0 < rows.count() < every
    assert set(table.locator("tbody tr:not([hidden]) td:first-child").all_inner_texts()) == {
        "he2015"
    }


@pytest.mark.slow
@pytest.mark.parametrize("way", ["address", "scrolled"])
def test_what_is_in_view_is_drawn_before_what_is_above(
    browser: Any, run_page: Path, way: str
) -> None:
    lower = "activations-during-training"  # the fourth figure
    page = browser.new_page(viewport={"width": WIDTHS[1], "height": HEIGHT})
    page.add_init_script(
        """window.order = [];
        new MutationObserver((changes) => {
          for (const { target } of changes) order.push(target.closest("section").id);
        }).observe(document, { subtree: true, attributeFilter: ["data-size"] });"""
    )
    if way == "scrolled":
        scroll = f"document.getElementById('{lower}').scrollIntoView({{ behavior: 'instant' }})"
        page.add_init_script(f"addEventListener('DOMContentLoaded', () => {scroll});")
    page.goto(run_page.as_uri() + f"#{lower}" * (way == "address"))
    page.wait_for_selector("html[data-drawn]", state="attached", timeout=120_000)
    drawn = list(dict.fromkeys(page.evaluate("order")))
    page.close()
    assert drawn.index(lower) <= (0 if way == "address" else 2)
    assert {"loss-curves", "heat-map"} <= set(drawn)


def test_a_table_is_sorted_filtered_and_downloaded(run: Opened) -> None:
    found = run
    table = found.page.locator("#every-run")
    cells = table.locator("tbody tr:not([hidden]) td:first-child")
    table.get_by_role("button", name="init").click()
    up = cells.all_inner_texts()
    table.get_by_role("button", name="init").click()
    assert up == sorted(up) and cells.all_inner_texts() == up[::-1]
    assert table.locator("th[aria-sort=descending]").count() == 1
    table.get_by_label("Filter").fill("zeros relu")
    assert set(cells.all_inner_texts()) == {"zeros"}
    assert "4 of 16 rows" in table.locator("output").inner_text()
    with found.page.expect_download() as download:
        table.get_by_role("button", name="Download CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    columns = "init,activation,lr,seed,status,final_loss,test_accuracy,train_seconds"
    assert lines[0] == columns and len(lines) == 5


def test_the_toolbar_of_a_figure_covers_its_title_only_while_it_is_used(
    browser: Any, run_page: Path
) -> None:
    touch = browser.new_page(viewport={"width": WIDTHS[0], "height": HEIGHT}, has_touch=True)
    touch.goto(run_page.as_uri())
    plot = touch.locator("#loss-curves .plot")
    toolbar = plot.locator(".modebar-container")
    assert toolbar.evaluate("(bar) => getComputedStyle(bar).opacity") == "0"
    plot.hover()
    assert toolbar.evaluate("(bar) => getComputedStyle(bar).opacity") == "1"
    touch.close()


def test_the_theme_follows_the_system_and_the_button(run: Opened) -> None:
    found = run
    ground = "getComputedStyle(document.body).backgroundColor"
    light = found.page.evaluate(ground)
    found.page.emulate_media(color_scheme="dark")
    dark = found.page.evaluate(ground)
    found.page.get_by_role("button", name="Switch to light colors").click()
    assert found.page.evaluate(ground) == light != dark
    assert found.wrong == []


def test_a_print_names_the_step_and_the_choices_that_are_on(run: Opened) -> None:
    run.page.locator("#loss-curves").get_by_label("log steps").uncheck()
    run.page.emulate_media(media="print")
    assert run.page.locator("#loss-curves").get_by_text("log steps").is_hidden()
    spread = run.page.locator("#activations-during-training")
    assert spread.get_by_text("step 20", exact=True).is_visible()
    run.page.emulate_media(media="screen")


def test_every_control_has_a_name_and_every_figure_words(run: Opened) -> None:
    found = run
    unnamed = """[...document.querySelectorAll("select, input, button")]
        .filter((e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).length"""
    assert found.page.evaluate(unnamed) == 0
    assert all(
        found.words(name) for name in ("loss-curves", "heat-map", "activations-during-training")
    )


@pytest.mark.slow
def test_the_diagnosis_names_the_layer_that_is_pointed_at(diagnosis: Opened) -> None:
    found = diagnosis
    assert "Scales of 39 layers at step 0" in found.words("scale-of-every-layer")
    said = found.page.evaluate(
        "document.querySelector('.plot').data.find((t) => t.customdata).customdata[0]"
    )
    assert "fc1" in said and "gradient RMS" in said and "sample_std" in said
    slider = found.page.locator("#scale-of-every-layer input[type=range]")
    slider.focus()
    slider.press("End")
    assert "at step 2" in found.words("scale-of-every-layer")


@pytest.mark.slow
def test_without_javascript_the_answer_and_a_picture_are_there(
    browser: Any, run_page: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(run_page.as_uri())
    assert page.locator("noscript svg, noscript + svg, section svg").count() >= 1
    assert "lowest loss" in page.locator(".answer").inner_text()
    assert page.locator("#every-run tbody tr").count() == 16
    context.close()


def test_layers_of_the_same_bins_have_the_same_axis(browser: Any, tmp_path: Path) -> None:
    middle = [0.0] * 10
    middle[4:6] = [0.5, 0.5]
    bins = pd.DataFrame({"centre": [(i + 0.5) / 10 for i in range(10)], "width": 0.1})
    layers = [bins.assign(layer=1, share=0.1), bins.assign(layer=2, share=middle)]
    frame = pd.concat(layers).assign(init="he_normal", std=0.1, sample_std=0.1)
    section = histograms_section(frame, ["init"], lead="")
    path = tmp_path / "page.html"
    path.write_text(render(Page(title="", answer="", sections=[section])))
    plot = Opened(browser, path).page.locator(".plot")
    ranges = plot.evaluate("(plot) => [plot.layout.xaxis.range, plot.layout.xaxis2.range]")
    assert ranges[0] == ranges[1] == pytest.approx([-0.03, 1.03])
