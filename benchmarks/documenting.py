"""Put the tables of a run into docs/performance.md, between the two marks, and its charts beside the page."""

import re
import shutil
from pathlib import Path

BEGIN = "<!-- from here on written by `make bench ARGS=--document` -->"
END = "<!-- until here -->"


def document(folder: Path, page: Path) -> None:
    """`folder` is that of the results."""
    charts = page.with_suffix("")
    charts.mkdir(exist_ok=True)
    for old in charts.glob("*.png"):
        old.unlink()
    for chart in folder.glob("*.png"):
        shutil.copy(chart, charts)
    page.write_text(replaced(page.read_text(), (folder / "table.md").read_text(), charts.name))


def replaced(page: str, tables: str, charts: str) -> str:
    """The page with these tables in it, headings one level down, their charts in the folder `charts`."""
    lowered = re.sub(r"^#", "##", tables, flags=re.MULTILINE)
    placed = re.sub(r"(!\[[^]]*\]\()", rf"\g<1>{charts}/", lowered)
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the figures: {BEGIN} and {END} are missing")
    return f"{before}{begin}\n\n{placed.strip()}\n\n{end}{after}"
