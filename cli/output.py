"""Table or JSON, decided once: data goes to standard output, talk to standard error."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from cli.harmless import harmless, json_safe, one_line


def show(document: Any, lines: Callable[[], Iterable[str]], *, as_json: bool) -> None:
    """Print the data: `document` as JSON, or the lines for people."""
    if as_json:
        plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        say(json_safe(json.dumps(document, indent=2, ensure_ascii=plain)))
        return
    for line in lines():
        say(line)


def say(line: str) -> None:
    """A line of data, which is harmless already."""
    click.echo(line, color=_coloured(sys.stdout))


def talk(sentence: str) -> None:
    """A line about what happens, for people."""
    click.echo(harmless(sentence), err=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], styles: dict[str, str]) -> list[str]:
    """Columns wide enough for what is in them; on a terminal, a last column that is too long is cut.

    `styles` gives cells with these texts a colour.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    if sys.stdout.isatty():
        before = sum(widths[:-1]) + 2 * len(widths[:-1])
        from shutil import get_terminal_size  # noqa: PLC0415  (it brings every kind of archive)

        widths[-1] = min(widths[-1], max(10, get_terminal_size().columns - before))
    return [
        click.style(_row(headings, widths, {}), bold=True),
        *(_row(row, widths, styles) for row in cells),
    ]


def _row(cells: Sequence[str], widths: Sequence[int], styles: dict[str, str]) -> str:
    padded = [_cut(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=True)]
    padded[-1] = padded[-1].rstrip()
    return "  ".join(
        click.style(text, fg=styles[cell]) if cell in styles else text
        for cell, text in zip(cells, padded, strict=True)
    ).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _coloured(stream: Any) -> bool:
    """Colour is for a terminal, and for people who want it (no-color.org)."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
