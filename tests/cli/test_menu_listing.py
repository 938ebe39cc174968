"""What a user reads of the menu, letter by letter. ``pytest --rewrite-golden`` writes it anew."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from init_bench.cli.menu_listing import FAMILIES, MENUS
from init_bench.init import menu_rows
from init_bench.init.plugins import GROUP
from tests.cli.in_process import init_bench

TREE = Path(__file__).parents[2]
LISTED = TREE / "tests" / "golden" / "list_inits.txt"
VERDICTS = TREE / "docs" / "verdicts.md"
START, END = (
    "<!-- verdicts: written by `pytest tests/cli/test_menu_listing.py --rewrite-golden` -->\n",
    "<!-- end of verdicts -->\n",
)
DOCUMENTED = TREE / "docs" / "initializers.md"

pytestmark = pytest.mark.skipif(bool(entry_points(group=GROUP)), reason="plug-ins are listed too")


def listed(monkeypatch: pytest.MonkeyPatch, columns: str) -> str:
    """Return what ``init-bench list inits`` prints on a terminal of this width."""
    monkeypatch.setenv("COLUMNS", columns)
    return init_bench("list", "inits", cwd=TREE).stdout


def agrees(path: Path, text: str, rewrite: bool) -> bool:
    """Compare ``text`` with what ``path`` holds, or write it there."""
    if rewrite:
        path.write_text(text)
    return path.read_text() == text


def test_list_inits_prints_what_it_did(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, rewrite = listed(monkeypatch, ""), request.config.getoption("--rewrite-golden")
    assert agrees(LISTED, text, rewrite), "if it should differ: pytest --rewrite-golden"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_list_is_as_wide_as_the_terminal_and_says_the_same(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = listed(monkeypatch, str(columns))
    longest = max(len(word) for word in text.split())
    assert columns / 2 < max(map(len, text.splitlines())) <= max(columns, longest + 4)
    assert text.split() == LISTED.read_text().split()


def documented() -> str:
    """Return the page of the docs that holds the whole menu."""
    columns = ("name", "needs", "formula", "source")
    rows = [[row[column].replace("|", r"\|") for column in columns] for row in menu_rows()]
    lines = [f"| {' | '.join(cells)} |" for cells in [columns, ["---"] * 4, *rows]]
    return "\n".join(["# Initializers", "", *lines, ""])


def test_the_table_in_the_docs_is_the_menu(request: pytest.FixtureRequest) -> None:
    rewrite = request.config.getoption("--rewrite-golden")
    assert agrees(DOCUMENTED, documented(), rewrite), "if it should differ: pytest --rewrite-golden"


def verdicts() -> str:
    """Return the docs' table of verdicts."""
    columns = ("verdict", "meaning", "bad if the value is", "value", "what to do")
    rows = [
        (
            f"`{row['verdict']}`" + " (*watch*)" * (row["severity"] == "watch"),
            *(
                row[column].replace("|", r"\|")
                for column in ("meaning", "limit", "quantity", "fix")
            ),
        )
        for row in MENUS["verdicts"].rows()
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in [columns, ["---"] * len(columns), *rows]]
    return "\n".join([*lines, ""])


def test_the_table_of_verdicts_is_that_of_the_rules(request: pytest.FixtureRequest) -> None:
    before, _, rest = VERDICTS.read_text().partition(START)
    after = rest.partition(END)[2]
    page = f"{before}{START}{verdicts()}{END}{after}"
    rewrite = request.config.getoption("--rewrite-golden")
    assert agrees(VERDICTS, page, rewrite), "if it should differ: pytest --rewrite-golden"


def test_a_list_shows_no_mark_of_a_docstring_and_each_family_once() -> None:
    text = LISTED.read_text()
    assert "`" not in text
    headings = [line for line in text.splitlines() if line.endswith(":")]
    assert len(headings) == len(FAMILIES) and [*FAMILIES.values()] == headings
