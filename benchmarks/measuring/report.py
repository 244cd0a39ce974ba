"""What a benchmark hands over: tables, charts, and the figures that the aims are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measuring.spread import Spread

Cell = str | Spread | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a heading; None is what was not measured."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def markdown(self) -> str:
        head = [f"### {self.heading}", ""] if self.heading else []
        lines = [_row(self.columns), _row(["---"] * len(self.columns)), *map(_row, self.rows)]
        return "\n".join([*head, *([self.note, ""] if self.note else []), *lines, ""])


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars in groups, with their spread."""

    name: str
    title: str
    unit: str
    groups: Sequence[str]
    bars: Mapping[str, Sequence[Spread | None]]
    """By what they are of, one for each group."""
    logarithmic: bool = False

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Report:
    """All of one benchmark."""

    title: str
    how: str
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)
    """For the aims: each is one figure, or several that all have to meet it."""
    left_out: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        parts = [f"## {self.title}", "", self.how.strip(), ""]
        for table in self.tables:
            parts += [table.markdown()]
        if self.left_out:
            parts += ["Left out: " + "; ".join(dict.fromkeys(self.left_out)) + ".", ""]
        parts += [f"![{chart.title}]({chart.name}.png)\n" for chart in self.charts]
        return "\n".join(parts)


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join("not measured" if cell is None else str(cell) for cell in cells) + " |"
