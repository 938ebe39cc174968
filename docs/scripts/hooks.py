"""Add to the site what lies beside docs/: benchmarks, results, notebooks, and the gallery."""

import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

BESIDE = (
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "results/**/README.md",
    "results/**/figures/*.png",
    "LICENSE*",
)
"""What pages of docs/ link to or show; on the site it lies at the same path."""


def on_files(files: Files, config: Any) -> Files:
    """Add the files beside docs/, a page for each notebook, and the gallery with its figures."""
    for pattern in BESIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for name, page in notebook_pages().items():
        files.append(File.generated(config, f"notebooks/{name}", content=page))
    for name, content in gallery_files().items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links out of docs/ lead to the same files on the site."""
    inside = page.file.generated_by is None
    return markdown.replace("](../", "](") if inside and "/" not in page.file.src_uri else markdown


def notebook_pages() -> dict[str, str]:
    """Return a page for each notebook, and one that lists them."""
    pages, lines = {}, ["# Notebooks", ""]
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        title = "".join(cells[0]["source"]).partition("\n")[0].lstrip("# ")
        link = f"[Download the notebook]({path.name}), or read it here without its output."
        first, *rest = (_cell_text(cell) for cell in cells)
        pages[f"{path.stem}.md"] = "\n\n".join([first, link, *rest]) + "\n"
        lines.append(f"- [{title}]({path.stem}.md)")
    return {"index.md": "\n".join([*lines, ""]), **pages}


def _cell_text(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    return source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"


def gallery_files() -> dict[str, str | bytes]:
    """Return the gallery: a page with the code of each figure, and the figures."""
    sys.path.insert(0, str(HERE))
    import gallery

    from init_bench.figures.export import images_of

    files: dict[str, str | bytes] = {}
    page = [
        "# Gallery",
        "",
        "Every figure below was drawn by the code under it when this site was built.",
        "",
    ]
    for draw in gallery.FIGURES:
        name = draw.__name__
        files[f"gallery/{name}.png"] = images_of(draw(), name)[f"{name}.png"]
        caption = (draw.__doc__ or "").strip()
        body = inspect.getsource(draw).partition('"""\n')[2]
        code = textwrap.indent(textwrap.dedent(body), "    ").rstrip()
        page += [f"## {caption.partition('.')[0]}", "", f"![{caption}](gallery/{name}.png)", ""]
        page += ['??? note "Code"', "    ```python", code, "    ```", ""]
    return {"gallery.md": "\n".join(page), **files}
