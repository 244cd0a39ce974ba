"""Draw the charts of a run: `charts.py FOLDER`, in the environment that has matplotlib."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

_OUR_COLOURS = ("#123b5d", "#2f77ac", "#8ab9dc")
_COLOURS = ("#8a8a8a", "#d9a441", "#b5533c", "#6b9a5b", "#8466a0", "#c9c9c9")
_WIDTH = 0.8
"""Of a group of bars, of the distance between two."""

Bars = dict[str, list[dict[str, float] | None]]


def draw(chart: dict[str, Any], file: Path) -> None:
    bars: Bars = chart["bars"]
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    (_one_below_the_other if len(chart["groups"]) == 1 else _in_groups)(axes, chart, bars)
    axes.set_title(chart["title"], fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100, pil_kwargs={"optimize": True})
    plt.close(figure)


def _in_groups(axes: Any, chart: dict[str, Any], bars: Bars) -> None:
    width = _WIDTH / len(bars)
    for place, ((name, spreads), colour) in enumerate(zip(bars.items(), _colours(bars), strict=True)):
        known = [(group, each) for group, each in enumerate(spreads) if each is not None]
        centres = [group + (place - (len(bars) - 1) / 2) * width for group, _ in known]
        middles = [each["median"] for _, each in known]
        axes.bar(
            centres, middles, width * 0.92, label=name, color=colour, yerr=_beside(known), ecolor="black"
        )
    if chart["logarithmic"]:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_xticks(range(len(chart["groups"])), chart["groups"], fontsize="small")
    axes.set_ylabel(chart["unit"])
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="x-small", frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.06))


def _one_below_the_other(axes: Any, chart: dict[str, Any], bars: Bars) -> None:
    known = [(place, each) for place, (each,) in enumerate(bars.values()) if each is not None]
    axes.barh(
        [place for place, _ in known],
        [each["median"] for _, each in known],
        color=[_OUR_COLOURS[0] if _is_ours(name) else _COLOURS[0] for name, (each,) in bars.items() if each],
        xerr=_beside(known),
        ecolor="black",
    )
    axes.set_yticks(range(len(bars)), [*bars], fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel(chart["unit"])
    axes.grid(axis="x", alpha=0.3)


def _colours(bars: Bars) -> list[str]:
    """Ours in shades of one."""
    ours, theirs = iter(_OUR_COLOURS), iter(_COLOURS)
    return [next(ours if _is_ours(name) else theirs) for name in bars]


def _is_ours(name: str) -> bool:
    return name.lower().startswith("asyncworker")


def _beside(known: list[tuple[int, dict[str, float]]]) -> list[list[float]]:
    """How far the lowest and the highest are from the median."""
    below = [each["median"] - each["low"] for _, each in known]
    above = [each["high"] - each["median"] for _, each in known]
    return [below, above]


def main() -> None:
    mpl.use("Agg")
    folder = Path(sys.argv[1])
    for chart in json.loads((folder / "figures.json").read_text())["charts"]:
        draw(chart, folder / f"{chart['name']}.png")


if __name__ == "__main__":
    main()
